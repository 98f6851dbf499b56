"""JSON as Go writes it; the expected texts are what ``encoding/json`` of Go gives."""

import json
from datetime import UTC, datetime

import pytest

from shadowmig.demo.gojson import Float64, GoString, encode


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ("<a> & \u2028", '"\\u003ca\\u003e \\u0026 \\u2028"'),
        (Float64(1.0), "1"),
        (Float64(100.0), "100"),
        (Float64(0.0), "0"),
        (Float64(1.5), "1.5"),
        (Float64(1e20), "100000000000000000000"),
        (Float64(1e21), "1e+21"),
        (Float64(1e-6), "0.000001"),
        (Float64(1e-7), "1e-7"),
        (GoString("a\ud83d"), '"a\ufffd"'),
        (datetime(2024, 1, 2, 3, 4, 5, 120000, UTC), '"2024-01-02T03:04:05.12Z"'),
        (datetime(2024, 1, 2, 3, 4, 5, 0, UTC), '"2024-01-02T03:04:05Z"'),
    ],
)
def test_as_go_writes_it(value, text):
    """Values are written as Go writes them."""
    assert encode(value) == text


@pytest.mark.parametrize("value", [1.0, -0.0, 1e300, 2**70, "half \ud83d", 'q"\\\x00\x7f', "é😀", [], {}, {"<": {}}])
def test_careful_values_survive(value):
    """What a careful rewrite writes is read as what it was."""
    back = json.loads(encode(value).encode())
    assert (type(back), repr(back)) == (type(value), repr(value))
