"""
`ProcessCodec`: asks another program, in whatever language, over its standard input and output.

**When:** a service in Go, Node or Java writes or reads the bytes, and its own code is to say how.
**Example:** ``ProcessCodec(["./wire-go", "json"])``
**Units:** ``timeout`` is seconds, ``batch`` items, ``max_reply`` bytes.
**When it is down** (dead, hanging, talking nonsense): the items at which it fails are `CodecUnavailable`, which is
neither a match nor a mismatch; it is killed, started anew, and asked about the others again. If it keeps failing it is
left alone for a while, which grows to 10 seconds, and until then all items are `CodecUnavailable` at once.

Danger: the last lines that a failing program wrote to its standard error become part of the error message. A program
that logs values there brings them into findings.

Danger: a program must end when its input does. One that does not is killed by `close` and at the end of the
interpreter, but outlives a parent that is killed by SIGKILL.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from shadowmig.wire.codecs._flags import check_flags, check_limit
from shadowmig.wire.codecs._process_asking import Asking, check_count, refuse, timeout_of
from shadowmig.wire.codecs._process_child import Child
from shadowmig.wire.codecs._process_pool import Pool


@frozen(eq=False)
class ProcessCodec(Asking):
    """
    Another program that encodes and decodes.

    It is started at the first question, stays, and is ended by `close`, at the end of a ``with`` block, when the codec
    is forgotten, or with the interpreter. Any number of threads may ask at once; while the program is busy, their
    questions gather and travel together. A forked child starts a program of its own.

    `encode_many` and `decode_many` are far quicker than single calls.

    Args:
        command: The program and its arguments; no shell is involved. A program without a folder is looked for in
            ``PATH``, another one in ``cwd``.
        timeout: Seconds for one request, or a timedelta; a start included. Of the items of a request that fails,
            each is asked about once more, by itself.
        batch: The most items of one request; more are split.
        processes: How many programs may run, for as many threads that ask at the same time.
        max_reply: The most bytes of one reply. A hostile reply may take up to 32 times as much memory.
        flags: Client flags of encoded values where the program gives none.
        env: Environment of the program, instead of this process's own.
        cwd: Folder of the program, instead of this process's own.

    Raises:
        ConfigError: An option is wrong, or there is no such program.
    """

    command: Sequence[str] = field()
    timeout: float = field(default=10.0, kw_only=True, converter=timeout_of)
    batch: int = field(default=256, kw_only=True, validator=check_count)
    processes: int = field(default=1, kw_only=True, validator=check_count)
    max_reply: int = field(default=16 * 1024 * 1024, kw_only=True, validator=check_limit)
    flags: int = field(default=0, kw_only=True, validator=check_flags)
    env: Mapping[str, str] | None = field(default=None, kw_only=True, repr=False)
    cwd: str | os.PathLike[str] | None = field(default=None, kw_only=True, repr=False)
    _pool: Pool = field(init=False, repr=False)

    @command.validator
    def _check_command(self, _: object, value: Any) -> None:
        if not isinstance(value, list | tuple) or not value or not all(map(_can_be_given, value)):
            refuse("command", value, "Give a list: the program and its arguments.", shown="no list of texts")

    def __repr__(self) -> str:
        # Arguments may hold secrets.
        return f"ProcessCodec([{self.command[0]!r}{', ...' if len(self.command) > 1 else ''}])"

    def __attrs_post_init__(self) -> None:
        if self.env is not None and not _is_environment(self.env):
            refuse("env", "(hidden)", "Use a dict of texts.", shown="no environment")
        env = None if self.env is None else dict(self.env)
        if not isinstance(self.cwd, str | os.PathLike | None) or not (cwd := Path(self.cwd or "").absolute()).is_dir():
            refuse("cwd", self.cwd, "Give a folder that exists.")
        program = self.command[0]
        found = shutil.which(cwd / program if "/" in program else program, path=(env or os.environ).get("PATH"))
        if found is None:
            refuse("command", program, "There is no such program, or it may not be run: build it, or give its path.")
        command = [str(Path(found).absolute()), *self.command[1:]]

        def make() -> Child:
            return Child(
                command=command,
                timeout=self.timeout,
                max_reply=self.max_reply,
                flags=self.flags,
                env=env,
                cwd=str(cwd),
            )

        object.__setattr__(self, "_pool", Pool(make, self.processes, self.batch))


def _can_be_given(text: object) -> bool:
    """Tell whether the system can give a text to a program."""
    try:
        return type(text) is str and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _is_environment(env: object) -> bool:
    return isinstance(env, Mapping) and all(
        _can_be_given(name) and _can_be_given(value) and name and "=" not in name for name, value in env.items()
    )
