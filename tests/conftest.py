"""What every test stands on: profiles for generated data, and the families of fixtures, one file each."""

import os

from hypothesis import settings

pytest_plugins = ["fix_servers"]

# No deadline: the machine may be busy, and a slow example is no wrong one.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
