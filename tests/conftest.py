"""What every test stands on: profiles for generated data, and the families of fixtures, one file each."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ["fix_servers"]

# No deadline: the machine may be busy, and a slow example is no wrong one.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev")
settings.load_profile(PROFILE)
# For properties whose examples take long to draw, or many round trips to a server.
settings.register_profile("slow", settings.get_profile(PROFILE), max_examples=settings.default.max_examples // 4)


@pytest.fixture
def slow_examples() -> Iterator[None]:
    """Have properties that are made while the test runs draw as many examples as slow ones do."""
    settings.load_profile("slow")
    yield
    settings.load_profile(PROFILE)
