"""`HttpCodec` against real servers, good ones and bad ones."""

import base64
import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shadowmig.errors import CodecError, CodecUnavailable, ConfigError
from shadowmig.model import MISSING
from shadowmig.protocols import BatchCodec
from shadowmig.wire.codecs.http import HttpCodec


def reply_to(asked):
    """Answer as a codec of JSON does."""
    if asked["op"] == "encode":
        items = [
            {"data": base64.b64encode(json.dumps(item["value"]).encode()).decode(), "flags": 7}
            for item in asked["items"]
        ]
    else:
        items = []
        for item in asked["items"]:
            data = base64.b64decode(item["data"])
            items.append({"miss": True} if item["flags"] else {"value": json.loads(data)})
    return {"id": asked["id"], "items": items}


class Codec(BaseHTTPRequestHandler):
    """A server that does what its path says, when it is asked about poison."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.client_address[1], dict(self.headers), asked))
        poisoned = "poison" in json.dumps(asked)
        act = getattr(self, self.path.strip("/").split("?")[0].replace("-", "_") or "good")
        body = json.dumps(reply_to(asked)).encode()
        act(body) if poisoned else self.good(body)

    def good(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def closing(self, body):
        self.good(body, Connection="close")

    def broken(self, body):
        self.good(b"{}", status=500)

    def redirected(self, body):
        self.good(b"", status=302, Location="/good")

    def forbidden(self, body):
        self.good(b"", status=403)

    def zipped(self, body):
        self.good(gzip.compress(body), Content_Encoding="gzip")

    def garbage(self, body):
        self.good(b"oops")

    def chunked(self, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (body[:5], body[5:]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def endless(self, body):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def lying_chunk(self, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"-1\r\n")
        while True:
            self.wfile.write(b"x" * 65536)

    def continues(self, body):
        while True:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    def stalls(self, body):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(body)
        self.server.stalled.set()
        self.server.let_go.wait(30)
        self.close_connection = True

    def cut_chunk(self, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ffff\r\nabc")
        self.close_connection = True

    def cut(self, body):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def hangs(self, body):
        self.server.let_go.wait(30)
        self.close_connection = True

    def drips(self, body):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        while not self.server.let_go.wait(0.05):
            self.wfile.write(b" ")

    def drips_headers(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.server.let_go.wait(0.05):
            self.wfile.write(b"x")

    def vanishes(self, body):
        self.close_connection = True

    def no_http(self, body):
        self.wfile.write(b"SSH-2.0-server\r\n")
        self.close_connection = True

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    """Keeps what it saw, and is quiet about clients that go away."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Codec)
        self.seen = []
        self.let_go = threading.Event()
        self.stalled = threading.Event()

    def handle_error(self, request, address):
        pass


@contextmanager
def serving(wrap: Callable[[socket.socket], socket.socket] | None = None):
    """Run a server."""
    server = Server()
    if wrap:
        server.socket = wrap(server.socket)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server():
    """A server that encodes and decodes JSON."""
    with serving() as running:
        yield running


def codec(server, path="good", **options):
    """Build a codec for it."""
    return HttpCodec(f"http://127.0.0.1:{server.server_port}/{path}", **{"timeout": 10.0, **options})


def test_server_encodes_and_decodes(server):
    """Values and bytes go to the server and come back, over one connection that is kept."""
    with codec(server) as built:
        assert isinstance(built, BatchCodec)
        assert built.encode({"body": "hi", "n": 2**60}) == (b'{"body": "hi", "n": {"$int": "1152921504606846976"}}', 7)
        assert built.decode(b"[1.5]", 0) == [1.5]
        assert built.decode(b"[1.5]", 1) is MISSING
        assert built.decode_many([(b"1", 0), (b"2", 0)]) == [1, 2]
    assert len({port for port, _, _ in server.seen}) == 1
    assert server.seen[0][1]["Shadowmig-Protocol"] == "1"


def test_http_batches_are_split(server):
    """More items than one request takes go in several, and come back in their order."""
    with codec(server, batch=3) as built:
        assert built.decode_many([(b"%d" % number, 0) for number in range(8)]) == list(range(8))
    assert [len(asked["items"]) for _, _, asked in server.seen] == [3, 3, 2]


@pytest.mark.parametrize("path", ["closing", "chunked"])
def test_replies_may_be_chunked_or_the_last(path, server):
    """A reply in chunks, and one after which the server closes the connection, are read as any other."""
    with codec(server, path) as built:
        assert [built.encode("poison") for _ in range(3)] == [(b'"poison"', 7)] * 3


