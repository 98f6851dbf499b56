"""
Redactors: what takes secrets out of values before they leave the process.

Danger: `secrets` goes by names and patterns and can miss one. Paths and dict keys stay readable, except under
`hide_values`, which hides keys that are no plain field names; the paths of examples show keys in any case.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from shadowmig.errors import ConfigError
from shadowmig.findings._objects import Verbatim, class_name, is_plain, length, opaque
from shadowmig.findings._secrets import MASKED, is_secret_name, mask_text
from shadowmig.findings._walk import Trail, Walk, trail_of
from shadowmig.protocols import Redactor

_TEXT: Final = 65_536  # characters of a text kept
_MARGIN: Final = 2_048  # characters looked at beyond, so that no secret is cut in two and missed


def keep(value: Any, *, path: str) -> Any:
    """
    Hide nothing.

    Args:
        value: The value; it is returned as it is.
        path: Not looked at.
    """
    return value


def secrets(value: Any, *, path: str) -> Any:
    """
    Mask what looks like a secret; the default.

    Masked are values under keys and attributes with names such as ``password``, ``api_key``, ``Authorization``,
    ``session`` or ``credit_card``, in any spelling, whether in ``path`` or inside the value, and the second of a pair
    whose first is such a name; inside text ``Bearer ...``, ``scheme://user:pass@host``, JSON web tokens and
    ``password=...``. ``None``, true and false stay, for they tell no secret.

    Args:
        value: Any value; it is not changed. Objects come back as their stored attributes, none of their code is run.
        path: Where the value was found, as a JSONPath.

    Returns:
        A new value. Cycles, levels below 64, what comes after 20 000 elements, and text after 65 536 characters are
        replaced by a note.
    """
    return Walk(_secret_trail, _mask, _mask_leaf, _mask_leaf).start(value, path)


def hide_values(value: Any, *, path: str) -> Any:
    """
    Replace every leaf by its type and size, such as ``<str 12>``; the structure stays.

    Keys that are no plain field names (``alice@example.com``, ``12345``) are hidden too.

    Args:
        value: Any value; it is not changed.
        path: Not looked at.

    Returns:
        A new value, within the limits of `secrets`.
    """
    return Walk(lambda _: False, _hide_leaf, _hide_leaf, _hide_key).start(value, path)


def mask(*names: str, base: Redactor = secrets) -> Redactor:
    """
    Build a redactor that masks the fields named, and then does what another one does.

    Args:
        names: Key names (``"email"``; any depth, upper or lower case), or paths from ``$`` (``"$.user.email"``,
            ``"$.items[*].price"``, ``"$arguments.body"``), in which ``*`` stands for any key and every ``[...]`` for
            any element. All below a path is masked with it.
        base: What is done besides; `keep` for nothing.

    Raises:
        ConfigError: If no name is given, or one is empty or not text.
    """
    if not names or any(not name or not isinstance(name, str) for name in names):
        raise ConfigError(
            f"names must be key names or paths, not {names!r}.",
            remedy="Use mask('email') or mask('$.user.email').",
            field="names",
            value=names,
        )
    keys = frozenset(name.casefold() for name in names if not name.startswith("$"))
    return _Mask(keys, tuple(trail_of(name) for name in names if name.startswith("$")), base)


@frozen
class _Mask:
    keys: frozenset[str]
    paths: tuple[Trail, ...]
    base: Redactor

    def __call__(self, value: Any, *, path: str) -> Any:
        """Mask the fields named, then let the base do its part."""
        own = Walk(self.matches, lambda _: MASKED, lambda leaf: leaf, lambda key: key).start(value, path)
        return self.base(own, path=path)

    def matches(self, trail: Trail) -> bool:
        last = trail[-1]
        if last is not None and last.casefold() in self.keys:
            return True
        return any(_matches(pattern, trail) for pattern in self.paths)


def _matches(pattern: Trail, trail: Trail) -> bool:
    return len(pattern) == len(trail) and all(
        wanted == step or (wanted == "*" and step is not None) for wanted, step in zip(pattern, trail, strict=True)
    )


def _secret_trail(trail: Trail) -> bool:
    return trail[-1] is not None and is_secret_name(trail[-1])


def _mask(value: Any) -> Any:
    return value if value is None or value is True or value is False else MASKED


def _mask_leaf(value: Any) -> Any:
    kind = type(value)
    if is_plain(value):
        return value
    if issubclass(kind, str):
        return _capped(mask_text(str.__getitem__(value, slice(_TEXT + _MARGIN))), length(value))
    if issubclass(kind, (bytes, bytearray)):
        # latin-1 maps every byte to one character and back.
        text = bytes(memoryview(value)[: _TEXT + _MARGIN]).decode("latin-1")
        return _capped(mask_text(text), length(value)).encode("latin-1")
    return Verbatim(mask_text(value.text if kind is Verbatim else opaque(value)[: _TEXT + _MARGIN])[:_TEXT])


def _capped(text: str, length: int) -> str:
    return text if length <= _TEXT else f"{text[:_TEXT]}...+{length - _TEXT} characters"


def _hide_leaf(value: Any) -> Any:
    if issubclass(type(value), (str, bytes, bytearray)):
        return f"<{class_name(value)} {length(value)}>"
    return f"<{class_name(value)}>"


def _hide_key(key: Any) -> Any:
    if issubclass(type(key), str) and str.isidentifier(key) and length(key) <= 64:
        return key
    return _hide_leaf(key)
