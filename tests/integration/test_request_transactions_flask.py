"""Writes inside of a request's transaction in Flask with Flask-SQLAlchemy, which is committed at teardown."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_sqlalchemy import SQLAlchemy
from request_support import LONG, SOON, Rewrite, Site, databases, paths, short
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from shadowmig import SisterStore
from shadowmig.model import Call, Ref
from shadowmig.stores import PostgresStore, RedisStore, Stream, Table
from shadowmig.testing.servers import Postgres, Redis
from shadowmig.wire.codecs import Json


class Service:
    """
    The old service.

    Args:
        app: The application: it works in one transaction for each request.
        orm: Its database.
        comment: Its model.
        site: What it is compared by.
    """

    def __init__(self, app: Flask, orm: SQLAlchemy, comment: Any, site: Site) -> None:
        self.app = app
        self.site = site
        self._orm = orm
        self._comment = comment
        self.rewrite = Rewrite(site.db)
        self.at_teardown: Callable[[], object] = lambda: None
        self.outbox: list[Callable[[], object]] = []
        app.teardown_request(self._end)

    def _end(self, error: BaseException | None) -> None:
        """Commit what the request wrote, or roll it back if it failed."""
        self.at_teardown()
        outbox, self.outbox = self.outbox, []
        if error is None:
            self._orm.session.commit()
            for send in outbox:
                send()
        else:
            self._orm.session.rollback()

    def create(self, body: str) -> dict[str, Any]:
        """Store a new comment."""
        comment = self._comment(body=body)
        self._orm.session.add(comment)
        self._orm.session.flush()  # the database gives the id
        return {"id": comment.id, "body": body}

    def edit(self, comment_id: int, body: str) -> dict[str, Any]:
        """Change a comment's text; nothing of it is sent before the commit."""
        comment: Any = self._orm.session.get(self._comment, comment_id)
        comment.body = body
        return {"id": comment_id, "body": body}

    def vote(self, comment_id: int) -> dict[str, Any]:
        """Add a vote; the row is locked until the request ends."""
        comment = self._comment
        statement = (
            update(comment)
            .where(comment.id == comment_id)
            .values(votes=comment.votes + 1, version=comment.version + 1)
            .returning(*comment.__table__.columns)
        )
        return dict(self._orm.session.execute(statement).mappings().one())

    def blame(self, comment_id: int, author: int) -> None:
        """Say who wrote a comment; that there is such an author is checked by the commit."""
        comment = self._comment
        self._orm.session.execute(update(comment).where(comment.id == comment_id).values(author=author))

    def rollback(self) -> None:
        """Take back what the request has written."""
        self._orm.session.rollback()

    def post(self, view: Callable[[], Any]) -> int:
        """Have one request answered by a view, and give the status."""
        return self.app.test_client().post("/", environ_overrides={"view": view}).status_code


def run_view() -> Any:
    """Answer with the view that came with the request."""
    return request.environ["view"]()


@pytest.fixture(scope="module")
def started(postgres: Postgres) -> Iterator[Service]:
    """The old service on two databases of its own."""
    with databases(postgres.url) as (production, sister):
        app = Flask("comments")
        app.config["SQLALCHEMY_DATABASE_URI"] = production.replace("postgresql://", "postgresql+psycopg://")
        app.add_url_rule("/", view_func=run_view, methods=["POST"])
        app.add_url_rule("/comments/<int:comment_id>", endpoint="edit_comment", methods=["POST"])
        app.logger.disabled = True  # its errors are meant
        orm = SQLAlchemy(app)

        class Comment(orm.Model):  # type: ignore[name-defined,misc]  # the base class is made at run time
            __tablename__ = "comments"
            id = orm.mapped_column(orm.Integer, primary_key=True)
            author = orm.mapped_column(orm.Integer, default=1)
            body = orm.mapped_column(orm.Text)
            votes = orm.mapped_column(orm.Integer, default=0)
            version = orm.mapped_column(orm.Integer, nullable=False)
            __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy wants it so

        site = Site(production, sister, client=orm.session)
        yield Service(app, orm, Comment, site)
        site.close()
        with app.app_context():
            orm.engine.dispose()


