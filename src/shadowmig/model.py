"""
The values everything else speaks in: frozen, picklable, and free of behaviour that could fail.

Durations are seconds of a monotonic clock; times are timezone-aware UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, overload

from attrs import Factory, field, frozen


class Missing(enum.Enum):
    """The type of `MISSING`."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""Stands where there is no value at all; never equal to ``None``."""


class Side(enum.Enum):
    """Who did it: the old implementation (`CONTROL`) or the new one (`CANDIDATE`). An identity: it never changes."""

    CONTROL = "control"
    CANDIDATE = "candidate"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.CANDIDATE if self is Side.CONTROL else Side.CONTROL


class Stage(enum.Enum):
    """How far a migration has come; it decides which side is served and which one is checked."""

    OFF = "off"
    SHADOW = "shadow"
    LIVE = "live"
    COMPLETE = "complete"


class Verdict(enum.Enum):
    """What came of one sampled call. Only `MATCH` is a match."""

    MATCH = "match"
    MISMATCH = "mismatch"
    RACED = "raced"
    IGNORED = "ignored"
    BROKEN = "broken"
    SKIPPED = "skipped"


Kind: TypeAlias = Literal["changed", "type", "missing", "unexpected", "order", "raised", "deadline", "load"]
"""
What a difference is.

``changed``: another value. ``type``: another type. ``missing``: the candidate lacks it. ``unexpected``: only the
candidate has it. ``order``: the same elements in another order. ``raised``: one side raised, or both raised
differently. ``deadline``: the checked side ran past its deadline. ``load``: more work for the datastore.
"""

KINDS: Final[tuple[Kind, ...]] = ("changed", "type", "missing", "unexpected", "order", "raised", "deadline", "load")


@frozen
class Parameters:
    """
    The parameter names and defaults of a handler, worked out once when it is decorated.

    Attributes:
        names: Names of the positional parameters, in order; ``self`` or ``cls`` included for methods.
        defaults: Values of the parameters that have one.
        all: Names of all parameters.
    """

    names: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = Factory(dict)
    all: tuple[str, ...] = ()


@frozen
class Call:
    """
    One sampled invocation of a handler.

    ``call["comment_id"]`` gives an argument by the handler's parameter name, passed by position, by name, or
    left at its default.

    Attributes:
        id: Unique across processes; the change id of a write.
        experiment: Name of the experiment.
        at: When it was made (UTC).
        args: Positional arguments.
        kwargs: Keyword arguments.
        result: The served side's value, or `MISSING` before it is known or when it raised.
    """

    id: str
    experiment: str
    at: datetime
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = Factory(dict)
    result: Any = MISSING
    parameters: Parameters = field(default=Parameters(), repr=False)

    def __getitem__(self, name: str) -> Any:
        if name in self.kwargs:
            return self.kwargs[name]
        names = self.parameters.names
        if name in names and names.index(name) < len(self.args):
            return self.args[names.index(name)]
        return self.parameters.defaults[name]


@frozen
class Raised:
    """
    An exception as it is kept for comparison: no traceback, so no frames are held alive.

    Attributes:
        type: Qualified name of the class, ``module.Name``.
        message: ``str()`` of the exception, capped.
        bases: Qualified names of the classes it derives from, itself first.
    """

    type: str
    message: str
    bases: tuple[str, ...] = ()


@frozen
class Observation:
    """
    What one side did: it returned a value or it raised, never neither.

    Attributes:
        side: Who did it.
        value: What it returned, or `MISSING` if it raised.
        raised: What it raised, or ``None``.
        duration: Seconds on the monotonic clock.
    """

    side: Side
    value: Any = MISSING
    raised: Raised | None = None
    duration: float = 0.0


RefKind: TypeAlias = Literal["row", "key", "entry"]
"""What a `Ref` leads to, which is a row of a table, a key of a cache, or an entry of a stream."""


