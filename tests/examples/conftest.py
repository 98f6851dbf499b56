"""Fixtures of the tests that run the examples."""

import sys

import pytest
from example_support import load_example


@pytest.fixture
def example():
    """Give a function that loads an example; the migrations of those loaded are closed in the end."""
    loaded = []

    def load(name):
        loaded.append(load_example(name))
        return loaded[-1]

    yield load
    for module in loaded:
        if hasattr(module, "migration"):
            assert module.migration.close(), "the comparisons did not end in time"
        sys.modules.pop(module.__name__, None)


@pytest.fixture
def found():
    """Give a function that waits for a migration and returns its findings and verdicts in short."""

    def look(migration):
        assert migration.flush(30), "the comparisons did not end in time"
        findings = {(finding.experiment, finding.path, finding.kind) for finding in migration.findings()}
        verdicts = {}
        for name, summary in migration.stats().experiments.items():
            verdicts[name] = {verdict.value: count for verdict, count in summary.verdicts.items() if count}
            assert summary.errors == {}, f"internal errors in {name}"
        assert migration.stats().errors == {}
        return findings, verdicts

    return look