def test_stale_connection_is_opened_again():
    """A kept connection that the server has closed since is opened again, and nobody notices."""
    with serving() as server:
        built = codec(server)
        for number in range(3):
            assert built.encode(number) == (b"%d" % number, 7)
            kept = built._pool._seats[0].partner._open
            kept.sock._made.shutdown(socket.SHUT_RDWR)
        built.close()
    assert len({port for port, _, _ in server.seen}) == 3


FAILURES = {
    "broken": ("status", "Its status was 500"),
    "redirected": ("not allowed", "Redirects are not followed"),
    "forbidden": ("not allowed", "Its status was 403"),
    "zipped": ("broke the protocol", "compressed"),
    "garbage": ("broke the protocol", "no JSON"),
    "endless": ("broke the protocol", "longer than 100000 bytes"),
    "lying-chunk": ("broke the protocol", "longer than 100000 bytes"),
    "continues": ("broke the protocol", "longer than 100000 bytes"),
    "cut": ("broke the protocol", "cut"),
    "cut-chunk": ("broke the protocol", "cut"),
    "hangs": ("hung", "did not answer within 0.7 s"),
    "drips": ("hung", "did not answer within 0.7 s"),
    "drips-headers": ("hung", "did not answer within 0.7 s"),
    "vanishes": ("died", "without an answer"),
    "no-http": ("broke the protocol", "no HTTP"),
}


@pytest.mark.parametrize("path", FAILURES)
def test_server_that_fails_is_named(path, server):
    """Whatever a server does instead of answering, the item is unavailable with the reason, within the limits."""
    reason, text = FAILURES[path]
    with codec(server, path, timeout=0.7 if reason == "hung" else 10.0, max_reply=100_000) as built:
        assert built.encode("fine") == (b'"fine"', 7)
        with pytest.raises(CodecUnavailable, match=text) as caught:
            built.encode("poison")
        assert caught.value.reason == reason
        assert str(caught.value).startswith(f"http://127.0.0.1:{server.server_port}/{path}: ")


def test_poisonous_item_does_not_cost_others_their_answers(server):
    """Of a batch for which the server fails, only the item to blame has no answer."""
    with codec(server, "broken") as built:
        one, bad, two = built.encode_many(["a", "poison", "b"])
        assert (one, two) == ((b'"a"', 7), (b'"b"', 7))
        assert isinstance(bad, CodecUnavailable)


def test_status_for_any_item_is_not_asked_about_again(server):
    """A status that has nothing to do with the items ends the batch at once, and the server is left alone a while."""
    with codec(server, "forbidden") as built:
        results = built.encode_many(["poison"] * 20)
        assert all(isinstance(each, CodecUnavailable) for each in results)
        assert len(server.seen) == 1
        with pytest.raises(CodecUnavailable, match="Not asked so soon after it failed"):
            built.encode("fine")
        assert len(server.seen) == 1


def test_server_that_is_not_there_is_named():
    """Where nobody listens, or no name leads, every item is unavailable, and closing is no trouble."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for host in (f"127.0.0.1:{taken.getsockname()[1]}", f"{'x' * 70}.invalid"):
            with (
                HttpCodec(f"http://{host}/", timeout=5) as built,
                pytest.raises(CodecUnavailable, match="not reached") as caught,
            ):
                built.encode(1)
            assert caught.value.reason == "not started"


def test_server_that_takes_no_connection_is_named():
    """Where connecting hangs, the item is unavailable within the limit."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with (
            socket.create_connection(full.getsockname()),
            HttpCodec(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.5) as built,
            pytest.raises(CodecUnavailable, match=r"not reached within|did not answer within"),
        ):
            built.encode(1)


