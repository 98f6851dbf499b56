"""
A Django service with ATOMIC_REQUESTS on a real Postgres, and what becomes of its writes under comparison.

Django can be configured only once in a process, so this is a program: it is given the URL of a Postgres server, and
prints what each scenario gave, as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

sys.path.insert(0, str(Path(__file__).parents[1]))

from request_support import LONG, SOON, Rewrite, Site, databases, paths, short

Scenario = Callable[["Service"], Any]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Have a scenario run, in the order of the file."""
    SCENARIOS[function.__name__] = function
    return function


def configure(url: str) -> None:
    """Set Django up on production's database."""
    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "ATOMIC_REQUESTS": True,
        "NAME": parts.path[1:],
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
    }
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database},
        ROOT_URLCONF=__name__,
        SECRET_KEY="only for tests",
        USE_TZ=True,
    )
    django.setup()
    logging.getLogger("django.request").disabled = True  # its errors are meant


def run_view(request: HttpRequest) -> HttpResponse:
    """Answer with the view that came with the request."""
    answer = request.META["view"]()
    return answer if isinstance(answer, HttpResponse) else JsonResponse({})


urlpatterns = [path("", run_view)]


class Service:
    """
    The old service.

    Args:
        site: What it is compared by.
    """

    def __init__(self, site: Site) -> None:
        class Comment(models.Model):
            body = models.TextField()
            author = models.IntegerField(default=1)
            votes = models.IntegerField(default=0)
            version = models.IntegerField(default=1)

            class Meta:
                app_label = "comments"
                db_table = "comments"

        self.comments = Comment.objects
        self.site = site
        self.rewrite = Rewrite(site.db)

    def create(self, body: str) -> dict[str, Any]:
        """Store a new comment."""
        return {"id": self.comments.create(body=body).pk, "body": body}

    def edit(self, comment_id: int, body: str) -> dict[str, Any]:
        """Change a comment's text."""
        comment = self.comments.get(pk=comment_id)
        comment.body, comment.version = body, comment.version + 1
        comment.save()
        return {"id": comment_id, "body": body}

    def vote(self, comment_id: int) -> dict[str, Any]:
        """Add a vote; the row is locked until the request ends."""
        comment = self.comments.filter(pk=comment_id)
        comment.update(votes=F("votes") + 1, version=F("version") + 1)
        return dict(comment.values().get())

    def compare(self, operation: str, defect: str = "", **options: Any) -> Callable[..., Any]:
        """Decorate an operation with the rewrite's; only a vote answers with its version."""
        if operation == "vote":
            options["version"] = lambda call: call.result["version"]
        candidate = getattr(Rewrite(self.site.db, defect), operation)
        return self.site.compare(getattr(self, operation), candidate, **options)

    def arguments(self, operation: str) -> tuple[Any, ...]:
        """Give arguments for an operation, on a comment of its own."""
        if operation == "create":
            return ("second",)
        return (self.site.new(), "second") if operation == "edit" else (self.site.new(),)

    def post(self, view: Callable[[], Any]) -> int:
        """Have one request answered by a view, and give the status."""
        return int(Client(raise_request_exception=False).post("/", view=view).status_code)

    def post_and_close(self, view: Callable[[], Any]) -> int:
        """Do the same in a thread that ends."""
        try:
            return self.post(view)
        finally:
            connections.close_all()

    def at_once(self, first: Callable[[], Any], second: Callable[[], Any]) -> list[int]:
        """Have two requests answered: the second waits for a row that the first one holds until its commit."""
        ready = threading.Event()

        def view() -> None:
            first()
            ready.set()
            self.site.wait_for_a_lock()

        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(self.post_and_close, view)
            assert ready.wait(LONG)
            other = threads.submit(self.post_and_close, second)
            return [one.result(LONG), other.result(LONG)]

    def verdicts(self) -> list[str]:
        """Give the verdicts since the last time."""
        return [short(one) for one in self.site.judged()]


def fail() -> Any:
    """Fail in a later part of the request."""
    raise RuntimeError("later")


# Committed -----------------------------------------------------------------------------------------------------------


@scenario
def committed(service: Service) -> Any:
    """Make requests that are committed."""
    found = {}
    for operation in ("create", "edit", "vote"):
        handler, given = service.compare(operation), service.arguments(operation)
        found[operation] = [service.post(lambda handler=handler, given=given: handler(*given)), *service.verdicts()]
    return found


@scenario
def pending(service: Service) -> Any:
    """Look for a verdict while the request is still open, long after the candidate has written."""
    number, before = service.site.new(), []
    edit = service.site.compare(service.edit, service.rewrite.edit)

    def view() -> None:
        edit(number, "second")
        assert service.rewrite.ran.wait(LONG)
        before.append(service.site.migration.flush(0.2))

    status = service.post(view)
    return [status, before, service.verdicts()]


