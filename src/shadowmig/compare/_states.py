"""
The automaton that finds the rules of a place while the walker descends to it.

All paths of a comparator are compiled into one machine whose states are built at first use: one step per key or
index, however many rules there are. A `State` knows what holds at its place and what may still hold below, so the
walker sees at once where it need not ask. States are shared between threads; building one twice does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import Factory, field, frozen

from shadowmig.compare._rules import Entry, Options, Tolerance, Use
from shadowmig.compare.paths import Deep, Field, Index, Key, Name, Segment, Wild


@frozen(eq=False)
class Plan:
    """
    Everything a comparator was told, compiled.

    Attributes:
        entries: Every rule at every path.
        uses: The rules as they are reported.
        everywhere: Index in ``uses`` of each global option.
        relations: Pairs that must hold on both sides or on neither.
    """

    options: Options = Factory(Options)
    entries: tuple[Entry, ...] = ()
    uses: tuple[Use, ...] = ()
    everywhere: Mapping[str, int] = Factory(dict)
    relations: tuple[Any, ...] = ()
    _machines: dict[frozenset[int], Machine] = field(factory=dict, init=False)
    _dated: bool = field(init=False)

    @_dated.default
    def _any_dated(self) -> bool:
        return any(use.expires is not None for use in self.uses)

    def expired(self) -> frozenset[int]:
        """Indexes of the rules whose last day has passed."""
        if not self._dated:
            return _NOTHING
        today = datetime.now(UTC).date()
        return frozenset(i for i, use in enumerate(self.uses) if use.expires is not None and use.expires < today)

    def root(self) -> State:
        """The state at ``$``, for the rules that hold today."""
        expired = self.expired()
        machine = self._machines.get(expired)
        if machine is None:
            machine = self._machines.setdefault(expired, Machine(self, expired))
        return machine.start


_NOTHING: Final[frozenset[int]] = frozenset()
Position = tuple[int, int]
_NODE_OPTIONS: Final = (
    "tolerance", "timestamps", "html_unescape", "base64", "numeric_strings", "json_text", "unordered", "mask",
    "missing_is_null", "empty_is_null", "missing_is_zero",
)  # fmt: skip
_LEAF_OPTIONS: Final = ("tolerance", "timestamps", "html_unescape", "base64", "numeric_strings")
UNSET: Final = object()


class Machine:
    """The states of one plan, each built once."""

    def __init__(self, plan: Plan, expired: frozenset[int]) -> None:
        self.plan = plan
        self.expired = expired
        self.has_only = any(entry.option == "only" for entry in plan.entries)
        self._states: dict[Any, State] = {}
        start = self._close((i, 0) for i in range(len(plan.entries)))
        self.start = self.state(start, None, (), inside=not self.has_only)
        self.bare = self.state(frozenset(), None, (), inside=True)

    def _close(self, positions: Iterable[Position]) -> frozenset[Position]:
        found = set(positions)
        for rule, at in tuple(found):
            segments = self.plan.entries[rule].segments
            if at < len(segments) and type(segments[at]) is Deep:
                found.add((rule, at + 1))
        return frozenset(found)

    def state(self, positions: frozenset[Position], ignore: int | None, notes: tuple[int, ...], inside: bool) -> State:
        """The state for these open positions and what it inherits from above."""
        done = sorted(i for i, at in positions if at == len(self.plan.entries[i].segments))
        here = [self.plan.entries[i] for i in done]
        for entry in here:
            if entry.option == "only":
                inside = True
            elif entry.option == "ignore" and entry.use in self.expired:
                notes = tuple(sorted({*notes, entry.use}))
            elif entry.option == "ignore" and (ignore is None or entry.use < ignore):
                ignore = entry.use
        key = positions, ignore, notes, inside
        found = self._states.get(key)
        if found is None:
            found = self._states.setdefault(key, State(self, positions, here, ignore, notes, inside))
        return found

    def step(self, origin: State, matches: Callable[[Segment], bool]) -> State:
        """The state one level below."""
        after: list[Position] = []
        for rule, at in origin.positions:
            segments = self.plan.entries[rule].segments
            if at == len(segments):
                continue
            if type(segments[at]) is Deep:
                after.append((rule, at))
            elif matches(segments[at]):
                after.append((rule, at + 1))
        return self.state(self._close(after), origin.ignore, origin.notes, origin.inside)


class State:
    """
    What holds at one place.

    Attributes:
        ignore: Index of the rule that ignores differences here and below, or ``None``.
        notes: Indexes of expired rules that would have ignored them.
        outside: Whether ``only`` excludes this place and all below.
        ignored: Whether differences here do not count, for either reason.
        inline: Whether equal values here need no look: no mask (or text with duplicate keys) here or below.
        special: Whether containers here are treated before they are walked.
        plain: Whether nothing at all holds here or below that is not strict.
        strict: Whether no rule and no option changes how single values compare.
        uniform: Whether every place below has this same state.
    """

    __slots__ = (
        "_machine", "_next", "_other", "_plain", "base64", "empty_is_null", "fields", "html_unescape", "ignore",
        "ignored", "indexes", "inline", "inside", "json_text", "keys", "mask", "missing_is_null", "missing_is_zero",
        "names", "normalize", "notes", "numeric_strings", "options", "outside", "plain", "positions", "ready",
        "sources", "special", "strict", "timestamps", "tolerance", "uniform", "unordered",
    )  # fmt: skip

    tolerance: Tolerance | None
    timestamps: int
    html_unescape: bool
    base64: bool
    numeric_strings: bool
    json_text: bool
    unordered: Any
    mask: Any
    missing_is_null: bool
    empty_is_null: bool
    missing_is_zero: bool

    def __init__(
        self,
        machine: Machine,
        positions: frozenset[Position],
        here: list[Entry],
        ignore: int | None,
        notes: tuple[int, ...],
        inside: bool,
    ) -> None:
        entries = machine.plan.entries
        self._machine = machine
        self.positions = positions
        self.ignore, self.notes, self.inside = ignore, notes, inside
        self.options = machine.plan.options
        self.sources = dict(machine.plan.everywhere)
        self.normalize: list[tuple[int, Callable[[Any], Any]]] = []
        self._set(here)
        pending = [entries[i] for i, at in positions if at < len(entries[i].segments)]
        self.outside = not inside and not any(entry.option == "only" for entry in pending)
        self.ignored = ignore is not None or self.outside
        # Under an ignore rule a mask says nothing: the place is compared like all others, and what differs is marked.
        self.inline = self.ignored or not any(map(self._looks, (*here, *pending)))
        self.special = bool(self.normalize or self.json_text or self.mask or self.unordered is not UNSET)
        self.strict = not (self.options.aliases or self.special or any(getattr(self, name) for name in _LEAF_OPTIONS))
        self.names: dict[Any, State] = {}
        self.indexes: set[int] = set()
        self.keys: list[Key] = []
        self.fields: list[Field] = []
        self.ready = self.uniform = self.plain = False
        self._next: dict[Any, State] = {}
        self._other: State | None = None
        self._plain: State | None = None

    def _set(self, here: list[Entry]) -> None:
        for option in _NODE_OPTIONS:
            setattr(self, option, None if option in ("tolerance", "mask") else False)
        self.timestamps, self.unordered = 0, UNSET
        for entry in here:
            if entry.option == "normalize":
                self.normalize.append((entry.use, entry.value))
            elif entry.option in _NODE_OPTIONS:
                setattr(self, entry.option, entry.value)
                self.sources[entry.option] = entry.use

    @property
    def other(self) -> State:
        """The state below any key or index that no rule names."""
        if self._other is None:
            self._other = self._machine.step(self, lambda segment: type(segment) is Wild)
        return self._other

    def _looks(self, entry: Entry) -> bool:
        """Whether a rule may find fault with two equal values."""
        return entry.option == "mask" or (entry.option == "json_text" and self.options.reject_duplicates)

    def text(self, use: int) -> str:
        """A rule as people read it."""
        return self._machine.plan.uses[use].text

    @property
    def bare(self) -> State:
        """Only the global options: the state of dict keys."""
        return self._machine.bare

    @property
    def without_base64(self) -> State:
        """The same place without its ``base64`` rule."""
        if self._plain is None:
            plain = State(self._machine, self.positions, [], self.ignore, self.notes, self.inside)
            for option in _NODE_OPTIONS:
                setattr(plain, option, getattr(self, option))
            plain.base64 = False
            self._plain = plain
        return self._plain

    def expand(self) -> State:
        """Work out the states below, once; returns itself."""
        if self.ready:
            return self
        entries = self._machine.plan.entries
        open_ = [entries[i].segments[at] for i, at in self.positions if at < len(entries[i].segments)]
        for segment in open_:
            if type(segment) is Index:
                self.indexes.add(segment.index)
            elif type(segment) is Key:
                self.keys.append(segment)
            elif type(segment) is Field:
                self.fields.append(segment)
        names = {segment.name for segment in open_ if type(segment) is Name}
        self.names = {name: self._machine.step(self, _name_matcher(name)) for name in names}
        bare = not (self.names or self.indexes or self.keys or self.fields)
        self.uniform = bare and self.inline and not self.special and self.other is self
        absent = self.missing_is_null or self.empty_is_null or self.missing_is_zero
        self.plain = self.uniform and self.strict and not self.ignored and not absent
        self.ready = True
        return self

    def key(self, key: Any) -> State:
        """The state below a dict key or an attribute."""
        self.expand()
        kind = type(key)
        if kind is str:
            return self.names.get(key) or self.other
        if kind is int:
            return self._named(key, key) if key in self.indexes else self.other
        if issubclass(kind, str):
            return self.names.get(str.__getitem__(key, slice(None))) or self.other
        if any(_same_key(segment.value, key) for segment in self.keys):
            return self._cached(
                ("key", kind, str(key)),
                lambda one: type(one) is Wild or (type(one) is Key and _same_key(one.value, key)),
            )
        return self.other

    def item(self, index: int, length: int) -> State:
        """The state below a list index."""
        self.expand()
        return self._named(index, index - length) if self.indexes else self.other

    def _named(self, index: int, negative: int) -> State:
        if index not in self.indexes and negative not in self.indexes:
            return self.other
        both = (index, negative)
        return self._cached(both, lambda one: type(one) is Wild or (type(one) is Index and one.index in both))

    def element(self, index: int, length: int, keyed: Callable[[Field], bool]) -> State:
        """The state below a list element that a rule may name by a field's value."""
        self.expand()
        fields = [one for one in self.fields if keyed(one)]
        if not fields:
            return self.item(index, length)
        both = (index, index - length) if self.indexes else ()
        names = tuple(sorted(map(repr, fields)))
        return self._cached(
            (both, names),
            lambda one: type(one) is Wild or one in fields or (type(one) is Index and one.index in both),
        )

    def _cached(self, key: Any, matches: Callable[[Segment], bool]) -> State:
        found = self._next.get(key)
        if found is None:
            found = self._machine.step(self, matches)
            if len(self._next) < 10_000:
                self._next[key] = found
        return found


def _name_matcher(name: str) -> Callable[[Segment], bool]:
    return lambda segment: type(segment) is Wild or (type(segment) is Name and segment.name == name)


def _same_key(wanted: Any, key: Any) -> bool:
    return type(wanted) is type(key) and (wanted == key or (wanted != wanted and key != key))


STRICT: Final = Plan()
"""No rules at all."""
