"""
Which mismatches are the same one: the fingerprint of a difference, and the folding of its path.

Danger: fingerprints are compared across processes, hosts and releases. A change of anything hashed here makes every
finding look new.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from shadowmig.model import MISSING, Difference, Raised, Ref

# Possessive (*+), so that hostile text costs linear time: nothing is tried twice.
_QUOTED: Final = r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")"""
_STEP: Final = re.compile(
    rf"""
      \.(?P<name>[^.\[]*+)
    | \[(?P<quoted>{_QUOTED})\]
    | \[(?P<element>(?:[^\]'"]|{_QUOTED})*+)\]
    | \[(?P<torn>.*)                             # never closed: the rest is one step
    """,
    re.VERBOSE | re.DOTALL,
)

# A key that names one record rather than a field.
_ID: Final = re.compile(
    r"""
      -?\d+
    | [0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}
    | (?=[a-f]*\d)[0-9a-f]{8,}
    | \w+(?::\w+)*:\d+
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

_KEY_ID: Final = re.compile(
    r"""
      [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}
    | (?<![0-9a-z])(?=[a-f]*\d)[0-9a-f]{8,}(?![0-9a-z])
    | \d+
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

_CACHED_LENGTH: Final = 500  # characters; longer paths would let the cache hold megabytes


def steps(path: str) -> Iterator[tuple[str, str, str]]:
    """
    Split a path into its steps; the root is left out.

    Args:
        path: A path as comparators write it: ``$.name['other key'][0][id=2]``. Any other text is split as well as it
            goes.

    Yields:
        ``("name", key, source)`` for a string key, unescaped; ``("element", inner text, source)`` for an index, a
        keyed element or a key that is no string. ``source`` is the step as written.
    """
    for match in _STEP.finditer(path, _root(path)):
        if match["name"] is not None:
            yield "name", match["name"], match[0]
        elif match["quoted"] is not None:
            yield "name", _unescape(match["quoted"][1:-1]), match[0]
        else:
            yield "element", match["element"] or match["torn"] or "", match[0]


def fold(path: str) -> str:
    """
    Take out of a path what changes from record to record.

    Indices ``[3]``, keyed elements ``[id=2]`` and keys that are no strings become ``[*]``; string keys that look like
    ids (all digits, a UUID, 8 or more hex digits with a digit among them, ``word:digits``) become ``.*``.

    Args:
        path: A path as comparators write it. Other text is folded as well as it goes; nothing raises. Folding twice
            changes nothing.
    """
    folded = [path[: _root(path)]]
    for kind, text, source in steps(path):
        if kind == "element":
            folded.append("[*]")
        else:
            folded.append(".*" if _ID.fullmatch(text) else source)
    return "".join(folded)


def type_name(value: object) -> str:
    """
    Return the stable name of a value's type.

    Builtins go by their bare name, other classes as ``module.Name``. `MISSING` is ``"missing"``, and a `Raised` goes
    by the class of its exception.
    """
    if value is MISSING:
        return "missing"
    if type(value) is Raised:
        return value.type
    kind = type(value)
    # type.__dict__ rather than an attribute: a metaclass may have made that a property that fails.
    name = str(type.__dict__["__qualname__"].__get__(kind))
    module = type.__dict__["__module__"].__get__(kind)
    if module == "builtins" or type(module) is not str:
        return name
    return f"{module}.{name}"


def fingerprint(experiment: str, difference: Difference) -> str:
    """
    Return the 16 hex digits that stand for this kind of mismatch.

    It depends on the experiment, the folded path, the kind, the names of both types, and the store and kind of record:
    not on list positions, ids or values. It is the same in every process, on every host.

    Args:
        experiment: Name of the experiment.
        difference: The difference.
    """
    types: tuple[str, ...] = (type_name(difference.control), type_name(difference.candidate))
    if difference.ref is not None:
        types = (*types, *place(difference.ref))
    digest = _digest_cached if len(difference.path) <= _CACHED_LENGTH else _digest
    return digest(experiment, difference.path, difference.kind, *types)


def place(ref: Ref) -> tuple[str, str]:
    """
    Return the store's name and the kind of record: the table, the stream, or the key without what names one record.

    In a key, numbers, UUIDs and long hex words become ``*``: ``comment:42`` and ``comment:43`` are one place.
    """
    if ref.kind != "key":
        return ref.store, ref.space
    key = ref.key[0]
    text = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)
    return ref.store, _KEY_ID.sub("*", text[:_CACHED_LENGTH])


def _digest(experiment: str, path: str, *rest: str) -> str:
    hashed = hashlib.blake2b(digest_size=8, person=b"shadowmig.1")
    for part in (experiment, fold(path), *rest):
        data = part.encode("utf-8", "surrogatepass")
        # Length first, so that no two lists of parts run together to the same bytes.
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()


_digest_cached = lru_cache(maxsize=4096)(_digest)


def _root(path: str) -> int:
    ends = [at for at in (path.find("."), path.find("[")) if at >= 0]
    return min(ends, default=len(path))


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text
