"""The Flask example, through Flask's own test client, and what the how-to says about requests that have ended."""

import threading

import pytest
from flask import Flask, g, request

from shadowmig import Migration, Verdict


def test_flask_users_get_the_old_answers(example, found):
    """Users get control's answers, the two planted bugs become findings, and nothing else does."""
    module = example("flask_comments")
    client = module.app.test_client()

    assert client.get("/comments/1?viewer=eve").json == {"id": 1, "author": "ada", "body": "First!", "viewer": "eve"}
    assert client.get("/comments/2").json == {"id": 2, "author": None, "body": "Buy my pills", "viewer": "nobody"}
    assert client.get("/comments/9").status_code == 404
    assert client.get("/authors/ada/comments").json == {"name": "ada", "comments": 2}
    assert client.get("/authors/bob/comments").json == {"name": "bob", "comments": 0}

    findings, verdicts = found(module.migration)
    assert findings == {("get_comment", "$.author", "type"), ("show_author", "$.data.comments", "changed")}
    assert verdicts == {
        "get_comment": {"match": 1, "mismatch": 1},
        "show_author": {"match": 1, "mismatch": 1},
    }


def test_flask_main_says_what_was_found(example, capsys):
    """The program prints the answers and the findings, and ends."""
    example("flask_comments").main()
    printed = capsys.readouterr().out
    assert "/comments/2: 200 {'author': None" in printed
    assert "found get_comment $.author: None became 'bob'" in printed
    assert printed.count("found ") == 2


@pytest.fixture
def late():
    """Set when the request has ended; what waits for it runs after the request."""
    return threading.Event()


@pytest.fixture
def service(late):
    """A service with a database handle that lives as long as the request."""
    app = Flask("service")

    @app.before_request
    def open_handle():
        g.open = True

    @app.teardown_request
    def close_handle(error):
        g.open = False

    def get(migration, control, candidate, **options):
        app.get("/")(migration.read(control, candidate=candidate, name="get", **options))
        answer = app.test_client().get("/?q=old").json
        late.set()
        assert migration.flush(30)
        return answer, migration.stats().experiments["get"]

    return get


def test_candidate_sees_an_ended_request(service, late):
    """A candidate that runs when the request has ended still reads its arguments."""

    def candidate():
        late.wait(30)
        return {"q": request.args["q"]}

    with Migration("late", sinks=[]) as migration:
        answer, summary = service(migration, lambda: {"q": request.args["q"]}, candidate, deadline=60)
    assert answer == {"q": "old"}
    assert summary.verdicts[Verdict.MATCH] == 1


def by_handle():
    """Answer only while the request's database handle is open."""
    if not g.open:
        raise RuntimeError("the handle is closed")
    return {"score": 1}


def test_control_that_needs_its_request_cannot_be_confirmed(service, late):
    """A mismatch of a control that fails outside its request is counted as raced, and told as an error."""

    def candidate():
        late.wait(30)
        return {"score": 2}

    with Migration("late", sinks=[]) as migration:
        answer, summary = service(migration, by_handle, candidate, deadline=60)
        assert migration.findings() == ()
    assert answer == {"score": 1}
    assert summary.reasons == {"raced:control raised when run again": 1}
    assert summary.errors == {"confirm": 1}


def test_without_confirmation_the_mismatch_is_found(service, late):
    """With ``confirm=False`` control is not run again, and the mismatch is found."""

    def candidate():
        late.wait(30)
        return {"score": 2}

    with Migration("late", sinks=[]) as migration:
        answer, _ = service(migration, by_handle, candidate, deadline=60, confirm=False)
        [finding] = migration.findings()
    assert answer == {"score": 1}
    assert (finding.path, finding.proofs) == ("$.score", {"single": 1})
