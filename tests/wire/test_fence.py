"""The fence: what reaches the world is recorded and refused, inside only."""

import asyncio
import http.client
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from shadowmig.errors import ConfigError, EffectRefused
from shadowmig.wire.fence import Fence, Refused, _hook, lifted
from shadowmig.wire.fence._allowed import Allowed
from shadowmig.wire.fence._events import WATCHED


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        """Be quiet."""


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server):
    return f"http://127.0.0.1:{server.server_port}/buy"


def fetch(server):
    with urllib.request.urlopen(url(server), timeout=10) as answer:
        return answer.read()


def refused_in(fence, function, *args):
    with pytest.raises(EffectRefused) as caught:
        fence.run(function, *args)
    return caught.value


def test_no_request_reaches_a_server(web):
    """A request inside is refused and recorded, and the server sees only the one from outside."""
    fence = Fence()
    error = refused_in(fence, fetch, web)
    assert error.effect == "urllib.Request"
    assert fence.refused == (Refused("urllib.Request", f"127.0.0.1:{web.server_port}"),)
    assert fetch(web) == b"ok"
    assert web.seen == ["/buy"]


def test_what_is_swallowed_is_recorded(web):
    """A refusal that the code swallows by ``except Exception`` is recorded all the same."""

    def careless():
        try:
            fetch(web)
        except Exception:
            return "went on"

    fence = Fence()
    assert fence.run(careless) == "went on"
    assert str(fence.refused[0]) == f"urllib.Request 127.0.0.1:{web.server_port}"


def test_connection_that_was_open_before_is_fenced(web):
    """A request over a kept connection of http.client is refused too."""
    with closing(http.client.HTTPConnection("127.0.0.1", web.server_port, timeout=10)) as connection:
        connection.request("GET", "/first")
        connection.getresponse().read()
        fence = Fence()
        assert refused_in(fence, connection.request, "GET", "/second").effect == "http.client.send"
    assert web.seen == ["/first"]


@pytest.mark.parametrize("form", ["{0}:{1}", "http://{0}:{1}/x", "{0}", "localhost:{1}", ("127.0.0.1", None)])
def test_allowed_address_is_reached(web, form):
    """An address that is allowed, in whatever form, can be asked inside."""
    allow = form.format("127.0.0.1", web.server_port) if isinstance(form, str) else (form[0], web.server_port)
    fence = Fence(allow=allow)
    assert fence.run(fetch, web) == b"ok"
    assert fence.refused == ()


def test_other_port_of_an_allowed_host_is_refused(web):
    """An allowed port does not allow another port of the same host, nor another host the same port."""
    refused_in(Fence(allow=[f"127.0.0.1:{web.server_port + 1}", "/tmp/socket"]), fetch, web)
    refused_in(Fence(allow=[f"127.0.0.2:{web.server_port}", "localhost:1", "::1", "no.such.host.invalid"]), fetch, web)


def test_lookup_and_connection_are_refused():
    """Names are not looked up, and neither TCP, UDP nor unix sockets are connected to."""
    fence = Fence()
    refused_in(fence, socket.create_connection, ("mail.example.com", 25))
    refused_in(fence, socket.gethostbyname, "mail.example.com")
    refused_in(fence, socket.getnameinfo, ("10.0.0.1", 25), 0)
    with closing(socket.socket()) as plain, closing(socket.socket(type=socket.SOCK_DGRAM)) as datagram:
        refused_in(fence, plain.connect, ("127.0.0.1", 9))
        refused_in(fence, datagram.sendto, b"x", ("127.0.0.1", 9))
    with closing(socket.socket(socket.AF_UNIX)) as unix:
        refused_in(fence, unix.connect, "/run/no.such.socket")
    assert list(map(str, fence.refused)) == [
        "socket.getaddrinfo mail.example.com:25",
        "socket.gethostbyname mail.example.com",
        "socket.getnameinfo 10.0.0.1:25",
        "socket.connect 127.0.0.1:9",
        "socket.sendto 127.0.0.1:9",
        "socket.connect /run/no.such.socket",
    ]