@frozen(cache_hash=True)
class Ref:
    """
    The address of one record in a store. Made by `SisterStore.row`, `SisterStore.key` and `SisterStore.entry`.

    Attributes:
        store: Name of the sister store; empty if a store itself made it.
        kind: See `RefKind`.
        space: The table or the stream; empty for a key.
        key: The values of the row's key columns in their order; or one element: the key, or the entry's id.
        stands_for: For an entry: functions that take the state of another record out of the entry's value, by the ref
            of that record (``None`` if it says that the record is gone). So the event of a change can stand in for a
            row that has moved on.
        owner: The sister store that made it, which is asked for the record.
    """

    store: str
    kind: RefKind
    space: str
    key: tuple[Any, ...]
    stands_for: Mapping[Ref, Callable[[Any], Any]] | None = field(default=None, eq=False, repr=False)
    owner: Any = field(default=None, eq=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Ref, (self.store, self.kind, self.space, self.key)  # its owner has connections

    def __str__(self) -> str:
        inside = ", ".join(map(repr, self.key))
        return f"{self.store}:{self.space}[{inside}]" if self.space else f"{self.store}[{inside}]"


@frozen
class Undecodable:
    """
    The value of a record whose bytes the store's codec could not read; it equals nothing that could be read.

    Attributes:
        reason: Class and text of the codec's error.
        size: Number of bytes.
    """

    reason: str
    size: int


@frozen
class Record:
    """
    What a store holds under a ref.

    Attributes:
        ref: Its address.
        value: The decoded value; `MISSING` if there is no record; `Undecodable` if its bytes cannot be read.
        version: The version that is part of the data (a column, a field): the same on both sides after the same
            change. ``None`` if it has none.
        token: The store's own token (Postgres ``xmin``, Memcached CAS): it changes with every write, and means
            nothing in any other store. ``None`` if there is none.
        raw: The bytes, where the store keeps bytes.
        meta: What else the store keeps with the value, such as ``ttl`` (seconds left; ``None`` for no end), ``flags``
            or ``type``.
    """

    ref: Ref
    value: Any = MISSING
    version: Any = None
    token: Any = None
    raw: bytes | None = None
    meta: Mapping[str, Any] = Factory(dict)

    @property
    def exists(self) -> bool:
        """Whether there is a record."""
        return self.value is not MISSING


@frozen
class Change:
    """
    A record that was written after a `Reading`'s mark.

    Attributes:
        ref: Its address.
        at: A mark too: the change is after every mark that is not greater, ``mark < at`` or ``mark == at``.
        count: How often it is there: an entry may be in its stream twice.
    """

    ref: Ref
    at: Any
    count: int = 1


@frozen
class Reading:
    """
    What one read of a store gave.

    Attributes:
        records: One for each ref, in their order.
        mark: The store's own notion of "now", to be given to a later read as ``since``; ``None`` if the store cannot
            tell what changed.
        changed: What was written since the mark that the read was given, in covered tables and streams; at most a
            thousand.
    """

    records: tuple[Record, ...]
    mark: Any = None
    changed: tuple[Change, ...] = ()


Proof: TypeAlias = Literal["version", "event", "reread", "confirmed", "single"]
"""
How a mismatch was proved.

``version``, ``event``, ``reread``: writes, by the race table. ``confirmed``: a read that differed again when both
sides were run once more. ``single``: seen once, not confirmed (``confirm=False``, or a deadline).
"""


@frozen
class Difference:
    """
    One place where two values differ.

    Attributes:
        path: Where, as a JSONPath from ``$``, the root of the answer or of the record.
        kind: What kind of difference it is; see `Kind`.
        control: Control's value there, or `MISSING`.
        candidate: The candidate's value there, or `MISSING`.
        rule: The rule that ignores it, as text; ``None`` if none does.
        note: What a person should know about it, such as an expired rule.
        ref: The record that differs; ``None`` for the answer.
        proof: How this one was proved, if not as the whole comparison was; see `Proof`.
    """

    path: str
    kind: Kind
    control: Any = MISSING
    candidate: Any = MISSING
    rule: str | None = None
    note: str = ""
    ref: Ref | None = None
    proof: Proof | None = None


class Differences(Sequence[Difference]):
    """
    What a comparator found: a sequence of the differences that count, empty when there are none.

    Args:
        found: Differences that count.
        ignored: Differences that a rule ignores. They are not in the sequence; a pair with only these is `IGNORED`.
        truncated: Whether the search stopped at its limit, so that there may be more.
    """

    __slots__ = ("found", "ignored", "truncated")

    def __init__(
        self,
        found: Iterable[Difference] = (),
        *,
        ignored: Iterable[Difference] = (),
        truncated: bool = False,
    ) -> None:
        self.found = tuple(found)
        self.ignored = tuple(ignored)
        self.truncated = truncated

    @overload
    def __getitem__(self, index: int) -> Difference: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Difference, ...]: ...
    def __getitem__(self, index: int | slice) -> Difference | tuple[Difference, ...]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __repr__(self) -> str:
        extra = f", ignored={list(self.ignored)!r}" if self.ignored else ""
        return f"Differences({list(self.found)!r}{extra})"


