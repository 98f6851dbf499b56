"""
Text that is safe to print anywhere: one line, no control characters, no lone surrogates.

Danger: this is not redaction; it hides nothing but escape sequences.
"""

from __future__ import annotations


def printable(text: str, limit: int = 500) -> str:
    r"""
    Escape what a terminal, a log or a file encoding could choke on, and cap the length.

    Args:
        text: Any text. Line breaks, control characters, bidirectional overrides and lone surrogates become escapes
            such as ``\n`` and ``\ud800``; other text stays as it is.
        limit: Most characters of the result, the note on what was cut included; at least 40.

    Returns:
        One printable line. When it was cut it ends in ``…+N characters``, N being what is missing of the escaped
        text, or, for text far above the limit, of the text as given.
    """
    limit = max(limit, 40)
    hidden = max(0, len(text) - 4 * limit)
    if hidden:
        text = text[: 4 * limit]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return cut(text, limit, hidden)


def cut(text: str, limit: int, hidden: int = 0, *, more: bool = False) -> str:
    """
    Shorten text to a limit and say by how much.

    Args:
        text: Printable text.
        limit: Most characters of the result; at least 40.
        hidden: Characters that were left out of ``text`` already.
        more: Whether ``hidden`` is only a lower bound.
    """
    if len(text) <= limit and not hidden:
        return text
    room = limit - len(_note(hidden + len(text), more=more))
    return text[:room] + _note(hidden + max(0, len(text) - room), more=more)


def _note(count: int, *, more: bool) -> str:
    return f"…+{count} characters{' or more' if more else ''}"
