"""The contract of stores, second part: what tells that something was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from shadowmig.model import Reading, Record, Ref
from shadowmig.protocols import Store
from shadowmig.testing._contract_hooks import Hooks, address, assert_same_record, skip


class Marks(Hooks):
    """Tokens, marks and changes."""

    def test_tokens_change_with_every_write(self) -> None:
        """If a store gives tokens, each write gives a new one, also of the same value unless it is an event."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 2)
            tokens = [self._tokens(store, refs)[0]]
            # To write an event that is there already may be no write.
            for number in (5, 6, 5) if refs[0].kind == "entry" else (0, 0, 5, 5):
                store.write([Record(refs[0], self.make_value(refs[0], number))])
                tokens.append(self._tokens(store, refs)[0])
            store.delete(refs[:1])
            store.write(self._records(refs[:1]))
            tokens.append(self._tokens(store, refs)[0])
            assert len(set(map(repr, tokens))) == len(tokens), f"writes without a new token: {tokens}"

    def test_tokens_stand_still(self) -> None:
        """If a store gives tokens, one changes neither by reads nor by writes of other records."""
        with closing(self.make_store()) as store, closing(self.make_store()) as second:
            refs = self._filled(store, 3)
            before = self._tokens(store, refs[:1])
            for number in (3, 4):
                store.read(refs)
                store.write(self._records(refs[1:], number))
                store.delete(refs[2:])
                assert self._tokens(store, refs[:1]) == before, "a token changed without a write"
                assert self._tokens(second, refs[:1]) == before, "two handles give different tokens"

    def test_reads_do_not_write(self) -> None:
        """Reads change neither records nor tokens, prolong no time to live, and are no changes."""
        with closing(self.make_store()) as store:
            refs = self._refs(3)
            store.write([Record(ref, self.make_value(ref, 0), meta={"ttl": 1000.0}) for ref in refs[:2]])
            first = store.read(refs)
            for _ in range(3):
                later = store.read(refs, since=first.mark)
                assert later.changed == (), "a read is told as a change"
                for got, wanted in zip(later.records, first.records, strict=True):
                    assert_same_record(got, wanted, f"{wanted.ref} read again")
                    assert got.token == wanted.token, "a read changed a token"
                    assert (got.meta.get("ttl") or 0) <= (wanted.meta.get("ttl") or 0) + 1, "a read prolonged a life"

    def test_changes_since_a_mark(self) -> None:
        """What was written after a mark is told, each record once, and what was written before it is not."""
        with closing(self.make_store()) as store:
            first = self._marked(store)
            old, new, rewritten, gone = self._refs(4)
            store.write(self._records([old, gone]))
            mark = store.read([]).mark
            assert mark is not None, "a store that gave a mark gives none now"
            store.write(self._records([new]))
            store.write(self._records([rewritten, new], 3))
            store.write(self._records([rewritten], 6))
            reading = store.read([new, old], since=mark)
            self._expect_told(reading, [new, rewritten], "since the mark between")
            self._expect_told(store.read([], since=first), [old, new, rewritten, gone], "since the first mark")
            self._expect_told(store.read([], since=reading.mark), [], "since the reading itself")
            assert all(_reaches(mark, change.at) for change in reading.changed), "a change is before the mark"
            assert not any(_reaches(reading.mark, change.at) for change in reading.changed), (
                "a change is after its reading"
            )

    def test_changes_of_others(self) -> None:
        """What another handle wrote after a mark is told, and what was written to another place is not."""
        with closing(self.make_store()) as store, closing(self.make_store()) as second:
            mark = self._marked(store)
            ours, theirs = self._refs(2)
            second.write(self._records([ours]))
            with closing(self.make_other()) as other:
                other.write(self._records([theirs]))
            self._expect_told(store.read([ours], since=mark), [ours], "after a write by another handle")

    def test_a_planted_mark_is_no_change(self) -> None:
        """The mark that proves isolation is not told as a change."""
        with closing(self.make_store()) as store:
            mark = self._marked(store)
            store.plant("e9b1")
            store.plant("")
            self._expect_told(store.read([], since=mark), [], "after planting")

    def _tokens(self, store: Store, refs: Sequence[Ref]) -> list[Any]:
        tokens = [record.token for record in store.read(refs).records]
        if all(token is None for token in tokens):
            skip("the store gives no tokens")
        assert None not in tokens, "some records have a token, and some have none"
        return tokens

    def _marked(self, store: Store) -> Any:
        mark = store.read([]).mark
        if mark is None:
            skip("the store cannot tell what changed")
        if any(ref.kind == "key" for ref in self._refs(1)):
            skip("changes of keys are not told")
        return mark

    def _expect_told(self, reading: Reading, refs: Sequence[Ref], why: str) -> None:
        told = Counter(address(change.ref) for change in reading.changed)
        assert told == Counter(map(address, refs)), f"{why} the store tells of {dict(told)}"
        assert all(change.count == 1 for change in reading.changed), f"{why} something is told to be there twice"


def _reaches(mark: Any, at: Any) -> bool:
    return bool(mark < at or mark == at)