@frozen
class Comparison:
    """
    The judgement of one call.

    Attributes:
        verdict: What came of it.
        call: The call, or ``None`` if it was shed before it was recorded.
        control: What control did, if it is known.
        candidate: What the candidate did, if it is known.
        differences: Those that count.
        ignored: Those that a rule ignores.
        proof: How a `MISMATCH` was proved.
        reason: Why it was `SKIPPED`, `BROKEN` or `RACED`, in a word or a sentence.
    """

    verdict: Verdict
    call: Call | None = None
    control: Observation | None = None
    candidate: Observation | None = None
    differences: tuple[Difference, ...] = ()
    ignored: tuple[Difference, ...] = ()
    proof: Proof | None = None
    reason: str = ""


@frozen
class Example:
    """
    One occurrence of a finding, as people see it: redacted, size-capped text, printable everywhere.

    Attributes:
        call: Id of the call.
        at: When it was made (UTC).
        path: The exact path, indices included.
        record: The record that differs, as ``store:space[key]``; empty for the answer.
        arguments: The call's arguments.
        control: Control's value at the path.
        candidate: The candidate's value at the path.
        note: What a person should know, such as an expired rule or DeepDiff's explanation.
    """

    call: str
    at: datetime
    path: str
    arguments: str = ""
    control: str = ""
    candidate: str = ""
    note: str = ""
    record: str = ""


@frozen
class Finding:
    """
    A class of mismatches with one fingerprint. Counts are totals since the process began.

    Attributes:
        fingerprint: 16 hex digits; the same for the same kind of mismatch in every process.
        migration: Name of the migration.
        experiment: Name of the experiment.
        path: JSONPath with indices and ids folded to ``[*]`` or ``.*``.
        kind: See `Kind`.
        types: Type names of control's and the candidate's value.
        store: Name of the sister store whose records differ; empty for the answer.
        record: What kind of record it is: the table, the stream, or the key with ids folded to ``*``.
        count: Number of calls that had it.
        first_seen: Time of the first such call (UTC).
        last_seen: Time of the last one (UTC).
        label: The candidate build that had it last, as given to the migration.
        proofs: How often it was proved in which way; see `Proof`.
        examples: The first few occurrences.
    """

    fingerprint: str
    migration: str
    experiment: str
    path: str
    kind: Kind
    types: tuple[str, str]
    count: int
    first_seen: datetime
    last_seen: datetime
    label: str = ""
    proofs: Mapping[str, int] = Factory(dict)
    examples: tuple[Example, ...] = ()
    store: str = ""
    record: str = ""


@frozen
class RuleUse:
    """
    How often a comparator's rule took effect.

    Attributes:
        rule: The rule as text.
        used: Differences it took care of.
        reason: Why it is there, as its author wrote.
        expired: Whether its date has passed, so that it no longer ignores.
    """

    rule: str
    used: int
    reason: str = ""
    expired: bool = False


@frozen
class Summary:
    """
    The counts of one experiment since the process began.

    Attributes:
        experiment: Its name.
        stage: Its stage when the summary was made.
        verdicts: Calls by verdict; every verdict has an entry. Calls that were not sampled are in none.
        reasons: Calls that were `SKIPPED`, `BROKEN` or `RACED`, by reason, as ``"skipped:shed"``.
        errors: Internal failures by the operation they happened in; the call itself has a verdict of its own.
        noise: Paths, with indices folded, at which control disagreed with itself, and in how many calls; blind spots
            of the comparison.
        rules: Use of the comparator's rules; one never used after many calls is probably mistyped or outlived.
        control_seconds: Total time of control in the calls compared.
        candidate_seconds: Total time of the candidate in the calls compared.
    """

    experiment: str
    stage: Stage = Stage.SHADOW
    verdicts: Mapping[Verdict, int] = Factory(lambda: dict.fromkeys(Verdict, 0))
    reasons: Mapping[str, int] = Factory(dict)
    errors: Mapping[str, int] = Factory(dict)
    noise: Mapping[str, int] = Factory(dict)
    rules: tuple[RuleUse, ...] = ()
    control_seconds: float = 0.0
    candidate_seconds: float = 0.0

    @property
    def calls(self) -> int:
        """Number of sampled calls."""
        return sum(self.verdicts.values())


@frozen
class Batch:
    """
    What a sink is given: the state of everything that changed since the last batch.

    Counts are totals of this source, not increments, so a batch that arrives twice or replaces a lost one does no
    harm: of one source the latest counts, over sources they add up.

    Attributes:
        source: Id of the migration object in one process, new after a fork.
        migration: Name of the migration.
        label: The candidate build, as given to the migration.
        at: When the batch was made (UTC).
        findings: Those that are new or have a new count.
        summaries: One for each experiment that had calls.
        lost: Findings not tracked because the tally was full, since the process began.
    """

    source: str
    migration: str
    label: str
    at: datetime
    findings: tuple[Finding, ...] = ()
    summaries: tuple[Summary, ...] = ()
    lost: int = 0
