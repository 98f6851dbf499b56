"""A store whose server is an object of the test: it counts, fails, and changes behind one's back on demand."""

import copy
import itertools
from contextlib import contextmanager

from attrs import evolve

from shadowmig.errors import ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import MISSING, Change, Reading, Record, Side
from shadowmig.side import CHECKED_SIDE, MIRRORED
from shadowmig.stores import SisterStore, _roles


class Place:
    """What stands for a server."""

    def __init__(self):
        self.records = {}
        self.nonce = ""
        self.tokens = itertools.count(1)
        self.calls = []
        self.down = False
        self.stuck = set()
        self.forgetful = 0
        self.changed = ()

    def put(self, ref, value, **more):
        """Write as a service does."""
        self.records[address(ref)] = Record(ref, value, token=next(self.tokens), **more)


def address(ref):
    """Tell refs apart without the store's name."""
    return ref.kind, ref.space, ref.key


class FakeStore:
    """A handle of a place."""

    def __init__(self, place, *, identity=None, tokens=True):
        self.place = place
        self.told = identity
        self.tokens = tokens
        self.closed = 0
        self.forbidden = False

    def __repr__(self):
        return "FakeStore()"

    def _asked(self, what):
        self.place.calls.append(what)
        if self.place.down:
            raise StoreUnavailable("The fake is down.", store=repr(self))

    def _write(self, what):
        self._asked(what)
        if self.forbidden:
            raise ProductionRefused("The fake is production.", store=repr(self))

    def client(self):
        _roles.check(self)
        return self.place

    def identity(self):
        self._asked("identity")
        return self.told or str(id(self.place))

    def read(self, refs, *, since=None, timeout=None):
        self._asked(("read", len(refs)))
        found = [evolve(self.place.records.get(address(ref), Record(ref)), ref=ref) for ref in refs]
        if not self.tokens:
            found = [evolve(record, token=None) for record in found]
        changed = () if since is None else tuple(Change(evolve(ref, store=""), 1) for ref in self.place.changed)
        return Reading(tuple(found), (since, timeout), changed)

    def write(self, records):
        self._write(("write", len(records)))
        for record in records:
            if record.value is MISSING:
                self.place.records.pop(address(record.ref), None)
            else:
                self.place.put(record.ref, copy.deepcopy(record.value), version=record.version, meta=record.meta)

    def delete(self, refs):
        self._write(("delete", len(refs)))
        if any(ref.key[0] in self.place.stuck for ref in refs):
            raise StoreError("A record cannot go.", store=repr(self))
        for ref in refs:
            self.place.records.pop(address(ref), None)

    def reset(self):
        self._write("reset")
        self.place.records.clear()

    def forbid_writes(self):
        self.forbidden = True

    def plant(self, nonce):
        self._write("plant")
        if nonce and self.place.forgetful:
            self.place.forgetful -= 1
        else:
            self.place.nonce = nonce

    def finds(self, nonce):
        self._asked("finds")
        return self.place.nonce == nonce

    def close(self):
        self.closed += 1


class FakeAsyncStore(FakeStore):
    """A handle that can be read on an event loop."""

    async def aread(self, refs, *, since=None, timeout=None):
        self._asked("aread")
        return self.read(refs, since=since, timeout=timeout)


def pair(**options):
    """Make a sister store of two fakes, named ``db``."""
    options = {"production": FakeStore(Place()), "sister": FakeStore(Place()), "name": "db"} | options
    return SisterStore(**options)


@contextmanager
def checked(side=Side.CANDIDATE):
    """Be the checked side of a write."""
    tokens = CHECKED_SIDE.set(side), MIRRORED.set(True)
    try:
        yield
    finally:
        CHECKED_SIDE.reset(tokens[0])
        MIRRORED.reset(tokens[1])