@pytest.fixture
def service(started: Service) -> Iterator[Service]:
    """The same, as every test finds it."""
    yield started
    started.at_teardown = lambda: None
    started.site.judged()


def told(call: Any) -> Any:
    """Give the version that the answer tells."""
    return call.result["version"]


def more(operation: str) -> dict[str, Any]:
    """Give the options that an operation needs: only a vote answers with its version."""
    return {"version": told} if operation == "vote" else {}


def arguments(site: Site, operation: str) -> tuple[Any, ...]:
    """Give arguments for an operation, on a comment of its own."""
    return {"edit": lambda: (site.new(), "second"), "vote": lambda: (site.new(),), "create": lambda: ("second",)}[
        operation
    ]()


def fail() -> Any:
    """Fail in a later part of the request."""
    raise RuntimeError("later")


# Committed -----------------------------------------------------------------------------------------------------------


def test_flask_commits_at_teardown(service: Service) -> None:
    """Creates, edits that are sent by the commit only, and votes match once they are committed."""
    site = service.site
    create = site.compare(service.create, service.rewrite.create)
    edit = site.compare(service.edit, service.rewrite.edit)
    vote = site.compare(service.vote, service.rewrite.vote, version=told)
    assert service.post(lambda: create("first")) == 200
    ((number,),) = site.sql("SELECT max(id) FROM comments")
    assert [short(one) for one in site.judged()] == ["match"]
    for write in (lambda: edit(number, "second"), lambda: vote(number)):
        assert service.post(write) == 200
        assert [short(one) for one in site.judged()] == ["match"]
    assert site.held(number) == ("second", 1, 3)


def test_flask_nothing_is_seen_before_the_commit(service: Service) -> None:
    """While the request is open, long after the candidate has written, there is no verdict yet."""
    site, number = service.site, service.site.new()
    rewrite = Rewrite(site.db)
    edit = site.compare(service.edit, rewrite.edit)
    pending = []

    def wait() -> None:
        assert rewrite.ran.wait(LONG)
        pending.append(site.migration.flush(0.2))

    service.at_teardown = wait
    assert service.post(lambda: edit(number, "second")) == 200
    assert pending == [False]
    assert [short(one) for one in site.judged()] == ["match"]


def test_flask_slow_commit(service: Service) -> None:
    """A commit that takes its time is waited for."""
    site, number = service.site, service.site.new()
    edit = site.compare(service.edit, service.rewrite.edit)
    assert service.post(lambda: edit(number, "slow")) == 200
    assert [short(one) for one in site.judged()] == ["match"]


def test_flask_commit_later_than_settle(service: Service) -> None:
    """A commit that comes later than ``settle`` is no mismatch, and the next write matches."""
    site, number = service.site, service.site.new()
    edit = site.compare(service.edit, service.rewrite.edit, settle=0.1)
    service.at_teardown = lambda: site.migration.flush(LONG)
    assert service.post(lambda: edit(number, "second")) == 200
    assert [short(one) for one in site.judged()] == ["skipped:not_committed"]
    service.at_teardown = lambda: None
    edit = site.compare(service.edit, service.rewrite.edit)
    assert service.post(lambda: edit(number, "third")) == 200
    assert [short(one) for one in site.judged()] == ["match"]


def test_flask_view_is_the_handler(service: Service) -> None:
    """A decorated view is compared like a function that a view calls."""
    site, number = service.site, service.site.new()

    def edit_comment(comment_id: int) -> Response:
        service.edit(comment_id, request.get_json()["body"])
        return Response("done", status=202)

    def edit_comment_anew(comment_id: int) -> Response:
        service.rewrite.edit(comment_id, request.get_json()["body"])
        return Response("done", status=202)

    view = site.compare(edit_comment, edit_comment_anew, extract=lambda answer: [answer.status_code, answer.data])
    service.app.view_functions["edit_comment"] = view
    answer = service.app.test_client().post(f"/comments/{number}", json={"body": "second"})
    assert (answer.status_code, answer.text) == (202, "done")
    assert [short(one) for one in site.judged()] == ["match"]
    assert site.held(number) == ("second", 0, 2)


