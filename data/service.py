"""Decoding by other hosts: batches through a tf.data service, in the order they would have here.

A tf.data service that shares work among its workers delivers batches in the order in which they are
ready, so that every run would differ. The stream is therefore divided beforehand: each of n jobs
makes every n-th batch, on one worker, and the batches are taken from the jobs in turn.
A job reads all records of its stream, which are still encoded (of a folder just their names),
and decodes its own.
"""

import contextlib
import dataclasses
import threading
import uuid
from collections.abc import Callable, Iterator

import tensorflow as tf

from training import grpc_server, interruption

# The one method of the dispatcher that changes nothing.
GET_VERSION = "/tensorflow.data.DispatcherService/GetVersion"
SECONDS_OF_SILENCE = 30.0
MOST_JOBS = 1000


@dataclasses.dataclass(frozen=True)
class DataService:
    """A tf.data service.

    Attributes:
        address: the dispatcher's, `grpc://host:port`.
        jobs: how many jobs share the decoding; as many as the service has workers, or more.
    """

    address: str
    jobs: int = 1

    def __post_init__(self) -> None:
        if not grpc_server.host_and_port(self.address):
            raise ValueError(
                f"--data_service={self.address} is not an address: use grpc://HOST:PORT of a "
                "tf.data service's dispatcher"
            )
        if not 1 <= self.jobs <= MOST_JOBS:
            raise ValueError(
                f"--data_service_jobs={self.jobs} must be at least 1, and at most {MOST_JOBS}"
            )

    def check(self) -> None:
        """Raises a ValueError if no dispatcher answers; TensorFlow would wait for an hour."""
        if problem := grpc_server.problem(self.address, GET_VERSION):
            raise ValueError(
                f"--data_service={self.address} does not answer ({problem}): start the dispatcher "
                "of a tf.data service there"
            )

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
        """Inside, the loss of a worker is a ValueError that says so and names the step.

        The loss of the dispatcher ends the process with a line when a step has lasted for
        SECONDS_OF_SILENCE: TensorFlow keeps asking for an hour, in a call that nothing interrupts.
        """
        left = threading.Event()
        threading.Thread(target=self._watch, args=(step, left), daemon=True).start()
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if "lost a worker" not in str(error):
                raise
            raise ValueError(
                f"the tf.data service at {self.address} lost a worker at step {step}; run again to "
                "resume from the last checkpoint"
            ) from error
        finally:
            left.set()

    def _watch(self, step: int, left: threading.Event) -> None:
        while not left.wait(SECONDS_OF_SILENCE):
            problem = grpc_server.problem(self.address, GET_VERSION)
            if problem and not left.is_set():
                interruption.fail(
                    f"the tf.data service at {self.address} no longer answers at step "
                    f"{step} ({problem}); start it and run again to resume from the last checkpoint"
                )

    def _job(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        # With dynamic sharding a source element goes to one worker only: here the single element
        # that stands for the whole job.
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
