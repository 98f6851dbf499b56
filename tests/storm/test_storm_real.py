"""Storms on real servers: Postgres, Memcached and Redis."""

import os

import pytest

from shadowmig.errors import ConfigError, ServerUnavailable
from shadowmig.testing.storm import RealSite, catalogue, storm

CATALOGUE = catalogue()
SOME = ("flair-dropped", "version-not-bumped", "id-of-its-own", "cache-life-without-end", "event-missing")


@pytest.fixture(scope="module")
def real():
    """The three servers, started once for all storms."""
    with RealSite() as site:
        try:
            with site.open("column", ()):
                pass
        except ServerUnavailable as error:
            if os.environ.get("CI"):
                pytest.fail(f"CI needs {error.server}: {error}", pytrace=False)
            pytest.skip(f"needs {error.server}: {error}")
        yield site


def test_storm_real_without_defect(real):
    """Eight writers on ten records in three real stores, and a candidate without a defect: no mismatch."""
    outcome = storm(real, writes=800, writers=8, records=10, plain=True)
    assert outcome.alarms == ()
    assert outcome.as_it_must_be
    assert outcome.verdicts["match"] > 400
    assert outcome.verdicts["broken"] == 0
    assert outcome.plain > 100


@pytest.mark.parametrize("name", SOME)
def test_storm_real_finds(real, name):
    """Planted defects are found in real stores too, and nothing is reported elsewhere."""
    outcome = storm(real, writes=600, writers=4, records=6, defect=CATALOGUE[name], until_found=True)
    assert outcome.alarms == ()
    assert outcome.found


@pytest.mark.parametrize("versions", ["native", "none"])
def test_storm_real_without_versions(real, versions):
    """With the stores' own tokens, or nothing, to go by there is hardly a false alarm, and it is weakly proved."""
    outcome = storm(real, writes=500, writers=4, records=20, versions=versions)
    assert outcome.complete
    assert outcome.false_alarms == outcome.weak <= 1


def test_storm_real_needs_two_caches(monkeypatch):
    """One Memcached named for everything cannot be production and sister, and that is said."""
    monkeypatch.setenv("SHADOWMIG_TEST_MEMCACHED", "127.0.0.1:11211")
    with RealSite() as site, pytest.raises(ConfigError, match="SHADOWMIG_TEST_MEMCACHED"), site.open("column", ()):
        pass
