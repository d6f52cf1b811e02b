"""Decoding by other hosts: batches through a tf.data service, in the order they would have here.

Whoever answers first is heard first by a tf.data service that shares work among its workers, and
the order of batches, and with it every run, would differ. So the stream is dealt out beforehand: of
n jobs, each makes every n-th batch, on one worker, and the batches are taken from the jobs in turn.
A job reads all records of its stream, which are still encoded (of a folder just their names),
and decodes its own.
"""

import contextlib
import dataclasses
import socket
import uuid
from collections.abc import Callable, Iterator

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class DataService:
    """A tf.data service.

    Attributes:
        address: of its dispatcher, `grpc://host:port`.
        jobs: how many jobs share the decoding; as many as the service has workers, or more.
    """

    address: str
    jobs: int = 1

    def __post_init__(self) -> None:
        protocol, _, place = self.address.partition("://")
        host, _, port = place.rpartition(":")
        if not (protocol and host and port.isdigit()):
            raise ValueError(
                f"--data_service={self.address} is no address: use grpc://HOST:PORT of a "
                "tf.data service's dispatcher"
            )
        if self.jobs < 1:
            raise ValueError(f"--data_service_jobs={self.jobs} must be at least 1")

    def check(self) -> None:
        """Raises a ValueError if nobody answers there; TensorFlow would wait for an hour."""
        host, _, port = self.address.partition("://")[2].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise ValueError(
                f"--data_service={self.address} does not answer ({error}): start the dispatcher "
                "of a tf.data service there"
            ) from error

    def batches(self, made: Callable[[int, int], tf.data.Dataset], count: int) -> tf.data.Dataset:
        """All batches of a stream, in their order, made by the service.

        Args:
            made: makes the dataset of every `parts`-th batch from batch `part` on, given
                (part, parts).
            count: how many batches there are in all.

        Raises:
            tf.errors.InvalidArgumentError: while the batches are read: fewer came than there
                should be, because a worker was lost.
        """
        jobs = [self._job(made(part, self.jobs)) for part in range(self.jobs)]
        turns = tf.data.Dataset.range(self.jobs).repeat()
        stream = tf.data.Dataset.choose_from_datasets(jobs, turns, stop_on_empty_dataset=True)

        def too_few(_: tf.Tensor) -> dict[str, tf.Tensor]:
            message = f"the tf.data service at {self.address} lost a worker and its batches"
            with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
                return {
                    name: tf.zeros(spec.shape, spec.dtype)
                    for name, spec in stream.element_spec.items()
                }

        return stream.concatenate(tf.data.Dataset.range(1).map(too_few)).take(count)

    @contextlib.contextmanager
    def explained(self, step: int) -> Iterator[None]:
        """Inside, the loss of a worker is a ValueError that says so and names the step."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if "lost a worker" not in str(error):
                raise
            raise ValueError(
                f"the tf.data service at {self.address} lost a worker at step {step}; run again to "
                "go on from the last checkpoint"
            ) from error

    def _job(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        # With dynamic sharding a source element goes to one worker alone: here the only one, which
        # stands for the whole job.
        options = tf.data.Options()
        options.deterministic = True
        whole = tf.data.Dataset.range(1).flat_map(lambda _: batches).with_options(options)
        return whole.apply(
            tf.data.experimental.service.distribute(
                processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                service=self.address,
                job_name=f"batches_{uuid.uuid4().hex}",
            )
        )