def test_unix_socket_can_be_allowed(tmp_path):
    """A unix socket is reached where its path, or a URL with it, is allowed, and a pair of sockets always works."""
    path = str(tmp_path / "server")

    def talk():
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(path)
        left, right = socket.socketpair()
        with left, right:
            left.sendmsg([b"x"])
            return right.recv(1)

    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path)
        server.listen()
        assert Fence(allow=path).run(talk) == b"x"
        assert Fence(allow=[f"unix://{path}"]).run(talk) == b"x"


def test_this_machine_may_be_looked_up():
    """The machine's own name can be looked up, as libraries do to introduce themselves."""
    fence = Fence()
    fence.run(socket.getaddrinfo, None, 80)
    fence.run(socket.gethostbyname, "")
    assert fence.refused == ()


def test_mail_is_not_sent():
    """A connection of smtplib is refused before anything is looked up."""
    fence = Fence()
    refused_in(fence, smtplib.SMTP, "mail.example.com", 2525)
    assert fence.refused[0] == Refused("smtplib.connect", "mail.example.com:2525")


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (lambda: subprocess.run(["/bin/true", "secret"], check=True), "subprocess.Popen true"),
        (lambda: subprocess.run("true secret", shell=True, check=True), "subprocess.Popen sh"),
        (lambda: os.system("true secret"), "os.system true"),
        (lambda: os.system("PASSWORD=secret true"), "os.system true"),
        (lambda: os.system(""), "os.system"),
        (lambda: os.posix_spawn("/bin/true", ["true"], {}), "os.posix_spawn true"),
        (lambda: os.execv("/bin/true", ["true"]), "os.exec true"),
        (os.fork, "os.fork"),
        (lambda: os.kill(os.getpid(), 15), "os.kill signal 15"),
        (lambda: signal.pthread_kill(threading.get_ident(), 15), "signal.pthread_kill signal 15"),
        (lambda: webbrowser.get("true %s").open("http://example.com/"), "webbrowser.open example.com:80"),
        (lambda: sys.audit("pty.spawn", ["/bin/sh"]), "pty.spawn sh"),
        (lambda: sys.audit("webbrowser.open", "http://example.com/x"), "webbrowser.open example.com:80"),
        (lambda: sys.audit("subprocess.Popen", None, ["/bin/true"], None, None), "subprocess.Popen true"),
        (lambda: sys.audit("ftplib.sendcmd", object(), "DELE x"), "ftplib.sendcmd ?"),
        (lambda: sys.audit("socket.connect", None, 7), "socket.connect int"),
    ],
)
def test_processes_are_not_started(start, said):
    """No process is started, replaced, forked or signalled; the record has the program's name and not its arguments."""
    fence = Fence()
    refused_in(fence, start)
    assert [str(each) for each in fence.refused] == [said]


def test_what_reads_passes():
    """Asking whether a process is there, and opening a file by its URL, reach nobody."""
    fence = Fence()
    fence.run(os.kill, os.getpid(), 0)
    with fence.run(urllib.request.urlopen, f"file://{__file__}") as found:
        assert found.read(3) == b'"""'
    assert fence.refused == ()


def test_threads_are_not_started():
    """A thread, which would begin outside of the fence, is refused, and works as before outside."""
    fence = Fence()
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    refused_in(fence, thread.start)
    assert [str(each) for each in fence.refused] == ["_thread.start_new_thread list.append"] or sys.version_info > (
        3,
        12,
    )
    other = threading.Thread(target=seen.append, args=(2,))
    other.start()
    other.join()
    assert seen == [2]
    assert thread not in threading.enumerate()


