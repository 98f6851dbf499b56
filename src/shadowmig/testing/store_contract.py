"""
The contract of `shadowmig.protocols.Store` as tests, to be run on an adapter of your own.

    from shadowmig.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture(autouse=True)
        def places(self, tmp_path):
            self.here, self.there = tmp_path / "here", tmp_path / "there"

        def make_store(self):
            return MyStore(self.here)

        def make_other(self):
            return MyStore(self.there)

        def make_refs(self, count):
            return [Ref("", "key", "", (f"key{number}",)) for number in range(count)]

        def make_value(self, ref, number):
            return {"n": number, "list": [number]}

pytest finds the tests by the name of the class. Each takes a fraction of a second, and the one for outages up to ten
seconds for each call. It needs pytest, and for one test hypothesis; without it that one is skipped.
"""

from __future__ import annotations

from shadowmig.testing._contract_faults import Faults
from shadowmig.testing._contract_marks import Marks
from shadowmig.testing._contract_records import Records
from shadowmig.testing._contract_safety import Safety

__all__ = ["StoreContract"]


class StoreContract(Records, Marks, Safety, Faults):
    """
    A base class of tests that every store passes; derive one from it for each kind of refs your store has.

    You give four methods: `make_store`, `make_other`, `make_refs` and `make_value`. Records of what a test wrote are
    left behind: have a fixture of yours empty the places, or let `make_refs` give other refs each time. Handles are
    closed by the tests; a client that outlives them is for your fixture to close.

    Skipped unless you give more: the test of versions without `version_of`; of outages without `fail` and `recover`;
    of passwords in texts without `password`. Skipped by what the store can do: tokens, if it gives none; marks and
    changes, if its mark is ``None`` or the refs are keys; times to live, if its records tell none; `aread`, if it has
    none; tables and streams of hostile names, if the refs have none.
    """