def test_password_is_sent_and_not_shown(server):
    """User and password of the URL are sent, and neither they nor other headers are in errors or `repr`."""
    url = f"http://ann:s%20cret@127.0.0.1:{server.server_port}/broken?a=1"
    with HttpCodec(url, headers={"X-Token": "t0ken"}) as built:
        with pytest.raises(CodecUnavailable) as caught:
            built.encode("poison")
        shown = f"{built!r} {caught.value} {caught.value.__cause__!r}"
        assert "cret" not in shown
        assert "t0ken" not in shown
    headers = server.seen[0][1]
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"ann:s cret").decode()
    assert headers["X-Token"] == "t0ken"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    done = subprocess.run(
        [*command.split(), "-keyout", "key", "-out", "cert"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "cert", folder / "key"


def test_https_is_checked(certificate):
    """Over https a server is asked if its certificate is trusted, and named if it is not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with serving(lambda plain: context.wrap_socket(plain, server_side=True)) as server:
        url = f"https://127.0.0.1:{server.server_port}/chunked"
        with HttpCodec(url, context=trusting, timeout=10) as built:
            assert built.encode("x" * 500_000) == (b'"' + b"x" * 500_000 + b'"', 7)
            assert built.encode("poison") == (b'"poison"', 7)
        with HttpCodec(url, timeout=10) as built, pytest.raises(CodecUnavailable, match="not reached: SSL"):
            built.encode(1)


# Newer Pythons warn of a fork beside threads, which is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_connects_by_itself(server):
    """A forked child has a connection of its own, and the parent's goes on working."""
    with codec(server) as built:
        built.encode(1)
        pid = os.fork()
        if pid == 0:
            good = built.encode(2) == (b"2", 7)
            built.close()
            os._exit(0 if good else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert built.encode(3) == (b"3", 7)
    ports = [port for port, _, _ in server.seen]
    assert ports[0] == ports[2] != ports[1]


# Newer Pythons warn of a fork beside threads, which is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_a_thread_reads_a_reply(server):
    """A child that is forked while another thread reads a reply is not kept waiting, and can ask at once."""
    with codec(server, "stalls") as built:
        results = []
        thread = threading.Thread(target=lambda: results.extend(built.encode_many(["poison"])))
        thread.start()
        assert server.stalled.wait(30)
        time.sleep(0.1)  # for the thread to be in the middle of reading
        pid = os.fork()
        if pid == 0:
            os._exit(0 if built.encode(2) == (b"2", 7) else 1)
        deadline = time.monotonic() + 20
        while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        if ended == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert ended == (pid, 0)
        server.let_go.set()
        thread.join()
        assert [each.reason for each in results] == ["broke the protocol"]
        assert built.encode(3) == (b"3", 7)


def test_interrupted_request_leaves_no_answer_behind(server, monkeypatch):
    """After a request that was interrupted, the next one gets its own answer."""
    with codec(server) as built:
        built.encode(1)
        partner = built._pool._seats[0].partner
        kept = partner._open

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(kept, "getresponse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            built.encode(2)
        assert built.encode(3) == (b"3", 7)


def test_http_codec_must_not_be_used_after_closing(server):
    """A closed codec says so."""
    built = codec(server)
    built.close()
    with pytest.raises(CodecUnavailable, match="closed"):
        built.encode(1)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("url", {"url": "ftp://example.org/"}),
        ("url", {"url": "example.org"}),
        ("url", {"url": "http://"}),
        ("url", {"url": "http://a:99999/"}),
        ("url", {"url": "http://a:0/"}),
        ("url", {"url": "http://a/b c"}),
        ("url", {"url": "http://a/\u00e9"}),
        ("url", {"url": b"http://a/"}),
        ("url", {"url": "http://a b/"}),
        ("url", {"url": "http://a\x7fb/"}),
        ("url", {"url": "http://u\ud800:secret@a/"}),
        ("timeout", {"timeout": 0}),
        ("batch", {"batch": 0}),
        ("connections", {"connections": 0}),
        ("max_reply", {"max_reply": -1}),
        ("flags", {"flags": -1}),
        ("headers", {"headers": {"A": "b\r\nC: d"}}),
        ("headers", {"headers": {"A": 1}}),
        ("headers", {"headers": {1: "A"}}),
        ("headers", {"headers": {"": "A"}}),
        ("headers", {"headers": {"A B": "C"}}),
        ("headers", {"headers": {"A:B": "C"}}),
        ("headers", {"headers": [("A", "B")]}),
        ("headers", {"headers": {"A": "\u00e9"}}),
        ("context", {"context": ssl.create_default_context()}),
        ("context", {"url": "https://a/", "context": "none"}),
    ],
)
def test_wrong_option_of_http_is_refused(field, options):
    """A wrong option is refused when the codec is built, by its name and without the URL."""
    with pytest.raises(ConfigError) as caught:
        HttpCodec(**{"url": "http://ann:secret@a/", **options})
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


def test_own_headers_take_the_place_of_others(server):
    """A header that is given takes the place of the codec's own, however it is written."""
    with codec(server, headers={"ACCEPT": "x/y", "Empty": ""}) as built:
        built.encode(1)
    headers = [(name, value) for name, value in server.seen[0][1].items() if name.lower() in {"accept", "empty"}]
    assert headers == [("ACCEPT", "x/y"), ("Empty", "")]


def test_address_in_brackets_is_shown_in_brackets():
    """An address of IPv6 is shown as it is written in a URL."""
    assert repr(HttpCodec("https://[::1]/codec")) == "HttpCodec('https://[::1]:443/codec')"


def test_item_without_tagged_form_is_not_sent(server):
    """A value without a tagged form is refused here, and is no matter of the server's."""
    with codec(server) as built, pytest.raises(CodecError, match="no tagged form"):
        built.encode(object())
    assert server.seen == []
