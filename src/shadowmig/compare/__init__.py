"""
Comparators: callables that say where two values differ.

`structural` is the judge: strict, fast, with rules. `exact` is for opaque values. `deep` lets DeepDiff judge, for those
who rely on it, and `explain` lets it describe a mismatch that `structural` found; DeepDiff is imported at first use.
"""

from __future__ import annotations

from shadowmig.compare._rules import Rule, Tolerance
from shadowmig.compare.deep import deep, explain
from shadowmig.compare.exact import exact
from shadowmig.compare.json_text import read_json
from shadowmig.compare.structural import structural

__all__ = ["Rule", "Tolerance", "deep", "exact", "explain", "read_json", "structural"]
