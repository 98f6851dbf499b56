"""
A Django service in one file, whose comments move from the ORM to plain SQL.

The views are thin and compare the functions behind them, which return plain data. ``show_author`` shows the other way:
a view is compared itself, and the data is taken out of its response.

Run it with ``python examples/django_comments.py``. Django's test client stands for the users. The new implementation
has two bugs, one for each way, and both are found.
"""

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db import close_old_connections, connection, models
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from shadowmig import Migration
from shadowmig.side import checked_side

folder = tempfile.TemporaryDirectory()

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(folder.name) / "comments.sqlite3"}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for this example",  # noqa: S106 - it protects nothing
)
django.setup()

migration = Migration("comments", label="rewrite 0.3")


class Comment(models.Model):
    """A comment as it is stored."""

    author = models.CharField(max_length=40)
    body = models.TextField()
    deleted = models.BooleanField(default=False)

    class Meta:
        """No application is installed, so the model names one itself."""

        app_label = "comments"


# docs begin connections
def off_requests(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let go of database connections where Django does not: when shadowmig runs a side outside of any request."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if checked_side() is None:
            return function(*args, **kwargs)
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return run
    # docs end


# docs begin inner
@off_requests
def new_get_comment(comment_id: int) -> dict[str, Any]:
    """Read a comment by plain SQL. Its bug: it tells the author of a deleted comment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT author, body FROM comments_comment WHERE id = %s", [comment_id])
        row = cursor.fetchone()
    if row is None:
        raise Comment.DoesNotExist  # two sides that refuse in the same way agree
    return {"id": comment_id, "author": row[0], "body": row[1]}


@migration.read(candidate=new_get_comment)
@off_requests
def get_comment(comment_id: int) -> dict[str, Any]:
    """Read a comment through the ORM."""
    comment = Comment.objects.get(id=comment_id)
    return {"id": comment.id, "author": None if comment.deleted else comment.author, "body": comment.body}


def show_comment(request: HttpRequest, comment_id: int) -> HttpResponse:
    """Answer the user; the function that is compared knows nothing of requests."""
    try:
        return JsonResponse(get_comment(comment_id))
    except Comment.DoesNotExist:
        raise Http404 from None
    # docs end


# docs begin view
@off_requests
def new_show_author(request: HttpRequest, name: str) -> HttpResponse:
    """Stand in for the view of the new service. Its bug: it counts deleted comments."""
    return JsonResponse({"name": name, "comments": Comment.objects.filter(author=name).count()})


def status_and_data(response: HttpResponse) -> dict[str, Any]:
    """Take what is compared out of a response."""
    return {"status": response.status_code, "data": json.loads(response.content)}


@migration.read(candidate=new_show_author, extract=status_and_data, share=["request"])
@off_requests
def show_author(request: HttpRequest, name: str) -> HttpResponse:
    """Tell how many comments an author has."""
    return JsonResponse({"name": name, "comments": Comment.objects.filter(author=name, deleted=False).count()})
    # docs end


urlpatterns = [
    path("comments/<int:comment_id>", show_comment),
    path("authors/<str:name>/comments", show_author),
]


def fill() -> None:
    """Make the table and a few comments."""
    with connection.schema_editor() as editor:
        editor.create_model(Comment)
    Comment.objects.create(author="ada", body="First!")
    Comment.objects.create(author="bob", body="Buy my pills", deleted=True)


def main() -> None:
    """Make requests as users would, then print what was found."""
    fill()
    client = Client()
    for url in ("/comments/1", "/comments/2", "/comments/9", "/authors/ada/comments", "/authors/bob/comments"):
        answer = client.get(url)
        print(f"{url}: {answer.status_code} {answer.json() if answer.status_code == 200 else ''}")
    migration.flush()
    for finding in migration.findings():
        example = finding.examples[0]
        print(f"found {finding.experiment} {finding.path}: {example.control} became {example.candidate}")
    migration.close()
    connection.close()
    folder.cleanup()


if __name__ == "__main__":
    main()