def test_pools_stay_inside(web):
    """What is submitted to a pool inside is fenced, and the pool's threads serve code outside as before."""
    with ThreadPoolExecutor(1) as pool:
        fence = Fence()
        future = fence.run(pool.submit, fetch, web)
        with pytest.raises(EffectRefused):
            future.result(10)
        assert fence.futures() == [future]
        assert pool.submit(fetch, web).result(10) == b"ok"
    assert web.seen == ["/buy"]


def test_other_threads_go_on(web):
    """While code inside is refused, another thread's requests go through."""
    fence, reached = Fence(), threading.Event()
    answers = []

    def outside():
        reached.wait(10)
        answers.append(fetch(web))

    other = threading.Thread(target=outside)
    other.start()

    def inside():
        reached.set()
        other.join()
        return fetch(web)

    refused_in(fence, inside)
    assert answers == [b"ok"]
    assert web.seen == ["/buy"]


def test_tasks_beside_each_other(web):
    """Of two tasks of one event loop only the one inside is refused, for connections and for work in threads."""

    async def ask():
        _, writer = await asyncio.open_connection("127.0.0.1", web.server_port)
        writer.close()
        await writer.wait_closed()
        return await asyncio.to_thread(fetch, web)

    async def both():
        fence = Fence()
        inside = fence.run(asyncio.create_task, ask())
        threaded = fence.run(asyncio.create_task, asyncio.to_thread(fetch, web))
        assert await ask() == b"ok"
        for task in (inside, threaded):
            with pytest.raises(EffectRefused):
                await task
        return fence.refused

    refused = asyncio.run(both())
    assert sorted(each.event for each in refused) == ["socket.connect", "urllib.Request"]
    assert web.seen == ["/buy"]


def test_lifted_for_a_block(web):
    """What was decided to be performed passes, and after it the fence stands again."""

    def inside():
        with lifted():
            assert fetch(web) == b"ok"
        fetch(web)

    refused_in(Fence(), inside)
    assert web.seen == ["/buy"]


def test_sealed_fence_still_refuses(web):
    """After it was sealed a fence records nothing and refuses as before."""
    fence = Fence()
    fence.seal()
    refused_in(fence, fetch, web)
    assert fence.refused == ()
    assert web.seen == []


def test_record_is_bounded():
    """A fence remembers a thousand refusals and refuses the rest as well."""
    fence = Fence()

    def many():
        for _ in range(1200):
            with pytest.raises(EffectRefused):
                socket.gethostbyname("mail.example.com")

    fence.run(many)
    assert len(fence.refused) == 1000


def test_allowed_connection_sends():
    """Over a connection to an allowed address datagrams and messages go, and to another they do not."""
    with (
        closing(socket.socket(type=socket.SOCK_DGRAM)) as server,
        closing(socket.socket(type=socket.SOCK_DGRAM)) as sender,
    ):
        server.bind(("127.0.0.1", 0))
        sender.connect(server.getsockname())
        place = f"127.0.0.1:{server.getsockname()[1]}"
        assert Fence(allow=place).run(sender.sendmsg, [b"x"]) == 1
        refused_in(Fence(), sender.sendmsg, [b"x"])
        assert server.recv(10) == b"x"


@pytest.mark.parametrize(
    "bad", ["", " x", "host:port", "host:99999", "http://", "a/b", 7, ("h", "p"), ("h", 0), ("", 1), None]
)
def test_wrong_address_is_refused(bad):
    """What is no address is refused when the fence is built, without being quoted."""
    with pytest.raises(ConfigError) as caught:
        Fence(allow=[bad])
    assert caught.value.field == "allow"
    assert caught.value.message == "allow[0] is no address."


def test_what_are_no_addresses():
    """What is neither an address nor several is refused by its class."""
    with pytest.raises(ConfigError, match="allow is a NoneType"):
        Fence(allow=None)


def test_coroutine_function_is_not_run_outside():
    """A coroutine function, whose code would run outside of the fence, is refused, and one can be run inside."""

    async def ask(name):
        return name

    with pytest.raises(ConfigError, match=r"asyncio\.run") as caught:
        Fence().run(ask, "x")
    assert caught.value.field == "function"
    assert Fence().run(lambda: asyncio.run(ask("x"))) == "x"


