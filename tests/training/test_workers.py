import json
import socket
from concurrent import futures

import grpc
import pytest

from training import workers


def config(addresses: object = ("a:1", "b:1"), index: object = 0, kind: str = "worker") -> str:
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": kind, "index": index}})


def test_machines_and_which_one_this_is():
    assert workers.read_cluster(config(index=1)) == workers.Cluster("b:1", ("a:1",))
    with_chief = {
        "cluster": {"chief": ["[::1]:7"], "worker": ["a:1"]},
        "task": {"type": "chief", "index": 0},
    }
    assert workers.read_cluster(json.dumps(with_chief)) == workers.Cluster("[::1]:7", ("a:1",))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "there is no TF_CONFIG"),
        ("\n{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "has no cluster with names"),
        ('{"cluster": {"worker": ["a:1"]}, "task": 0}', "has no task with names"),
        (config([]), "has no worker"),
        (config("a:1"), "is not a list of addresses"),
        (config(["a:1", "a:1"]), "names a:1 twice"),
        (config(["a"]), '"a" is not an address HOST:PORT'),
        (config([":1"]), '":1" is not an address'),
        (config(["a:0"]), '"a:0" is not an address'),
        (config(["a:99999999999999"]), "is not an address"),
        (config(["a:²"]), "is not an address"),
        (config([7]), "7 is not an address"),
        (config(index=2), "index 2: worker has 2"),
        (config(index=-1), "index -1"),
        (config(index="0"), 'index "0"'),
        (config(index=True), "index true"),
        (config(index=None), "index null"),
        (config(kind="chief"), "of type 'chief', of which"),
        (config(kind="evaluator"), "of type 'evaluator', of which"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {}}', "cluster has ps"),
    ],
)
def test_what_cannot_meet_is_told_in_one_line(text, wrong):
    with pytest.raises(ValueError, match="--strategy=multi_worker: ") as raised:
        workers.read_cluster(text)
    message = str(raised.value)
    assert wrong in message
    assert "\n" not in message
    assert len(message) < 1000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_this_process_by_another_name():
    port = free_port()
    with pytest.raises(ValueError, match=f"localhost:{port} of TF_CONFIG is this process by"):
        workers.wait_for_start(f"127.0.0.1:{port}", [f"localhost:{port}"])


def test_machines_that_never_begin(monkeypatch):
    monkeypatch.setattr(workers, "SECONDS_TO_BEGIN", 0)
    absent = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionError, match=rf"{absent} of TF_CONFIG did not begin within"):
        workers.wait_for_start(f"127.0.0.1:{free_port()}", [absent])


def test_something_that_says_nothing_has_not_begun(monkeypatch):
    monkeypatch.setattr(workers, "SECONDS_TO_BEGIN", 0)
    monkeypatch.setattr(workers, "SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=rf"{address} of TF_CONFIG did not begin"):
            workers.wait_for_start(f"127.0.0.1:{free_port()}", [address])


def test_machines_that_wait_and_one_that_is_past_it():
    past = grpc.server(futures.ThreadPoolExecutor(1))
    ports = [past.add_insecure_port("127.0.0.1:0"), free_port(), free_port()]
    past.start()
    addresses = [f"127.0.0.1:{port}" for port in ports]
    with futures.ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(workers.wait_for_start, own, [a for a in addresses if a != own])
            for own in addresses[1:]
        ]
        # As TensorFlow does next, so that the slower one finds something there.
        servers = []
        for own in futures.as_completed(waiting):
            own.result()
            server = grpc.server(futures.ThreadPoolExecutor(1))
            server.add_insecure_port(addresses[1 + waiting.index(own)])
            server.start()
            servers.append(server)
    for server in (past, *servers):
        server.stop(None)


def test_a_port_in_use():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}, this machine's of TF_CONFIG, cannot be"):
            workers.wait_for_start(f"127.0.0.1:{port}", [])
