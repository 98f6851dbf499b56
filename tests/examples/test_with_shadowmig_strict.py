"""Tests as users write them, with the fixture `shadowmig_strict`; a how-to shows them."""

# docs begin tests
from shadowmig import Migration, Verdict, fraction

migration = Migration("comments", sample=fraction(0.001))


def new_get_comment(comment_id: int) -> dict:
    """Answer as the rewrite does; it does not know comment 7."""
    return {"id": comment_id, "body": "?" if comment_id == 7 else "First!"}


@migration.read(candidate=new_get_comment)
def get_comment(comment_id: int) -> dict:
    """Answer as the service does."""
    return {"id": comment_id, "body": "First!"}


def test_get_comment(shadowmig_strict):
    """A test you have already: it fails now if the two sides differ."""
    assert get_comment(1) == {"id": 1, "body": "First!"}


def test_known_difference(shadowmig_strict):
    """A difference that is known does not fail the test once it is taken out of the list."""
    assert get_comment(7) == {"id": 7, "body": "First!"}
    assert [comparison.verdict for comparison in shadowmig_strict] == [Verdict.MISMATCH]
    shadowmig_strict.clear()
    # docs end


def test_new_migration(shadowmig_strict):
    """A migration that is built while the test runs is compared too."""
    with Migration("built in a test", sinks=[]) as built:
        double = built.read(lambda number: number * 2, candidate=lambda number: number + number, name="double")
        assert double(3) == 6
    assert [comparison.verdict for comparison in shadowmig_strict] == [Verdict.MATCH]