@scenario
def slow(service: Service) -> Any:
    """Have the view itself be the handler, and its commit take its time."""
    number = service.site.new()

    def edit_comment(request: HttpRequest, comment_id: int) -> HttpResponse:
        service.edit(comment_id, request.GET["body"])
        return JsonResponse({"id": comment_id}, status=202)

    def edit_comment_anew(request: HttpRequest, comment_id: int) -> HttpResponse:
        service.rewrite.edit(comment_id, request.GET["body"])
        return JsonResponse({"id": comment_id}, status=202)

    def extract(answer: HttpResponse) -> Any:
        return [answer.status_code, json.loads(answer.content)]

    view = service.site.compare(edit_comment, edit_comment_anew, extract=extract, share=["request"])
    urlpatterns.append(path("comments/<int:comment_id>", view))
    answer = Client().post(f"/comments/{number}?body=slow")
    return [answer.status_code, answer.json() == {"id": number}, service.verdicts(), service.site.held(number)]


@scenario
def late(service: Service) -> Any:
    """Commit later than ``settle``, and write once more."""
    number = service.site.new()
    edit = service.compare("edit", settle=0.1)
    service.post(lambda: (edit(number, "second"), service.site.migration.flush(LONG)))
    first = service.verdicts()
    edit = service.compare("edit")
    service.post(lambda: edit(number, "third"))
    return [first, service.verdicts()]


@scenario
def error_response(service: Service) -> Any:
    """Return a response that tells of an error, which Django commits."""
    number = service.site.new()
    edit = service.compare("edit")
    status = service.post(lambda: edit(number, "second") and HttpResponse(status=500))
    return [status, service.verdicts(), service.site.held(number)]


@scenario
def defects(service: Service) -> Any:
    """Have candidates with defects checked."""
    tried = [
        ("edit", "body"),
        ("edit", "bump"),
        ("edit", "lazy"),
        ("vote", "votes"),
        ("vote", "bump"),
        ("create", "body"),
    ]
    for operation, defect in tried:
        handler = service.compare(operation, defect, settle=2)
        given = service.arguments(operation)
        service.post(lambda handler=handler, given=given: handler(*given))
    return [[*one, short(seen), paths(seen)] for one, seen in zip(tried, service.site.judged(), strict=True)]


# Rolled back ---------------------------------------------------------------------------------------------------------


@scenario
def rolled_back(service: Service) -> Any:
    """Roll requests back in several ways, and write to the same comments once more."""
    found = {}
    for way in ("raises", "set_rollback", "refused", "savepoint"):
        given = {operation: service.arguments(operation) for operation in ("edit", "vote", "create")}
        before = service.site.sql("SELECT * FROM comments ORDER BY id")
        statuses = []
        for operation, values in given.items():
            handler = service.compare(operation, settle=SOON)
            statuses.append(
                service.post(lambda handler=handler, values=values, way=way: _undo(service, way, handler, values))
            )
        verdicts = service.verdicts()
        untouched = service.site.sql("SELECT * FROM comments ORDER BY id") == before
        for operation, values in given.items():
            handler = service.compare(operation)
            service.post(lambda handler=handler, values=values: handler(*values))
        found[way] = [statuses, verdicts, untouched, service.verdicts()]
    return found


def _undo(service: Service, way: str, handler: Callable[..., Any], values: tuple[Any, ...]) -> None:
    if way == "savepoint":
        try:
            with transaction.atomic():
                handler(*values)
                fail()
        except RuntimeError:
            return
    answer = handler(*values)
    if way == "raises":
        fail()
    elif way == "set_rollback":
        transaction.set_rollback(True)
    else:
        service.comments.filter(pk=answer["id"]).update(author=99)


@scenario
def tried_again(service: Service) -> Any:
    """Have a request fail, and the user try again at once."""
    number = service.site.new()
    edit = service.compare("edit", settle=5)
    statuses = [service.post(lambda: (edit(number, "second"), fail())), service.post(lambda: edit(number, "third"))]
    return [statuses, service.verdicts(), service.site.held(number)]


# Two requests at once ------------------------------------------------------------------------------------------------


@scenario
def two_at_once(service: Service) -> Any:
    """Have two requests vote on one comment at once, with a right candidate and with a wrong one."""
    found = {}
    for defect in ("", "votes"):
        number = service.site.new()
        vote = service.compare("vote", defect)
        statuses = service.at_once(
            lambda vote=vote, number=number: vote(number), lambda vote=vote, number=number: vote(number)
        )
        found[defect] = [statuses, service.verdicts(), service.site.held(number)]
    return found


@scenario
def written_before(service: Service) -> Any:
    """Write to a comment, and then let the handler write to it, in one request."""
    number = service.site.new()
    vote = service.compare("vote")
    status = service.post(lambda: (service.vote(number), vote(number)))
    return [status, service.verdicts(), service.site.held(number)]


def main(server: str) -> None:
    """Run all scenarios."""
    with databases(server) as (production, sister):
        configure(production)
        site = Site(production, sister, client="default")
        service = Service(site)
        found = {name: run(service) for name, run in SCENARIOS.items()}
        site.close()
        connections.close_all()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
