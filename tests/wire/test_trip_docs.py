"""The reference has the names of all classes, as the code has them."""

from pathlib import Path

from shadowmig.wire.roundtrip import CLASSES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roundtrip.md"


def row(each):
    """Write a class as a row of the table."""
    cells = (each.name, each.meaning, each.cause, each.remedy)
    shown = [text if "`" in text else text.replace("<", "\\<") for text in cells]
    return f"| {' | '.join(shown)} |"


def test_table_of_classes():
    """The table of the reference has each class, in the order of the code, in its words."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| name | means | usual cause | remedy |")
    assert lines[start + 2 :] == [row(each) for each in CLASSES.values()]
