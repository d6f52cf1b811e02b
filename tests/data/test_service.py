import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data import images, pipeline
from data.service import DataService
from data.unreadable import UnreadableImages

VIEW = images.RandomCrop(0, 8)


@pytest.fixture(scope="module")
def address():
    """A dispatcher and two workers in this process."""
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(worker_timeout_ms=30_000))
    place = dispatcher.target.split("://")[1]
    workers = [
        service.WorkerServer(service.WorkerConfig(place, heartbeat_interval_ms=100))
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
    def batches(service, unreadable):
        dataset = pipeline.training_batches(
            records,
            VIEW,
            batch_size=4,
            epochs=2,
            seed=5,
            draws=2,
            start_step=1,
            service=service,
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

    service = DataService(address, 2)
    whole = [int(batch["step"]) for batch in service.batches(made, 6)]
    assert whole == list(range(6))
    with pytest.raises(tf.errors.InvalidArgumentError, match="lost a worker"):
        list(itertools.islice(service.batches(made, 7), 7))


def test_what_is_no_service():
    with pytest.raises(ValueError, match="is no address: use grpc://HOST:PORT"):
        DataService("localhost")
    with pytest.raises(ValueError, match="must be at least 1"):
        DataService("grpc://localhost:1", 0)
    with pytest.raises(ValueError, match="does not answer"):
        DataService("grpc://localhost:1").check()
