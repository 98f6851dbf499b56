"""The engine on trial: each operation with each fault, under each runner."""

import pytest

from shadowmig.engine.guard import OPERATIONS
from shadowmig.errors import ConfigError
from shadowmig.testing import never_harm
from shadowmig.testing._harm_caller import Witness, noticed
from shadowmig.testing._harm_faults import Trouble
from shadowmig.testing._harm_points import POINTS, WRITE_POINTS, Point, troubled
from shadowmig.testing._harm_scene import Scene
from shadowmig.testing._harm_trial import Trial

CASES = never_harm.cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_never_harms(case):
    """Nothing that goes wrong in this operation is noticed by the caller, and all of it is counted."""
    case.run()


def test_every_operation_is_provoked():
    """Each operation that the guard knows is provoked by some case, and no case expects another."""
    provoked = {operation for point in (*POINTS, *WRITE_POINTS) for operation in point.counted}
    # These two are provoked by cases of their own.
    assert provoked == set(OPERATIONS) - {"overhead", "not_isolated"}
    assert any(case.id.startswith("dawdling-") for case in CASES)
    assert any(case.id.startswith("unproved-") for case in CASES)


def test_ids_are_unique():
    """No two cases have the same name."""
    assert len({case.id for case in CASES}) == len(CASES) > 100


def test_renamed_operation_is_found():
    """A point whose target is gone fails, for it would prove nothing."""
    with (
        pytest.raises(AssertionError, match="no longer there"),
        troubled(Point("gone", (), "shadowmig.engine.job:Job.gone"), "threads", Trouble()),
    ):
        pass


def test_operation_never_reached_is_found(monkeypatch):
    """A point that no call comes by fails, for it would prove nothing."""
    monkeypatch.setattr("shadowmig.testing._harm_trial.ENOUGH", 0.1)
    with pytest.raises(AssertionError, match="never reached"):
        Trial("threads", Point("unused", (), "shadowmig.engine.job:Job.step_async")).run()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda scene: lambda *args, **more: dict(scene.serve(*args, *more.values())), "very object"),
        (lambda scene: lambda outcome, payload, *, options: scene.serve(outcome, list(payload), options), "argument"),
        (lambda scene: lambda outcome, payload, *, options: scene.check(outcome, payload, options), "changed"),
    ],
)
def test_harm_is_noticed(harm, words):
    """A wrapper that does harm is caught, so the suite can fail."""
    scene = Scene()

    def twin(outcome, payload, *, options):
        return scene.serve(outcome, payload, options)

    seen = Witness(scene).call(twin, "returns")
    found = noticed(seen, Witness(scene).call(harm(scene), "returns"))
    assert any(words in text for text in found)


def test_swallowed_exception_is_noticed():
    """An exception that is raised anew, with another traceback, is caught."""
    scene = Scene()

    def twin(outcome, payload, *, options):
        return scene.serve(outcome, payload, options)

    def wrapper(outcome, payload, *, options):
        try:
            return twin(outcome, payload, options=options)
        except LookupError as error:
            raise error.with_traceback(None) from None

    found = noticed(Witness(scene).call(twin, "raises"), Witness(scene).call(wrapper, "raises"))
    assert any("frames" in text for text in found)
    assert any("cause" in text for text in found)


def test_unknown_hook_is_refused():
    """A hook that does not exist is named, with those that do."""
    with pytest.raises(ConfigError, match=r"comparator.*compare, sample"):
        never_harm.cases(comparator=len)
