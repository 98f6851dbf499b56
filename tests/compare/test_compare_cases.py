"""The catalogues of adversarial pairs: ours, and the shared one where it is at hand."""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import http
import json
import math
import pickle
import uuid
from typing import Any

import pytest
from compare_cases import CASES, Case
from compare_support import SHARED

from shadowmig.compare import Tolerance, read_json, structural

NAMES = {"null_missing": "missing_is_null", "null_empty": "empty_is_null", "zero_missing": "missing_is_zero"}


def adapt(options: dict[str, Any]) -> Any:
    """A comparator for the neutral options of the shared catalogue."""
    given = {NAMES.get(name, name): value for name, value in options.items()}
    rel, abs_ = given.pop("float_rel", 0.0), given.pop("float_abs", 0.0)
    if rel or abs_:
        given["tolerance"] = Tolerance(rel=rel, abs=abs_)
    given["unordered"] = {**dict.fromkeys(given.get("unordered", ())), **given.pop("key_by", {})}
    return structural(**given)


def _decode(codec: str, data: bytes) -> Any:
    if codec == "msgpack":
        return pytest.importorskip("msgpack").loads(data)
    if codec == "pickle":
        return pickle.loads(data)
    if codec == "json":
        return read_json(data)
    return pytest.importorskip("google.protobuf.wrappers_pb2").Int64Value.FromString(data)


def _sides(case: dict[str, Any]) -> list[Any]:
    sides = ("control", "candidate")
    if "py" in case:
        scope = {
            "Decimal": decimal.Decimal, "datetime": datetime.datetime, "timezone": datetime.timezone,
            "timedelta": datetime.timedelta, "date": datetime.date, "uuid": uuid, "collections": collections,
            "http": http, "math": math,
        }  # fmt: skip
        return [eval(case["py"][side], dict(scope)) for side in sides]
    if "raw" in case:
        duplicates = case["options"].get("duplicate_keys", "last")
        return [read_json(case["raw"][side], duplicate_keys=duplicates) for side in sides]
    if "bytes" in case:
        return [_decode(case["bytes"]["codec"], base64.b64decode(case["bytes"][side])) for side in sides]
    return [case[side] for side in sides]


def _shared() -> list[dict[str, Any]]:
    file = SHARED / "compare_cases.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared catalogue is not here")
@pytest.mark.parametrize("case", _shared(), ids=lambda case: case["name"])
def test_shared_case(case: dict[str, Any]) -> None:
    """Each shared pair gets its verdict and its paths, in both directions."""
    control, candidate = _sides(case)
    compare = adapt(case["options"])
    found = compare(control=control, candidate=candidate)
    assert ("different" if found else "equal") == case["expect"]
    assert sorted(one.path for one in found) == sorted(case["expect_paths"])
    assert bool(compare(control=candidate, candidate=control)) == bool(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_own_case(case: Case) -> None:
    """Each of our pairs gets its paths, and with its sides swapped the same verdict."""
    compare = structural(**case.options)
    found = compare(control=case.control, candidate=case.candidate)
    assert sorted({one.path for one in found}) == sorted(case.paths)
    if case.ignored is not None:
        assert sorted(one.path for one in found.ignored) == sorted(case.ignored)
    assert bool(compare(control=case.candidate, candidate=case.control)) == bool(found)


def test_cases_have_names_of_their_own() -> None:
    """No case of ours hides another."""
    assert len({case.name for case in CASES}) == len(CASES) >= 60
