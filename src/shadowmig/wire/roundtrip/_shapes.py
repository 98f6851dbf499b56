"""What happens to lists, maps, fields and keys, and what is told of no other: names, and how each is recognised."""

from __future__ import annotations

import uuid
from collections.abc import Set as AbstractSet
from typing import Any, Final

from shadowmig.wire.roundtrip._numbers import Leaf, different, is_int, silent


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _within(few: Any, many: Any) -> bool:
    """Whether one list is what is left of another, in its order."""
    if type(few) is not list or type(many) is not list or len(few) >= len(many):
        return False
    rest = iter(many)
    try:
        return all(any(each == other for other in rest) for each in few)
    except Exception:  # noqa: BLE001 - an element's own == may raise anything
        return False


LISTS: Final[tuple[Leaf, ...]] = (
    (
        silent(
            "list element dropped",
            "Elements of a list did not come out.",
            "One side leaves out null or empty elements, or cuts long lists.",
            "Write all elements.",
        ),
        lambda want, got: _within(got, want),
    ),
    (
        silent(
            "list element appeared",
            "A list came out with more elements.",
            "One side fills lists up, or splits an element.",
            "Look at the bytes to see which side did it.",
        ),
        _within,
    ),
    (
        different(
            "list changed",
            "A list came out with other elements, and another number of them.",
            "It was changed on the way, or mistaken for another field.",
            "Look at the bytes to see which side did it.",
        ),
        lambda want, got: type(want) is list and type(got) is list,
    ),
)

SHAPES: Final[tuple[Leaf, ...]] = (
    (
        silent(
            "list became map",
            "A list came out as a map.",
            "One side has one type for both, as PHP and Lua do.",
            "Say which it is when writing.",
        ),
        lambda want, got: type(want) is list and type(got) is dict,
    ),
    (
        silent(
            "map became list",
            "A map came out as a list.",
            "One side has one type for both, as PHP and Lua do, or writes maps as lists of pairs.",
            "Say which it is when writing.",
        ),
        lambda want, got: type(want) is dict and type(got) is list,
    ),
    (
        silent(
            "set became list",
            "A set came out as a list.",
            "The format has no sets, and a list has an order that a set has not.",
            "Sort it when writing, and make a set of it when reading.",
        ),
        lambda want, got: isinstance(want, AbstractSet) and type(got) is list,
    ),
    (
        silent(
            "list became its element",
            "A list of one element came out as the element.",
            "The format does not tell them apart, as XML and forms do not.",
            "Say which fields are lists.",
        ),
        lambda want, got: type(want) is list and len(want) == 1 and want[0] == got,
    ),
    (
        silent(
            "UUID became text",
            "A UUID came out as text.",
            "The format has no UUIDs, and the reader does not make one of the text.",
            "Make a UUID of the text when reading.",
        ),
        lambda want, got: type(want) is uuid.UUID and type(got) is str,
    ),
    (
        different(
            "number changed",
            "A number came out as another number.",
            "It was computed with on the way, or mistaken for another field.",
            "Look at the bytes to see which side did it.",
        ),
        lambda want, got: _number(want) and _number(got) and is_int(want) == is_int(got),
    ),
    (
        different(
            "text changed",
            "A text came out as another text.",
            "It was changed on the way, or mistaken for another field.",
            "Look at the bytes to see which side did it.",
        ),
        lambda want, got: type(want) is str and type(got) is str,
    ),
    (
        silent(
            "wrong type",
            "A value came out as one of another type.",
            "The sides have different types there.",
            "Agree on one type.",
        ),
        lambda want, got: type(want) is not type(got),
    ),
    (
        different(
            "value changed",
            "A value came out as another one.",
            "It was changed on the way, or mistaken for another field.",
            "Look at the bytes to see which side did it.",
        ),
        lambda want, got: True,
    ),
)

FIELDS: Final = {
    each.name: each
    for each in (
        silent(
            "unknown field dropped",
            "A field that is in the bytes did not come out.",
            "The reader does not know it, and drops what it does not know.",
            "Harmless if the reader only reads; if it writes back, keep unknown fields.",
        ),
        silent(
            "field not written",
            "A field is neither in the bytes nor in what was read.",
            "The writer does not know it, or leaves it out.",
            "Teach the writer the field.",
        ),
        silent(
            "field dropped",
            "A field did not come out.",
            "One side does not know it, and drops what it does not know.",
            "Teach both sides the field, or keep unknown fields.",
        ),
        silent(
            "re-encoding drops unknown fields",
            "A field was lost when the other side wrote back what it had read.",
            "The other side reads into a model that does not know the field.",
            "Let models keep unknown fields, or teach the field to all who write before anyone uses it.",
        ),
        different(
            "list reordered",
            "A list came out in another order.",
            "One side keeps it as a set, or sorts.",
            "Keep the order, or compare with `unordered`.",
        ),
        different(
            "map reordered",
            "A map whose order is part of its value came out in another order.",
            "One side's maps have no order, as those of Go.",
            "Use a list of pairs, or a plain map.",
        ),
        silent(
            "integer key became text",
            "A key that is a number came out as text.",
            "JSON has no other keys.",
            "Write text keys, or a list of pairs; or convert when reading.",
        ),
        silent(
            "key became text",
            "A key that is no text came out as text.",
            "JSON has no other keys, and languages write true, null and floats in different ways.",
            "Write text keys, or a list of pairs.",
        ),
        silent(
            "text key became integer",
            "A key that is text came out as a number.",
            "One side turns such keys into numbers, as PHP does.",
            "Use keys that do not look like numbers.",
        ),
        silent(
            "field renamed",
            "A field came out under a name of another case or with other underscores.",
            "One side writes names in its own style.",
            'Give the field its name (`json:"user_id"` in Go).',
        ),
    )
}