def test_flask_inline_sees_no_commit(service: Service) -> None:
    """Judged before the handler returns, a call in a request's transaction is never seen committed."""
    site, number = service.site, service.site.new()
    edit = site.compare(service.edit, service.rewrite.edit, settle=SOON)
    with site.migration.inline() as seen:
        assert service.post(lambda: edit(number, "second")) == 200
    assert [short(one) for one in seen] == ["skipped:not_committed"]
    assert site.held(number) == ("second", 0, 2)


# Defects -------------------------------------------------------------------------------------------------------------


def test_flask_defects(service: Service) -> None:
    """What a candidate with a defect leaves in the sister is found after the commit, at the right place."""
    site = service.site
    expected = {
        ("edit", "body"): ["$.body version"],
        ("edit", "bump"): ["$.version version"],
        ("edit", "lazy"): ["$.body version", "$.version version"],
        ("vote", "votes"): ["$.votes version"],
        ("vote", "bump"): ["$.version version"],
        ("create", "body"): ["$.body version"],
    }
    for operation, defect in expected:
        candidate = getattr(Rewrite(site.db, defect), operation)
        handler = site.compare(getattr(service, operation), candidate, settle=2, **more(operation))
        given = arguments(site, operation)
        assert service.post(lambda handler=handler, given=given: handler(*given)) == 200
    found = site.judged()
    assert [short(one) for one in found] == ["mismatch"] * len(expected)
    assert [paths(one) for one in found] == list(expected.values())


# Rolled back ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["raises", "rolls back", "refused"])
def test_flask_rolled_back(service: Service, way: str) -> None:
    """A rolled-back request is counted as not committed, and the next write to the comment matches."""
    site = service.site
    given = {operation: arguments(site, operation) for operation in ("edit", "vote", "create")}
    before = site.sql("SELECT * FROM comments ORDER BY id")
    for operation, values in given.items():
        handler = site.compare(
            getattr(service, operation), getattr(service.rewrite, operation), settle=SOON, **more(operation)
        )

        def view(handler: Callable[..., Any] = handler, values: tuple[Any, ...] = values) -> Any:
            answer = handler(*values)
            if way == "raises":
                fail()
            elif way == "rolls back":
                service.rollback()
            else:
                service.blame(answer["id"], author=99)
            return answer

        if way == "refused":
            with pytest.raises(IntegrityError):
                service.post(view)
        else:
            assert service.post(view) == (500 if way == "raises" else 200)
    assert [short(one) for one in site.judged()] == ["skipped:not_committed"] * 3
    assert site.sql("SELECT * FROM comments ORDER BY id") == before

    for operation, values in given.items():
        handler = site.compare(getattr(service, operation), getattr(service.rewrite, operation), **more(operation))
        assert service.post(lambda handler=handler, values=values: handler(*values)) == 200
    assert [short(one) for one in site.judged()] == ["match"] * 3


# Events --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def events() -> Iterator[SisterStore]:
    """A stream of events, with its sister."""
    streams = [Stream("events", id="event_id", payload="body", codec=Json(), version=lambda event: event["version"])]
    with Redis() as server:
        store = SisterStore(
            name="events",
            production=RedisStore(server.url, streams=streams, timeout=LONG),
            sister=RedisStore(server.url.replace("/0", "/1"), streams=streams, timeout=LONG),
        )
        yield store
        store.close()


def telling(
    vote: Callable[[int], dict[str, Any]], events: SisterStore, outbox: Callable[[], list[Any]] | None = None
) -> Callable[..., dict[str, Any]]:
    """Have a vote told to other teams: at once, or by way of an outbox."""

    def vote_and_tell(comment_id: int, *, event_id: str = "") -> dict[str, Any]:
        answer = vote(comment_id)
        event_id = event_id or uuid.uuid4().hex
        event = {"version": answer["version"], "after": answer}
        fields: Any = {"event_id": event_id, "body": json.dumps(event)}
        if outbox is None:
            events.client().xadd("events", fields)
        else:
            outbox().append(lambda: events.client().xadd("events", fields))
        return {**answer, "event_id": event_id}

    return vote_and_tell


