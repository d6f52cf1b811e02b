import contextlib
import itertools
import queue
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data import images, pipeline, service
from data.service import DataService
from data.unreadable import UnreadableImages
from training import grpc_server

VIEW = images.RandomCrop(0, 8)


@pytest.fixture(scope="module")
def address():
    """A dispatcher and two workers in this process."""
    servers = tf.data.experimental.service
    dispatcher = servers.DispatchServer(servers.DispatcherConfig(worker_timeout_ms=30_000))
    place = dispatcher.target.split("://")[1]
    workers = [
        servers.WorkerServer(servers.WorkerConfig(place, heartbeat_interval_ms=100))
        for _ in range(2)
    ]
    yield dispatcher.target
    for worker in workers:
        worker._stop()
    dispatcher._stop()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(21):
        pixels = random.integers(0, 256, (10, 12, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    (root / "broken.png").write_bytes(b"no picture")
    return data.load("folder", "all", str(root))


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_service_makes_the_same_batches_in_the_same_order(records, address, jobs):
    def batches(decoder, unreadable):
        dataset = pipeline.training_batches(
            records,
            VIEW,
            batch_size=4,
            epochs=2,
            seed=5,
            draws=2,
            start_step=1,
            service=decoder,
            unreadable=unreadable,
        )
        return list(dataset.as_numpy_iterator())

    here, there = UnreadableImages(), UnreadableImages()
    expected = batches(None, here)
    made = batches(DataService(address, jobs), there)
    assert len(made) == len(expected) == 2 * (22 // 4) - 1
    for one, other in zip(expected, made, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert here.reasons == there.reasons
    assert set(there.reasons) == {"broken.png"}


def test_batches_that_a_service_lost_are_missed(address):
    def made(part, parts):
        return tf.data.Dataset.range(6).shard(parts, part).map(lambda step: {"step": step})

    decoder = DataService(address, 2)
    whole = [int(batch["step"]) for batch in decoder.batches(made, 6)]
    assert whole == list(range(6))
    with pytest.raises(tf.errors.InvalidArgumentError, match="lost a worker"):
        list(itertools.islice(decoder.batches(made, 7), 7))


ADDRESSES = (
    "localhost",
    "localhost:5000",
    "grpc://localhost",
    "grpc://localhost:",
    "grpc://localhost:x",
    "grpc://localhost:0",
    "grpc://localhost:99999",
    "grpc://:5000",
    "grpc://a b:5000",
    "http://localhost:5000",
    "grpc://localhost:5000/x",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_not_an_address(address):
    with pytest.raises(ValueError, match="is not an address: use grpc://HOST:PORT"):
        DataService(address)


@pytest.mark.parametrize("jobs", [0, -1, 10**6])
def test_numbers_of_jobs_out_of_range(jobs):
    with pytest.raises(ValueError, match="must be at least 1, and at most"):
        DataService("grpc://localhost:1", jobs)


def test_where_nothing_listens():
    with pytest.raises(ValueError, match=r"does not answer.*[Rr]efused") as error:
        DataService("grpc://127.0.0.1:1").check()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("says", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_where_something_else_listens(says):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(says)
                    connection.close()

        if says is not None:
            threading.Thread(target=answer, daemon=True).start()
        address = f"grpc://127.0.0.1:{server.getsockname()[1]}"
        problem = grpc_server.problem(address, service.GET_VERSION, seconds=0.3)
        assert problem == "nothing came within 0.3 seconds" if says is None else problem
        assert "\n" not in problem


def test_a_dispatcher_answers(address):
    assert not grpc_server.problem(address, service.GET_VERSION)
    DataService(address).check()
    assert "something else" in grpc_server.problem(address, "/tensorflow.WorkerService/GetStatus")


def test_a_dispatcher_that_is_gone_ends_a_step(address, monkeypatch):
    ended = queue.Queue()
    monkeypatch.setattr(service, "SECONDS_OF_SILENCE", 0.01)
    monkeypatch.setattr(service.interruption, "fail", ended.put)
    with DataService("grpc://127.0.0.1:1").explained(step=7):
        assert "no longer answers at step 7" in ended.get(timeout=60)
    ended = queue.Queue()
    asked = threading.Event()
    monkeypatch.setattr(service.grpc_server, "problem", lambda *_: asked.set() or "")
    with DataService(address).explained(step=8):
        assert asked.wait(60)
    assert ended.empty()
