"""The example of a store adapter: it does what it says, and keeps the contract of stores."""

import pytest
from example_support import load_example

from shadowmig.model import Ref
from shadowmig.testing import StoreContract

EXAMPLE = load_example("own_store")


def test_example():
    """The planted bug is found, and nothing else."""
    assert EXAMPLE.main() == ["settings user:bob $.theme changed: 'Light' | 'light'"]


@pytest.mark.usefixtures("slow_examples")
class TestSqliteStore(StoreContract):
    """The contract, on SQLite files."""

    @pytest.fixture(autouse=True)
    def _places(self, tmp_path):
        self.folder = tmp_path

    def make_store(self):
        return EXAMPLE.SqliteStore(self.folder / "here.db")

    def make_other(self):
        return EXAMPLE.SqliteStore(self.folder / "there.db")

    def make_refs(self, count):
        return [Ref("", "key", "", (f"key{number}",)) for number in range(count)]

    def make_value(self, ref, number):
        return {"number": number, "version": number}

    def version_of(self, value):
        return value["version"]