def compare_votes(
    service: Service, events: SisterStore, over: threading.Event | None = None, **options: Any
) -> Callable[..., dict[str, Any]]:
    """Decorate votes that are told to others; the event stands for the row."""
    site = service.site

    def touches(call: Call) -> list[Ref]:
        row = site.db.row("comments", call["comment_id"])
        stands_for = {row: lambda event: event["after"]}
        return [row, events.entry("events", call.result["event_id"], stands_for=stands_for)]

    return site.compare(
        telling(service.vote, events),
        telling(service.rewrite.vote, events),
        touches=touches if over is None else once(over, touches),
        carry=lambda call: {"event_id": call.result["event_id"]},
        **options,
    )


def test_flask_rolled_back_after_its_event(service: Service, events: SisterStore) -> None:
    """An event that was told, of a row that was rolled back, is no mismatch, and the next vote matches."""
    site = service.site
    number = site.new()
    vote = compare_votes(service, events, settle=SOON)
    assert service.post(lambda: (vote(number), fail())) == 500
    assert [short(one) for one in site.judged()] == ["skipped:not_committed"]
    assert site.held(number) == ("first", 0, 1)
    vote = compare_votes(service, events)
    assert service.post(lambda: vote(number)) == 200
    assert [short(one) for one in site.judged()] == ["match"]


def test_flask_events_after_the_commit(service: Service, events: SisterStore) -> None:
    """Events that are sent after the commit are waited for."""
    site, number = service.site, service.site.new()
    vote = site.compare(
        telling(service.vote, events, lambda: service.outbox),
        telling(service.rewrite.vote, events),
        touches=lambda call: [*site.row(call), events.entry("events", call.result["event_id"])],
        carry=lambda call: {"event_id": call.result["event_id"]},
    )
    assert service.post(lambda: vote(number)) == 200
    assert [short(one) for one in site.judged()] == ["match"]
    assert events.production.client().xlen("events") == 1


# Two requests at once ------------------------------------------------------------------------------------------------


def at_once(service: Service, first: Callable[[], Any], second: Callable[[], Any]) -> None:
    """Have two requests answered: the second waits for a row that the first one holds until its commit."""
    ready = threading.Event()

    def view() -> Any:
        answer = first()
        ready.set()
        service.site.wait_for_a_lock()
        return answer

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(service.post, view)
        assert ready.wait(LONG)
        other = threads.submit(service.post, second)
        assert (one.result(LONG), other.result(LONG)) == (200, 200)


@pytest.mark.parametrize(("defect", "allowed"), [("", {"match", "raced"}), ("votes", {"mismatch", "raced"})])
def test_flask_two_at_once(service: Service, defect: str, allowed: set[str]) -> None:
    """Of two requests that vote on one comment at once none is a false alarm, and no defect is a match."""
    site, number = service.site, service.site.new()
    vote = site.compare(service.vote, Rewrite(site.db, defect).vote, version=told)
    at_once(service, lambda: vote(number), lambda: vote(number))
    found = [one.verdict.value for one in site.judged()]
    assert len(found) == 2
    assert set(found) <= allowed
    assert site.held(number) == ("first", 2, 3)


def once(over: threading.Event, touches: Callable[[Call], list[Ref]]) -> Callable[[Call], list[Ref]]:
    """Let shadowmig look at production only when both requests are over, so that it sees nothing in between."""

    def wait(call: Call) -> list[Ref]:
        assert over.wait(LONG)
        return touches(call)

    return wait


def test_flask_races_are_explained(service: Service) -> None:
    """A race with another sampled request, whose commit was still to come, is not called unexplained."""
    site, number, over = service.site, service.site.new(), threading.Event()
    vote = site.compare(service.vote, service.rewrite.vote, version=told, touches=once(over, site.row))
    at_once(service, lambda: vote(number), lambda: vote(number))
    over.set()
    assert "unexplained" not in " ".join(short(one) for one in site.judged())


def test_flask_two_at_once_with_events(service: Service, events: SisterStore) -> None:
    """Where the event of each vote tells the row, both of two requests at once get a real verdict."""
    number, over = service.site.new(), threading.Event()
    vote = compare_votes(service, events, over)
    at_once(service, lambda: vote(number), lambda: vote(number))
    over.set()
    assert [short(one) for one in service.site.judged()] == ["match", "match"]


