"""
What round trips find between the old service and the new one as first written, as a table in Markdown.

    go build -o wire-go . && python found.py ./wire-go
"""

import sys

from comment import Comment, Document, LegacyDocument, LegacyJson, LegacyMsgPack, LegacyProtobuf

from shadowmig import RoundTrip
from shadowmig.wire.codecs import ProcessCodec

SECONDS = 15
FORMATS = {
    "json": (LegacyJson, Comment),
    "json-any": (LegacyDocument, Document),
    "msgpack": (LegacyMsgPack, Comment),
    "protobuf": (LegacyProtobuf, Comment),
}


def found(program, *options, seconds=SECONDS, count=2000):
    """Check each format for some seconds; give the report of each."""
    reports = {}
    for name, (legacy, model) in FORMATS.items():
        with ProcessCodec([program, *options, name]) as go:
            sides = {"legacy": legacy(), "go": go}
            reports[name] = RoundTrip(sides, sides, baseline="legacy").check(model, count=count, seconds=seconds)
    return reports


def table(reports):
    """Make a row for each class, in the order of their names."""
    rows = {}
    for name, report in reports.items():
        # A loss between the two services tells more than one that a service has with itself.
        for fault in sorted(report.faults, key=lambda fault: fault.writer == fault.reader):
            if not fault.accepted:
                formats = rows.setdefault(fault.name, ([], fault))[0]
                if name not in formats:
                    formats.append(name)
    yield "| class | seen in | from, to | shows as | usual cause |"
    yield "|---|---|---|---|---|"
    for name, (formats, fault) in sorted(rows.items()):
        way = " → ".join(part for part in (fault.writer, fault.via, fault.reader) if part)
        yield f"| {name} | {', '.join(formats)} | {way} | {_shown(fault)} | {fault.cause} |"


def _shown(fault):
    if fault.error:
        return f"`{fault.error[:60]}`".replace("|", "\\|")
    return f"`{_short(fault.want)}` → `{_short(fault.got)}`".replace("|", "\\|")


def _short(value):
    text = value.isoformat() if hasattr(value, "isoformat") else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


if __name__ == "__main__":
    print(*table(found(*sys.argv[1:])), sep="\n")
