"""One program that is asked over its standard input and output: started late, watched, and ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from attrs import define, field

from shadowmig.errors import CodecUnavailable
from shadowmig.wire.tagged._protocol import PROTOCOL, Op, answers, broke, printable, read_line, request

_HELLO: Final = 65536
"""The most bytes of a hello."""

_STDERR: Final = 2000
"""Bytes kept of what a program says on its standard error."""

_CHUNK: Final = 256 * 1024
_GRACE: Final = 1.0  # seconds to end by itself


@define(eq=False)
class Child:
    """
    A program. Its input and output are pipes that are never waited for on their own, so that neither side hangs in
    writing what the other one does not read.

    Args:
        command: The program and its arguments.
        timeout: Seconds for one request, a start included.
        max_reply: The most bytes of a reply.
        flags: Flags of encoded items where the program gives none.
        env: Its environment, or ``None`` for ours.
        cwd: Its folder, or ``None`` for ours.
    """

    command: Sequence[str] = field(kw_only=True)
    timeout: float = field(kw_only=True)
    max_reply: int = field(kw_only=True)
    flags: int = field(kw_only=True)
    env: Mapping[str, str] | None = field(kw_only=True)
    cwd: str | None = field(kw_only=True)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _number: int = field(init=False, default=0)
    _stderr: bytearray = field(init=False, factory=bytearray)
    _asking: bool = field(init=False, default=False)
    _ended: bool = field(init=False, default=False)
    _closed: bool = field(init=False, default=False)

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process else None

    def ask(self, op: Op, items: Sequence[bytes]) -> list[Any]:
        """
        Ask, and give one result for each item.

        Raises:
            CodecUnavailable: The program could not be started, died, hung, or broke the protocol. It is ended.
        """
        deadline = time.monotonic() + self.timeout
        self._asking = True
        try:
            process = self._process or self._start(deadline)
            self._number += 1
            line = self._exchange(process, request(self._number, op, items), deadline, self.max_reply)
            return answers(line, self._number, op, len(items), flags=self.flags)
        except CodecUnavailable as error:
            raise self._explain(error) from error.__cause__
        except BaseException:  # Interrupted: what the program says next would be no answer to the next question.
            self._end()
            raise
        finally:
            self._asking = False

    def _start(self, deadline: float) -> subprocess.Popen[bytes]:
        self._stderr, self._ended = bytearray(), False
        if self._closed:
            raise CodecUnavailable("The codec is closed.", reason="closed")
        try:
            # A session of its own: what it starts can be ended with it, and Ctrl-C is for us.
            process = subprocess.Popen(
                self.command,
                bufsize=0,
                cwd=self.cwd,
                env=self.env,
                start_new_session=True,
                stderr=subprocess.PIPE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise CodecUnavailable(
                f"It could not be started: {error.strerror}.", reason="not started", errno=error.errno
            ) from error
        self._process = process
        for pipe in _pipes(process):
            os.set_blocking(pipe.fileno(), False)
        if self._closed:  # At the end of the interpreter, in a thread that is still asking: nobody would end it.
            raise CodecUnavailable("The codec is closed.", reason="closed")
        try:
            _check_hello(self._exchange(process, b"", deadline, _HELLO))
        except CodecUnavailable as error:
            raise CodecUnavailable(f"It did not start. {error.message}", reason="not started") from error
        return process

    def _exchange(self, process: subprocess.Popen[bytes], data: bytes, deadline: float, most: int) -> bytearray:
        """Write, and read one line; all three pipes in whatever order they are ready."""
        stdin, stdout, stderr = (pipe.fileno() for pipe in _pipes(process))
        rest, heard = memoryview(data), bytearray()
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        poll.register(stderr, select.POLLIN)
        if rest:
            poll.register(stdin, select.POLLOUT)
        while not heard.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                raise CodecUnavailable(f"It did not answer within {self.timeout:g} s.", reason="hung")
            ready = dict(poll.poll(left * 1000))
            if stderr in ready and not self._keep_stderr(stderr):
                poll.unregister(stderr)
            if stdin in ready:
                rest = rest[self._write(stdin, rest) :]
                if not rest:
                    poll.unregister(stdin)
            if stdout in ready:
                self._hear(stdout, heard, most)
        if rest:
            raise broke("it replied before it had read the request")
        return heard

    def _hear(self, stdout: int, heard: bytearray, most: int) -> None:
        part = os.read(stdout, _CHUNK)
        if not part:
            raise self._died()
        heard += part
        if -1 < part.find(b"\n") < len(part) - 1:
            raise broke("it said more than one line")
        if len(heard) > most:
            raise broke(f"its line is longer than {most} bytes")

    def _write(self, stdin: int, rest: memoryview) -> int:
        try:
            return os.write(stdin, rest[:_CHUNK])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> CodecUnavailable:
        self._ended = True
        return CodecUnavailable("It ended.", reason="died")

    def _keep_stderr(self, stderr: int) -> bool:
        """Read some; tell whether there may be more."""
        try:
            part = os.read(stderr, _CHUNK)
        except BlockingIOError:
            return False
        self._stderr += part
        del self._stderr[:-_STDERR]
        return bool(part)

    def _explain(self, error: CodecUnavailable) -> CodecUnavailable:
        status = self._end(patience=_GRACE if self._ended else 0.0)
        said = printable(" | ".join(self._stderr.decode(errors="replace").split("\n")[-6:]).strip(" |"), _STDERR)
        name = os.path.basename(self.command[0])  # noqa: PTH119 - the arguments may hold secrets, the name is enough
        return CodecUnavailable(
            f"{name}: {error.message}{status}{f' It said: {said}' if said else ''}", reason=error.reason
        )

    def _end(self, *, patience: float = 0.0) -> str:
        """End it; give how it had ended by itself, if it did within some seconds."""
        process, self._process = self._process, None
        if process is None:
            return ""
        by_itself = _ends(process.pid, patience)
        _kill(process)
        # What it wrote before it ended is still in the pipe; a child of its own that got away might write on and on.
        assert process.stderr is not None
        for _ in range(16):
            if not self._keep_stderr(process.stderr.fileno()):
                break
        for pipe in _pipes(process):
            pipe.close()
        return _status(process.returncode) if by_itself else ""

    def close(self) -> None:
        """End it for good: close its input, and if that is not enough kill it."""
        self._closed = True
        process = self._process
        if process is None:
            return
        if self._asking:  # At the end of the interpreter, with a thread still in `ask`, which has the pipes.
            _kill(process)
            return
        assert process.stdin is not None
        process.stdin.close()
        _ends(process.pid, _GRACE)
        self._end()

    def abandon(self) -> None:
        """Forget it, in a forked child: it is the parent's, and must see its input closed when the parent ends."""
        process, self._process, self._asking = self._process, None, False
        if process is not None:
            for pipe in _pipes(process):
                pipe.close()
            process.returncode = 0  # Ours to wait for it is not; else the end of the object would warn.


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    return process.stdin, process.stdout, process.stderr


def _check_hello(line: bytearray) -> None:
    hello = read_line(line)
    version = hello.get("protocol") if type(hello) is dict else None
    if type(version) is not int:
        raise broke("its first line is no hello")
    if version != PROTOCOL:
        raise broke(f"it speaks version {version}, not {PROTOCOL}")


def _ends(pid: int, patience: float) -> bool:
    """Wait until a process has ended, but leave it to be waited for: else its number could be another's already."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.002)
                continue
        return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5.0)


def _status(code: int | None) -> str:
    if code is None or code >= 0:
        return f" Its exit status was {code}."
    return f" It was killed by signal {-code}."