def test_flask_both_roll_back(service: Service) -> None:
    """Two requests at once that are both rolled back are both not committed."""
    site, number = service.site, service.site.new()
    vote = site.compare(service.vote, service.rewrite.vote, version=told, settle=SOON)

    def view() -> Any:
        answer = vote(number)
        service.rollback()
        return answer

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(service.post, [view, view])) == [200, 200]
    assert {short(one) for one in site.judged()} <= {"skipped:not_committed", "raced:base moved"}
    assert site.held(number) == ("first", 0, 1)


LOST = ("raced:contested", "skipped:not_committed")
"""What a write may be that was rolled back, when another one took the version that it had."""


def test_flask_rolled_back_and_tried_again(service: Service) -> None:
    """A user who tries again at once, after a request that failed, makes no mismatch."""
    site, number = service.site, service.site.new()
    edit = site.compare(service.edit, service.rewrite.edit, settle=5)
    assert service.post(lambda: (edit(number, "second"), fail())) == 500
    assert service.post(lambda: edit(number, "third")) == 200
    first, second = map(short, site.judged())
    assert (first in LOST, second) == (True, "match")


def test_flask_stale_data(service: Service) -> None:
    """An edit whose commit is refused, because another request has edited the comment meanwhile, is no mismatch."""
    site, number = service.site, service.site.new()
    edit = site.compare(service.edit, service.rewrite.edit, settle=5)
    turns = [lambda: service.post(lambda: edit(number, "third"))]
    with ThreadPoolExecutor(1) as other:
        service.at_teardown = lambda: other.submit(turns.pop()).result(LONG) if turns else None
        with pytest.raises(StaleDataError):
            service.post(lambda: edit(number, "second"))
    assert site.held(number) == ("third", 0, 2)
    first, second = map(short, site.judged())
    assert (first in LOST, second) == (True, "match")


# What a request wrote before -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"version": told}], ids=["inferred", "told"])
def test_flask_written_before_in_the_same_request(service: Service, options: dict[str, Any]) -> None:
    """What the request has written before the handler cannot be hydrated: the call races, and is no mismatch."""
    site, number = service.site, service.site.new()
    vote = site.compare(service.vote, service.rewrite.vote, **options)
    assert service.post(lambda: (service.vote(number), vote(number))[1]) == 200
    (found,) = site.judged()
    assert found.verdict.value == "raced"
    assert site.held(number) == ("first", 2, 3)


@pytest.mark.parametrize("options", [{}, {"version": told}], ids=["inferred", "told"])
def test_flask_two_writes_in_one_request(service: Service, options: dict[str, Any]) -> None:
    """Two compared writes to one comment in one transaction race, for the state between them is never seen."""
    site, number = service.site, service.site.new()
    vote = site.compare(service.vote, service.rewrite.vote, **options)
    assert service.post(lambda: (vote(number), vote(number))[1]) == 200
    assert [one.verdict.value for one in site.judged()] == ["raced", "raced"]
    assert site.held(number) == ("first", 2, 3)


def test_flask_written_before_without_versions(service: Service) -> None:
    """Without versions nobody can tell what the request wrote before the handler: the mismatch is marked as weak."""
    site = service.site
    tables = [Table("comments", key="id")]
    bare = SisterStore(
        name="bare",
        production=PostgresStore(site.url, tables=tables, timeout=LONG),
        sister=PostgresStore(site.sister_url, tables=tables, timeout=LONG),
    )
    number, rewrite = site.new(), Rewrite(bare)
    edit = site.compare(
        service.edit,
        rewrite.edit,
        hydrate=lambda call: [bare.row("comments", call["comment_id"])],
        touches=lambda call: [bare.row("comments", call["comment_id"])],
        settle=1,
    )
    assert service.post(lambda: (service.vote(number), edit(number, "second"))[1]) == 200
    (found,) = site.judged()
    assert (short(found), found.proof) == ("mismatch", "reread")
    bare.close()


def test_flask_other_comments_in_one_request(service: Service) -> None:
    """Writes to different comments in one transaction are verified each by itself."""
    site = service.site
    edit = site.compare(service.edit, service.rewrite.edit)
    numbers = [site.new() for _ in range(3)]
    assert service.post(lambda: [edit(number, "second") for number in numbers]) == 200
    assert [short(one) for one in site.judged()] == ["match"] * 3
