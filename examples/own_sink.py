"""
A sink of your own: counters for a statsd server, over UDP.

A sink is any callable that takes a `Batch`. Batches hold totals since the process began, not increments; statsd wants
increments, so this sink remembers what it told last.

Run it with ``python examples/own_sink.py``. A socket of the example's own stands for the statsd server.
"""

# docs begin sink
import socket

from shadowmig import Migration, Verdict
from shadowmig.model import Batch


class Statsd:
    """
    Count verdicts and findings in statsd.

    Args:
        host: Where the server is.
        port: Its UDP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._told: dict[tuple[str, str], int] = {}
        self._socket: socket.socket | None = None

    def __call__(self, batch: Batch) -> None:
        """Send what is new in this batch; called by one thread at a time, off the path of your users."""
        if self._socket is None:  # at first use, so that a forked worker does not share its parent's
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for summary in batch.summaries:
            for verdict in Verdict:
                self._count(batch, f"{summary.experiment}.{verdict.value}", summary.verdicts[verdict])
        for finding in batch.findings:
            self._count(batch, f"{finding.experiment}.finding.{finding.fingerprint}", finding.count)

    def _count(self, batch: Batch, name: str, total: int) -> None:
        key = (batch.source, name)  # a forked worker is a source of its own, whose totals begin at zero
        more = total - self._told.get(key, 0)
        if more > 0:
            line = f"shadowmig.{batch.migration}.{name}:{more}|c"
            assert self._socket is not None
            self._socket.sendto(line.encode(), self._address)
            self._told[key] = total  # after sending: what raises is offered again

    def close(self) -> None:
        """Give the socket back; called once, when the migration is closed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            # docs end


def old_get_score(comment_id: int) -> int:
    """Give the score of a comment."""
    return comment_id * 10


def new_get_score(comment_id: int) -> int:
    """Ask the new service. Its bug: no score above 20."""
    return min(comment_id * 10, 20)


def main() -> list[str]:
    """Compare a few calls; returns and prints what the statsd server got."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        # docs begin use
        host, port = server.getsockname()
        migration = Migration("comments", sinks=[Statsd(host, port)])
        get_score = migration.read(old_get_score, candidate=new_get_score, name="get_score")
        # docs end

        for comment_id in (1, 2, 3, 4):
            get_score(comment_id)
        migration.flush()
        migration.close()
        return _received(server)


def _received(server: socket.socket) -> list[str]:
    lines = []
    server.settimeout(0)
    while True:
        try:
            lines.append(server.recv(1000).decode())
        except BlockingIOError:
            break
    print("\n".join(lines))
    return lines


if __name__ == "__main__":
    main()