def test_all_of_ipv6():
    """An address of version 6 is allowed with and without a port."""
    fence = Fence(allow=["[::1]:9", "fe80::1"])
    with pytest.raises(ConnectionRefusedError), closing(socket.socket(socket.AF_INET6)) as each:
        fence.run(each.connect, ("::1", 9))
    with closing(socket.socket(socket.AF_INET6)) as each:
        refused_in(fence, each.connect, ("::1", 10))


def test_hook_that_is_kept_out():
    """Where another audit hook keeps ours out, the first fence says so instead of standing open."""
    program = """
import sys
def keep(event, args):
    if event == "sys.addaudithook": raise RuntimeError
sys.addaudithook(keep)
from shadowmig.errors import ConfigError
from shadowmig.wire.fence import Fence
for _ in range(2):
    try: Fence().run(print)
    except ConfigError as error: print(error.field)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["effects", "effects"]


def test_nothing_happens_at_import():
    """Importing the fence leaves threads and pools as they are, and in a forked child it stands too."""
    program = """
import os, threading
from concurrent.futures import ThreadPoolExecutor as Pool
before = Pool.submit, Pool.__init__, threading.Thread.start
import shadowmig.wire.fence as fence
assert (Pool.submit, Pool.__init__, threading.Thread.start) == before
fence.Fence().run(print, "inside")
child = os.fork()
if child == 0:
    try: fence.Fence().run(os.system, "true")
    except Exception as error: print(type(error).__name__, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["inside", "EffectRefused"]


def test_places_allowed():
    """A place is allowed by host and port, by host alone, or by a name that has its address now."""
    allowed = Allowed(["LocalHost.:80", "10.0.0.1", "no.such.host.invalid", "[fe80::1]:9", "http://web.example.com/x"])
    assert allowed.place("127.0.0.1", 80)
    assert allowed.place("localhost", 80)
    assert allowed.place("10.0.0.1", 1)
    assert allowed.place("fe80::1%eth0", 9)
    assert allowed.place("web.example.com", 443)
    assert not allowed.place("127.0.0.1", 81)
    assert not allowed.place("10.0.0.2", 80)
    assert not allowed.place("other.example.com", 80)
    assert allowed.host("127.0.0.1")
    assert not allowed.host("10.0.0.2")


def test_the_hook_itself():
    """The hook minds the events that it knows, and only inside of a fence."""
    hook = _hook()
    hook("os.system", (b"true",))
    fence = Fence()
    fence.run(hook, "open", ("/etc/hosts", "r", 0))
    refused_in(fence, hook, "os.system", (b"true",))
    assert [str(each) for each in fence.refused] == ["os.system true"]


def test_judged_without_a_hook():
    """Sends over connections are judged by their peer, threads by what they run."""
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as sender:
        sender.connect(("127.0.0.1", 9))
        client = SimpleNamespace(sock=sender)
        Fence(allow="127.0.0.1:9").look("http.client.send", (client, b""))
        with pytest.raises(EffectRefused):
            Fence().look("http.client.send", (client, b""))
    with pytest.raises(EffectRefused, match=r"start_new_thread len "):
        Fence().look("_thread.start_new_thread", (threading.Thread(target=len)._bootstrap, (), {}))
    Fence().look("urllib.Request", ("data:text/plain,x", None, {}, "GET"))
    with pytest.raises(EffectRefused, match=r"@hidden"):
        Fence().look("socket.connect", (None, b"\0hidden"))


def test_every_judge_is_strict():
    """Whatever the arguments of an event are, it is judged or refused, and nothing else is raised."""
    for event in WATCHED:
        for args in ((), (None,), (None, None), (object(), object(), object())):
            fence = Fence()
            try:
                fence.look(event, args)
            except EffectRefused:
                assert fence.refused[0].event == event
