"""
One conversation with a Postgres server: several statements in one round trip, none past its deadline.

It is written as generators over libpq that tell what they wait for, as psycopg's own are, so that a thread and an event
loop drive the very same code.

Danger: the name of a host is looked up by libpq without a deadline; ``hostaddr`` in the conninfo avoids that.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final

import psycopg
from attrs import define, frozen
from psycopg import pq
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, PollingStatus, TransactionStatus
from psycopg.waiting import Ready, Wait

if TYPE_CHECKING:
    from psycopg.abc import PQGen, PQGenConn
    from psycopg.pq.abc import PGconn, PGresult

_READABLE: Final = int(Ready.R)
_STATEMENTS: Final = 1000
"""Most statements kept prepared on a connection."""

_REPLANNED: Final = {"0A000": "RevalidateCachedQuery", "26000": None}
"""States of the server by which a kept statement shows to be outdated, and the server's function that says so."""


class Late(Exception):
    """The deadline passed."""


class Broken(Exception):
    """The connection was lost."""


class Outdated(Broken):
    """A kept statement does not fit the schema any longer; on a new connection it will."""


class Unreached(Exception):
    """No connection could be made."""


class Refused(Exception):
    """
    The server refused a statement; the connection is as good as before.

    Attributes:
        error: What psycopg makes of the answer.
        table: The name of the table it was about.
    """

    def __init__(self, error: psycopg.Error, table: str) -> None:
        super().__init__(table)
        self.error = error
        self.table = table


@frozen
class Command:
    """
    One statement with its parameters.

    Attributes:
        text: SQL with ``$1``, ``$2``.
        values: The parameters as text in UTF-8, or ``None`` for NULL. The server gives them the types of the columns
            they meet.
        table: The table it is about, for messages.
        keep: Whether to keep it prepared.
    """

    text: bytes
    values: tuple[bytes | None, ...] = ()
    table: str = ""
    keep: bool = True


@define(eq=False)
class Line:
    """
    A connection, used by one thread at a time.

    Attributes:
        pgconn: The connection of libpq.
        kept: Names of statements prepared on it, by their text; ``None`` if none may be left behind.
        generation: Which of its pool's generations it belongs to.
        named: How many names were given so far; a name is never used twice.
    """

    pgconn: PGconn
    kept: dict[bytes, bytes] | None = None
    generation: int = 0
    named: int = 0


def connect(conninfo: bytes, deadline: float) -> PQGenConn[PGconn]:
    """
    Connect.

    Raises:
        Late: It took too long.
        Unreached: It failed.
    """
    pgconn = pq.PGconn.connect_start(conninfo)
    try:
        while (status := pgconn.connect_poll()) != PollingStatus.OK:
            if status == PollingStatus.FAILED:
                raise Unreached from psycopg.OperationalError(pgconn.get_error_message("utf-8"))
            wait = Wait.R if status == PollingStatus.READING else Wait.W
            while not (yield pgconn.socket, wait):
                _check(deadline)
            _check(deadline)
        pgconn.nonblocking = 1
    except BaseException:
        pgconn.finish()
        raise
    return pgconn


def exchange(
    line: Line, commands: Sequence[Command], begin: Sequence[Command], deadline: float
) -> PQGen[list[PGresult]]:
    """
    Run statements and give their results.

    Args:
        line: The connection; no transaction may be open on it.
        commands: What to run.
        begin: Statements that open a transaction and set it up; it is committed at the end, or rolled back if a
            statement fails. With none of them, each statement is a transaction of its own.
        deadline: When to give up, on the monotonic clock.

    Raises:
        Late: The deadline passed; the connection is of no use any more.
        Broken: The connection was lost.
        Refused: The server refused a statement.
    """
    pgconn, kept = line.pgconn, line.kept
    everything = [*begin, *commands, _COMMIT] if begin else commands
    try:
        if kept is not None and len(everything) == 1 and (name := kept.get(commands[0].text)):
            # The usual read: pipeline mode would only add to its cost.
            pgconn.send_query_prepared(name, commands[0].values)
            answers = [(yield from _results(pgconn, deadline))]
        else:
            answers = yield from _pipeline(line, everything, deadline)
        if pgconn.transaction_status == TransactionStatus.INERROR:
            pgconn.send_query(b"ROLLBACK")
            yield from _results(pgconn, deadline)
    except psycopg.Error as error:
        raise Broken from error
    for command, answer in zip(everything, answers, strict=True):
        if answer.status == ExecStatus.FATAL_ERROR:
            _refuse(line, command, answer)
    return answers[len(begin) : len(begin) + len(commands)]


