"""How a stranger tries comparators, samplers and sinks of their own."""

import pytest

from shadowmig import Difference
from shadowmig.sinks import JsonLines, Memory
from shadowmig.testing import never_harm


def by_text(*, control, candidate):
    """Compare by text, as a stranger might."""
    return [] if repr(control) == repr(candidate) else [Difference("$", "changed", control, candidate)]


def odd_ids(call):
    """Sample every other call."""
    return hash(call.id) % 2 == 1


@pytest.mark.parametrize("case", never_harm.cases(compare=by_text, sample=odd_ids, sinks=[Memory()]), ids=str)
def test_hooks_of_a_stranger(case):
    """The example of the documentation: hooks of one's own never harm."""
    case.run()


def test_own_sinks(tmp_path):
    """A sink that writes to a file never harms."""
    report = never_harm.check(sinks=[JsonLines(tmp_path / "findings.jsonl")])
    assert report.harmless, str(report)
    assert len(report.tried) == 3


def test_harmful_sampler_is_found():
    """A sampler that changes the arguments it is shown harms, and the report says so."""

    def greedy(call):
        if type(call["payload"]) is list:
            call["payload"].append("mine")
        return True

    report = never_harm.check(sample=greedy)
    assert not report.harmless
    assert "arguments were changed" in str(report)
