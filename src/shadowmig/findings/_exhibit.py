"""
Making the example of a finding: the only place where a value of production becomes text that leaves the process.

Danger: whatever fails here must withhold the value, never show it unredacted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from shadowmig.findings._objects import Verbatim
from shadowmig.findings._secrets import mask_text
from shadowmig.findings.fingerprint import fold, place, type_name
from shadowmig.findings.render import render
from shadowmig.model import MISSING, Call, Difference, Example, Raised, Ref
from shadowmig.protocols import Redactor
from shadowmig.sinks._printable import cut, printable

WITHHELD: Final = "<withheld: redactor failed>"
UNRENDERED: Final = "<withheld: could not be rendered>"


class _Failed(Exception):
    """An operation failed and was told of."""


@frozen
class Exhibitor:
    """
    Redact, then render.

    Attributes:
        redact: The migration's redactor.
        explain: Gets both redacted values; see `Tally`.
        on_error: Told of every failure.
        limit: Most characters of each text.
    """

    redact: Redactor
    explain: Callable[[Any, Any], str] | None
    on_error: Callable[[str, BaseException], None] | None
    limit: int

    def tell(self, operation: str, error: BaseException) -> None:
        """Report a failure; never raises."""
        if self.on_error is not None:
            with contextlib.suppress(BaseException):
                self.on_error(operation, error)

    def place(self, difference: Difference) -> tuple[str, tuple[str, str]]:
        """Return the folded path and both type names, printable."""
        control, candidate = (printable(type_name(value), 200) for value in (difference.control, difference.candidate))
        return printable(mask_text(fold(difference.path)), self.limit), (control, candidate)

    def record(self, ref: Ref | None) -> tuple[str, str]:
        """Return the names of a record's store and kind, printable; empty ones for the answer."""
        if ref is None:
            return "", ""
        store, record = place(ref)
        return printable(store, 200), printable(mask_text(record), self.limit)

    def _address(self, ref: Ref | None) -> str:
        if ref is None:
            return ""
        store, record = self.record(ref)
        key = self._rendered(self._redacted(ref.key[0] if len(ref.key) == 1 else ref.key, "$key"))
        return cut(f"{store}: {key}" if ref.kind == "key" else f"{store}: {record} {key}", self.limit)

    def example(self, call: Call, at: datetime, difference: Difference, arguments: str) -> Example:
        """Return the example of a difference; ``arguments`` is the text of the call's arguments."""
        control = self._redacted(difference.control, difference.path)
        candidate = self._redacted(difference.candidate, difference.path)
        notes = [printable(mask_text(difference.note), self.limit)] if difference.note else []
        notes.extend(self._explained(difference, control, candidate))
        return Example(
            call=printable(call.id, 200),
            at=at,
            path=printable(mask_text(difference.path), self.limit),
            arguments=arguments,
            control=self._rendered(control),
            candidate=self._rendered(candidate),
            note=cut("; ".join(notes), self.limit),
            record=self._address(difference.ref),
        )

    def arguments(self, call: Call) -> str:
        """Return ``name=value, ...`` of a call; ``self`` and ``cls`` are left out."""
        shown: list[str] = []
        length = 0
        named = list(_named(call))
        for name, value in named:
            if length > self.limit:
                shown.append(f"…+{len(named) - len(shown)} arguments")
                break
            path = f"$arguments.{name}" if name.isidentifier() else f"$arguments[{name!r}]"
            text = f"{printable(mask_text(name), 100)}={self._rendered(self._redacted(value, path))}"
            shown.append(text)
            length += len(text)
        return ", ".join(shown)

    def _redacted(self, value: Any, path: str) -> Any:
        if value is MISSING:
            return value
        try:
            if type(value) is Raised:
                message = self.redact(value.message, path="$error")
                # A redactor may return anything; what is no text is shown as it would be elsewhere.
                return Raised(value.type, message if type(message) is str else render(message, self.limit))
            return self.redact(value, path=path)
        except BaseException as error:  # noqa: BLE001 - a redactor is somebody's code
            self.tell("redact", error)
            return Verbatim(WITHHELD)

    def _rendered(self, value: Any) -> str:
        try:
            return render(value, self.limit)
        except BaseException as error:  # noqa: BLE001 - render promises not to; this is where a leak would be
            self.tell("render", error)
            return UNRENDERED

    def _explained(self, difference: Difference, control: Any, candidate: Any) -> Iterator[str]:
        explainable = (MISSING, Raised, Verbatim)
        if self.explain is None or any(
            value is MISSING or type(value) in explainable for value in (control, candidate)
        ):
            return
        try:
            text = self.explain(control, candidate)
            if text:
                yield printable(mask_text(str(text)[: 100 * self.limit]), self.limit)
        except BaseException as error:  # noqa: BLE001 - DeepDiff raises on many values, and somebody's may do worse
            self.tell("explain", error)


def _named(call: Call) -> Iterator[tuple[str, Any]]:
    names = call.parameters.names
    for number, value in enumerate(call.args):
        name = names[number] if number < len(names) else f"arg{number}"
        if number > 0 or name not in {"self", "cls"}:
            yield name, value
    for name, value in call.kwargs.items():
        yield str(name), value
