"""Where verifiers meet: leases with tokens, commits that are whole, and faults that are kept once."""

import json
import threading

import pytest
from events_support import Clock, client_of

from shadowmig.errors import ConfigError, StoreError, StoreUnavailable
from shadowmig.testing.servers import Redis
from shadowmig.wire.events._state import Commit, MemoryState, mark_of
from shadowmig.wire.events._state_redis import RedisState


def let_leases_end(url):
    """Make a server believe that all leases ended, and that no process was heard of since."""
    with client_of(url) as client:
        for key in client.keys("*:lease:*"):
            client.pexpire(key, 1)
            while client.exists(key):
                pass
        for key in client.keys("*:members"):
            for member in client.zrange(key, 0, -1):
                client.zadd(key, {member: 0})


@pytest.fixture(params=["memory", "redis"])
def state(request):
    """A state of four partitions; `pass_lease` lets all leases end."""
    if request.param == "memory":
        clock = Clock(0.0)
        made = MemoryState(4, lease=10.0, most_faults=5, clock=clock)
        made.pass_lease = lambda: setattr(clock, "now", clock.now + 11)
    else:
        url = request.getfixturevalue("redis_url")
        made = RedisState(url, "s", partitions=4, lease=60.0, most_faults=5)
        made.pass_lease = lambda: let_leases_end(url)
    yield made
    made.close()


def test_first_beginning_counts(state):
    """Of several beginnings that are proposed the first one is kept."""
    assert state.begin(None) is None
    assert state.begin("one") == "one"
    assert state.begin("two") == "one"
    assert state.begin(None) == "one"


def test_one_process_has_all(state):
    """A process that is alone gets all partitions, and keeps its tokens."""
    held = state.tend("a", {})
    assert (sorted(held.tokens), held.share) == ([0, 1, 2, 3], 4)
    assert state.tend("a", held.tokens).tokens == held.tokens


def test_claims_that_are_not_made_get_new_tokens(state):
    """A partition that a process does not know to hold gets a new token, so that its old commits are void."""
    held = state.tend("a", {})
    again = state.tend("a", {0: held.tokens[0]})
    assert again.tokens[0] == held.tokens[0]
    assert all(again.tokens[number] != held.tokens[number] for number in (1, 2, 3))
    assert not state.commit([Commit(1, held.tokens[1], "x")], [])
    assert state.commit([Commit(1, again.tokens[1], "x")], [])


def test_sharing(state):
    """Processes share the partitions evenly, and those of one that is gone go to the others."""
    first = state.tend("a", {})
    assert state.tend("b", {}).tokens == {}
    told = state.tend("a", first.tokens)
    assert told.share == 2
    for number in (2, 3):
        state.release(number, first.tokens[number])
    second = state.tend("b", {})
    assert sorted(second.tokens) == [2, 3]
    state.leave("a")
    for number in (0, 1):
        state.release(number, first.tokens[number])
    assert sorted(state.tend("b", second.tokens).tokens) == [0, 1, 2, 3]


def test_a_process_that_vanishes(state):
    """The partitions of a process that is not heard of are free after the lease."""
    gone = state.tend("a", {})
    state.pass_lease()
    held = state.tend("b", {})
    assert (sorted(held.tokens), held.share) == ([0, 1, 2, 3], 4)
    assert not state.commit([Commit(0, gone.tokens[0], "x")], [])
    state.release(0, gone.tokens[0])
    assert state.commit([Commit(0, held.tokens[0], "x")], [])


def test_a_lease_that_ended_commits_nothing(state):
    """A lease that ended is void even before another process takes it."""
    held = state.tend("a", {})
    state.pass_lease()
    assert not state.commit([Commit(0, held.tokens[0], "x")], [])
    assert state.load(0) == (None, {})


def test_commit_is_whole_or_nothing(state):
    """If one token of several is void, nothing of the commit is kept, and no fault."""
    held = state.tend("a", {})
    commits = [Commit(0, held.tokens[0], "new"), Commit(1, "0", "new")]
    assert not state.commit(commits, ["fault"])
    assert state.load(0) == (None, {})
    assert state.faults("", 10) == []


def test_a_commit_goes_on_from_what_is_there(state):
    """A commit that goes on from another checkpoint than the one there, as after a set-back, is not kept."""
    token = state.tend("a", {}).tokens[1]
    assert not state.commit([Commit(1, token, "second", after=mark_of("first"))], ["fault"])
    assert state.commit([Commit(1, token, "first")], [])
    assert not state.commit([Commit(1, token, "other")], [])
    assert not state.commit([Commit(1, token, "third", {"p": "1"}, after=mark_of("second"))], ["fault"])
    assert state.load(1) == ("first", {})
    assert state.faults("", 10) == []
    assert state.commit([Commit(1, token, "second", after=mark_of("first"))], [])


def test_what_was_committed_is_loaded(state):
    """Checkpoint and waiting events are loaded as they were committed; what is removed is gone."""
    held = state.tend("a", {})
    assert state.commit([Commit(2, held.tokens[2], "one", {"p1": "a", "p2": "b"})], [])
    assert state.load(2) == ("one", {"p1": "a", "p2": "b"})
    assert state.commit([Commit(2, held.tokens[2], "two", {"s1": "c", "p2": "B"}, ["p1", "never"], mark_of("one"))], [])
    assert state.load(2) == ("two", {"s1": "c", "p2": "B"})
    assert state.overview() == [None, None, "two", None]


