"""The contract of stores, third part: isolation, refusals, and what is hostile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any, Final

from attrs import evolve

from shadowmig.errors import ProductionRefused, StoreError
from shadowmig.model import Record, Ref
from shadowmig.testing._contract_hooks import Hooks, refused, skip, within

HOSTILE: Final = (
    *("it's", 'a "quoted" one', "a b", " ", "\t", "a\nb", "x\r\nflush_all\r\n", "\x00", "a\x00b", "\x7f"),
    *("'; DROP TABLE comments; --", "%s %(id)s {0} $1", "*", "..", "a:b", "[a]", "\\", "é", "e\u0301", "☃ 😀"),
    *("", "x" * 300, "x" * 10_000, "\ud800"),
)
"""Texts in a key that have broken protocols and statements."""


class Safety(Hooks):
    """Identity, isolation, refusals and hostile keys."""

    def test_identity(self) -> None:
        """Two handles of one place say the same identity, and a handle of another place another."""
        with (
            closing(self.make_store()) as store,
            closing(self.make_store()) as second,
            closing(self.make_other()) as other,
        ):
            identity = store.identity()
            assert isinstance(identity, str)
            assert identity, "the identity is empty"
            assert store.identity() == second.identity() == identity, "one place has two identities"
            assert other.identity() != identity, "two places have one identity"

    def test_two_handles(self) -> None:
        """What one handle writes another handle of the place reads, and one of another place does not."""
        with (
            closing(self.make_store()) as store,
            closing(self.make_store()) as second,
            closing(self.make_other()) as other,
        ):
            refs = self._filled(store, 2)
            self._expect(second, refs, [0, 1], "the second handle")
            self._expect(other, refs, [None, None], "the other place")
            second.delete(refs[:1])
            self._expect(store, refs, [None, 1], "after the second handle deleted one")

    def test_a_planted_mark_is_found(self) -> None:
        """A planted mark is found by every handle of the place and by none of another, until it is removed."""
        with (
            closing(self.make_store()) as store,
            closing(self.make_store()) as second,
            closing(self.make_other()) as other,
        ):
            refs = self._filled(store, 1)
            assert not second.finds("6d0f2c"), "a mark is found that was not planted"
            store.plant("6d0f2c")
            assert store.finds("6d0f2c"), "a handle does not find its own mark"
            assert second.finds("6d0f2c"), "another handle of the place does not find the mark"
            assert not other.finds("6d0f2c"), "the mark is found in another place"
            assert not second.finds("6d0f"), "another mark than the planted one is found"
            store.plant("")
            assert not second.finds("6d0f2c"), "a removed mark is found"
            self._expect(second, refs, [0], "after planting")

    def test_forbidden_writes(self) -> None:
        """After `forbid_writes` nothing is written by this handle, while its reads and other handles go on."""
        with closing(self.make_store()) as store, closing(self.make_store()) as second:
            refs = self._filled(store, 2)
            store.forbid_writes()
            store.forbid_writes()
            forbidden: dict[str, Callable[[], None]] = {
                "write": lambda: store.write(self._records(refs, 5)),
                "write of a deletion": lambda: store.write([Record(refs[0])]),
                "delete": lambda: store.delete(refs),
                "reset": store.reset,
                "plant": lambda: store.plant("77aa"),
            }
            for name, call in forbidden.items():
                refused(ProductionRefused, name, call)
            self._expect(store, refs, [0, 1], "after refused writes")
            assert not store.finds("77aa"), "a refused mark was planted"
            second.write(self._records(refs, 7))
            self._expect(store, refs, [7, 8], "after another handle wrote")

    def test_client_is_one_object(self) -> None:
        """The service's client is the same object each time, after `close` too."""
        with closing(self.make_store()) as store:
            client = store.client()
            assert client is not None
            store.read(self._refs(1))
            assert store.client() is client, "the client is another object the second time"
            store.close()
            assert store.client() is client, "the client is another object after close"

    def test_close(self) -> None:
        """A store may be closed before its first use and twice, and then a read works or raises `StoreError`."""
        self.make_store().close()
        with closing(self.make_store()) as store:
            refs = self._filled(store, 1)
            store.close()
            store.close()
            with contextlib.suppress(StoreError):
                within(lambda: self._expect(store, refs, [0], "after close"))

    def test_close_is_ones_own(self) -> None:
        """Closing one handle does nothing to another."""
        with closing(self.make_store()) as store, closing(self.make_store()) as second:
            refs = self._filled(store, 1)
            self._expect(second, refs, [0], "the second handle")
            store.close()
            self._expect(second, refs, [0], "the second handle, after the first was closed")

    def test_unknown_refs(self) -> None:
        """A ref of a kind that no store has, or without a key, is refused by `StoreError`."""
        with closing(self.make_store()) as store:
            (ref,) = self._filled(store, 1)
            odd: Any = "planet"
            for bad in (evolve(ref, kind=odd), evolve(ref, key=())):
                refused(StoreError, f"read of {bad}", partial(store.read, [bad]))
                refused(StoreError, f"delete of {bad}", partial(store.delete, [bad]))
                record = Record(bad, self.make_value(ref, 1))
                refused(StoreError, f"write of {bad}", partial(store.write, [record]))
            self._expect(store, [ref], [0], "after refused refs")

    def test_hostile_keys(self) -> None:
        """Keys with quotes, spaces, newlines or NUL work or raise `StoreError`, and touch no other record."""
        with closing(self.make_store()) as store:
            near, pattern = self._filled(store, 2)
            taken: list[Ref] = []
            for text in HOSTILE:
                ref = self.make_hostile(pattern, text)
                try:
                    store.write([Record(ref, self.make_value(ref, len(taken)))])
                except StoreError:
                    with contextlib.suppress(StoreError):
                        assert not store.read([ref]).records[0].exists, f"{text[:30]!r} was refused and written"
                else:
                    taken.append(ref)
            self._expect(store, taken, list(range(len(taken))), "a hostile key that was accepted")
            store.delete(taken)
            self._expect(store, [near, pattern, *taken], [0, 1, *[None] * len(taken)], "after hostile keys")

    def test_hostile_spaces(self) -> None:
        """A table or stream of a hostile name works or raises `StoreError`, and no other record is touched."""
        with closing(self.make_store()) as store:
            (ref,) = self._filled(store, 1)
            if not ref.space:
                skip("the refs have no table and no stream")
            for text in HOSTILE:
                bad = evolve(ref, space=text)
                record = Record(bad, self.make_value(ref, 1))
                for call in (partial(store.read, [bad]), partial(store.write, [record]), partial(store.delete, [bad])):
                    with contextlib.suppress(StoreError):
                        call()
            self._expect(store, [ref], [0], "after hostile names")

    def test_no_password_in_repr(self) -> None:
        """The text that names a store for people does not hold its password."""
        if not self.password:
            skip("password is not given")
        with closing(self.make_store()) as store:
            assert self.password not in repr(store), "the password is in the repr"
            store.read(self._refs(1))
            assert self.password not in f"{store!r} {store}", "the password is in the repr, once connected"
