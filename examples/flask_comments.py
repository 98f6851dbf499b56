"""
A Flask service whose comments get a new implementation.

It shows two ways. ``/comments/<id>`` has a thin view and compares the function behind it, which returns plain data: do
this wherever you can. ``/authors/<name>/comments`` compares a view itself, and takes the data out of its response.

Run it with ``python examples/flask_comments.py``. Flask's test client stands for the users. The new implementation has
two bugs, one for each way, and both are found.
"""

from typing import Any

from flask import Flask, Response, abort, jsonify, request

from shadowmig import Migration

app = Flask(__name__)
migration = Migration("comments", label="rewrite 0.3")

COMMENTS = {
    1: {"id": 1, "author": "ada", "body": "First!", "score": 3, "deleted": False},
    2: {"id": 2, "author": "bob", "body": "Buy my pills", "score": -7, "deleted": True},
    3: {"id": 3, "author": "ada", "body": "Second.", "score": 1, "deleted": False},
}


# docs begin inner
def new_get_comment(comment_id: int, viewer: str) -> dict[str, Any]:
    """Ask the new service. Its bug: it tells the author of a deleted comment."""
    comment = COMMENTS[comment_id]
    return {"id": comment_id, "author": comment["author"], "body": comment["body"], "viewer": viewer}


@migration.read(candidate=new_get_comment)
def get_comment(comment_id: int, viewer: str) -> dict[str, Any]:
    """Read a comment; everything it needs of the request is an argument."""
    comment = COMMENTS[comment_id]
    author = None if comment["deleted"] else comment["author"]
    return {"id": comment_id, "author": author, "body": comment["body"], "viewer": viewer}


@app.get("/comments/<int:comment_id>")
def show_comment(comment_id: int) -> dict[str, Any]:
    """Take what is needed out of the request, and leave the rest to the function that is compared."""
    if comment_id not in COMMENTS:
        abort(404)
    return get_comment(comment_id, viewer=request.args.get("viewer", "nobody"))
    # docs end


# docs begin view
def new_show_author(name: str) -> Response:
    """Stand in for the view of the new service. Its bug: it counts deleted comments."""
    written = [comment for comment in COMMENTS.values() if comment["author"] == name]
    return jsonify(name=name, comments=len(written))


def status_and_data(answer: Any) -> dict[str, Any]:
    """Take what is compared out of whatever a view may return: a response, a dict, a tuple."""
    response = app.make_response(answer)
    return {"status": response.status_code, "data": response.get_json()}


@app.get("/authors/<name>/comments")
@migration.read(candidate=new_show_author, extract=status_and_data)
def show_author(name: str) -> Response:
    """Tell how many comments an author has."""
    written = [comment for comment in COMMENTS.values() if comment["author"] == name and not comment["deleted"]]
    return jsonify(name=name, comments=len(written))
    # docs end


def main() -> None:
    """Make requests as users would, then print what was found."""
    client = app.test_client()
    for path in (
        "/comments/1?viewer=eve",
        "/comments/2",
        "/comments/9",
        "/authors/ada/comments",
        "/authors/bob/comments",
    ):
        answer = client.get(path)
        print(f"{path}: {answer.status_code} {answer.get_json(silent=True)}")
    migration.flush()
    for finding in migration.findings():
        example = finding.examples[0]
        print(f"found {finding.experiment} {finding.path}: {example.control} became {example.candidate}")
    migration.close()


if __name__ == "__main__":
    main()
