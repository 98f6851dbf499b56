"""
The end of the tutorial: a service of plain functions, and its rewrite beside it.

Run it with ``python examples/plain_service.py``. It answers a few calls, prints what each caller got, and then what
the comparison found. The findings are in ``findings.jsonl``, in the folder you start it from:
``shadowmig report findings.jsonl`` shows them.
"""

# docs begin setup
from shadowmig import Migration, structural
from shadowmig.sinks import JsonLines

migration = Migration("comments", sinks=[JsonLines("findings.jsonl")])
# docs end

# docs begin old
COMMENTS = {
    1: {"id": 1, "author": "ada", "body": "First!", "deleted": False},
    2: {"id": 2, "author": "bob", "body": "Buy my pills", "deleted": True},
}


def old_get_comment(comment_id: int) -> dict:
    """Answer as the service does today: of a deleted comment nobody sees the author."""
    comment = COMMENTS[comment_id]
    author = None if comment["deleted"] else comment["author"]
    return {"id": comment["id"], "author": author, "body": comment["body"], "served_by": "old"}
    # docs end


# docs begin new
def new_get_comment(comment_id: int) -> dict:
    """Answer as the rewrite does. It has two bugs."""
    comment = COMMENTS.get(comment_id)
    if comment is None:
        raise ValueError("no such comment")
    return {"id": comment["id"], "author": comment["author"], "body": comment["body"], "served_by": "new"}
    # docs end


# docs begin read
get_comment = migration.read(
    old_get_comment,
    candidate=new_get_comment,
    name="get_comment",
    compare=structural(ignore=["$.served_by"]),
)
# docs end


# docs begin main
def main() -> None:
    """Answer a few calls, then say what was found."""
    for comment_id in (1, 2, 3):
        try:
            print(f"comment {comment_id}: {get_comment(comment_id)}")
        except KeyError:
            print(f"comment {comment_id}: not found")

    migration.flush()
    for finding in migration.findings():
        example = finding.examples[0]
        print(f"{finding.path} {finding.kind}: control {example.control}, candidate {example.candidate}")
    migration.close()


if __name__ == "__main__":
    main()
# docs end