_COMMIT: Final = Command(b"COMMIT", keep=False)


def _refuse(line: Line, command: Command, answer: PGresult) -> None:
    error = error_from_result(answer, "utf-8")
    if line.pgconn.status == ConnStatus.BAD:
        raise Broken from error
    state = error.sqlstate or ""
    if state in _REPLANNED and line.kept and _REPLANNED[state] in (None, error.diag.source_function):
        raise Outdated from error
    raise Refused(error, command.table) from error


def _pipeline(line: Line, commands: Sequence[Command], deadline: float) -> PQGen[list[PGresult]]:
    """Send everything at once, then collect an answer for each command."""
    pgconn = line.pgconn
    sent = _send(line, commands)
    answers: list[PGresult] = []
    failed: PGresult | None = None
    for text in sent:
        answer = yield from _results(pgconn, deadline)
        if text is None:
            # What failed to be prepared is not run: the reason stands at the preparation.
            answers.append(failed or answer)
            failed = None
        elif answer.status != ExecStatus.COMMAND_OK:
            assert line.kept is not None
            del line.kept[text]
            failed = answer
    yield from _results(pgconn, deadline)  # of the sync
    pgconn.exit_pipeline_mode()
    return answers


def _send(line: Line, commands: Sequence[Command]) -> list[bytes | None]:
    """Queue commands and a sync; tell what will be answered: the text of a statement to keep, or None for one run."""
    pgconn = line.pgconn
    pgconn.enter_pipeline_mode()
    sent: list[bytes | None] = []
    for command in commands:
        if _prepare(line, command):
            sent.append(command.text)
        name = line.kept.get(command.text) if line.kept is not None else None
        if name is None:
            pgconn.send_query_params(command.text, command.values)
        else:
            pgconn.send_query_prepared(name, command.values)
        sent.append(None)
    pgconn.pipeline_sync()
    return sent


def _prepare(line: Line, command: Command) -> bool:
    """Send a statement to be kept under a name, if it is to be and is not yet."""
    kept = line.kept
    if kept is None or not command.keep or command.text in kept or len(kept) >= _STATEMENTS:
        return False
    line.named += 1
    kept[command.text] = name = b"shadowmig_%d" % line.named
    line.pgconn.send_prepare(name, command.text)
    return True


def _results(pgconn: PGconn, deadline: float) -> PQGen[PGresult]:
    """Send what waits and collect the answer to one statement, or to a sync."""
    while pgconn.flush():
        ready = yield Wait.RW
        # The server may wait for us to read before it reads on.
        if ready & _READABLE:
            pgconn.consume_input()
        _check(deadline)
    first: PGresult | None = None
    while True:
        while pgconn.is_busy():
            if not (yield Wait.R):
                _check(deadline)
                continue
            pgconn.consume_input()
            if pgconn.is_busy():
                _check(deadline)
        result = pgconn.get_result()
        if result is None:
            if first is None:
                raise psycopg.OperationalError("there is no answer")
            return first
        if result.status == ExecStatus.PIPELINE_SYNC:
            return result
        first = first or result


def _check(deadline: float) -> None:
    if monotonic() >= deadline:
        raise Late


def hung_up(pgconn: PGconn) -> bool:
    """Whether there is something to read on an idle connection: the server's farewell."""
    if pgconn.status == ConnStatus.BAD:
        return True
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