def test_faults_are_read_on_from_a_cursor(state):
    """Faults come in their order, and after a cursor only those after it."""
    token = state.tend("a", {}).tokens[0]
    for names, after in ((["a", "b"], ""), ([], mark_of("x")), (["c"], mark_of("x"))):
        assert state.commit([Commit(0, token, "x", after=after)], names)
    assert [fault for _, fault in state.faults("", 10)] == ["a", "b", "c"]
    (first,) = state.faults("", 1)
    assert [fault for _, fault in state.faults(first[0], 10)] == ["b", "c"]
    assert state.faults(state.faults("", 10)[-1][0], 10) == []


def test_a_large_commit(state):
    """A commit may be large."""
    token = state.tend("a", {}).tokens[0]
    put = {f"p{number}": json.dumps(number) for number in range(20_000)}
    assert state.commit([Commit(0, token, "x", put)], [])
    assert len(state.load(0)[1]) == 20_000
    assert state.commit([Commit(0, token, "x", {}, list(put), mark_of("x"))], [])
    assert state.load(0)[1] == {}


def test_the_oldest_faults_go():
    """In memory only so many faults are kept, and cursors still lead to the next one."""
    state = MemoryState(1, most_faults=3)
    token = state.tend("a", {}).tokens[0]
    cursors = []
    for number in range(5):
        state.commit([Commit(0, token, "x", after=mark_of("x") if number else "")], [str(number)])
        cursors.append(state.faults("", 10)[-1][0])
    assert [fault for _, fault in state.faults("", 10)] == ["2", "3", "4"]
    assert [fault for _, fault in state.faults(cursors[3], 10)] == ["4"]
    assert [fault for _, fault in state.faults(cursors[0], 10)] == ["2", "3", "4"]


def test_the_oldest_faults_go_in_redis(redis_url):
    """In Redis about so many faults are kept."""
    state = RedisState(redis_url, "s", partitions=1, most_faults=100)
    token = state.tend("a", {}).tokens[0]
    for number in range(5):
        state.commit([Commit(0, token, "x", after=mark_of("x") if number else "")], ["f"] * 200)
    assert 100 <= len(state.faults("", 2000)) < 400
    state.close()


def test_keys_have_one_prefix(redis_url):
    """All keys begin with the same words and the stream's name, so that they can be found."""
    state = RedisState(redis_url, "naïve name", partitions=2)
    token = state.tend("a", {}).tokens[0]
    state.begin("x")
    state.commit([Commit(0, token, "x", {"p": "1"})], ["f"])
    with client_of(redis_url) as client:
        prefix = "shadowmig:events:{naïve name}:".encode()
        assert {key.removeprefix(prefix) for key in client.scan_iter()} == {
            *(b"members begin faults checkpoint:0 waiting:0 lease:0 lease:1".split())
        }
    state.close()


def test_two_states_of_one_server(redis_url):
    """Streams of different names do not know each other."""
    one, two = (RedisState(redis_url, name, partitions=1) for name in ("a", "b"))
    assert one.tend("m", {}).tokens
    assert two.tend("n", {}).tokens
    assert one.identity() == two.identity() != MemoryState(1).identity()
    assert repr(one) == repr(two) == f"<RedisState: {one._gate.store}>"
    assert repr(MemoryState(1)) == "<MemoryState>"
    one.close()
    one.close()
    two.close()


def test_clock_of_the_server_that_is_set_back(redis_url):
    """What is from later than now, members and leases, is taken for gone, however long that would still be."""
    state = RedisState(redis_url, "s", partitions=2, lease=10.0)
    state.tend("gone", {})
    with client_of(redis_url) as client:
        client.zadd("shadowmig:events:{s}:members", {"gone": 1e15})
        for number in range(2):
            client.pexpire(f"shadowmig:events:{{s}}:lease:{number}", 3_600_000)
    held = state.tend("a", {})
    assert (sorted(held.tokens), held.share) == ([0, 1], 2)
    state.close()


def test_a_lease_of_no_time(redis_url):
    """A lease has a millisecond at least, which is the least that Redis knows."""
    state = RedisState(redis_url, "s", partitions=1, lease=1e-9)
    assert state.tend("a", {}).tokens
    state.close()


def test_threads_share_a_state(redis_url):
    """The loop and whoever wants a report may ask at the same time."""
    state = RedisState(redis_url, "s", partitions=4)
    errors = []

    def ask():
        try:
            for _ in range(20):
                state.overview()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    state.close()


def test_server_that_is_away():
    """A server that cannot be reached raises `StoreUnavailable`, and one that refuses raises `StoreError`."""
    with Redis() as server:
        state = RedisState(server.url, "s")
        state.tend("a", {})
        with client_of(server.url) as client:
            client.delete("shadowmig:events:{s}:checkpoint:0")
            client.lpush("shadowmig:events:{s}:checkpoint:0", "x")
        with pytest.raises(StoreError, match="WRONGTYPE"):
            state.load(0)
    with pytest.raises(StoreUnavailable):
        state.tend("a", {})
    state.close()


def test_a_cluster_is_refused(redis_url):
    """State needs one server, for a commit is one script."""

    class Cluster:
        def __init__(self, client):
            self.connection_pool = client.connection_pool

        def get_nodes(self):
            return [type("Node", (), {"host": "h", "port": 1, "redis_connection": self})()]

        nodes_manager = None

    with client_of(redis_url) as client, pytest.raises(ConfigError, match="cluster"):
        RedisState(Cluster(client), "s")
