"""What the workers of `--strategy=multi_worker` tell each other beside gradients: sums of arrays.

Every worker holds a part of something, computes with it, and gets the sum over all workers, the
same bits everywhere; from it each decides alike, so that none waits for another's decision. Small
things are gathered by the same means: as a sum of vectors that are zero but for a worker's part.
"""

import dataclasses
import zlib
from collections.abc import Callable, Collection

import numpy as np
import tensorflow as tf

from training import workers


@dataclasses.dataclass(frozen=True)
class Workers:
    """This process among those that work together; by default it is alone.

    All of them have to make the same calls in the same order, with arrays of the same shapes
    (but for the rows that are concatenated).

    Attributes:
        index: which of them this one is, from 0.
        count: how many there are.
        add: the sum over all workers of an array of one shape, int64, float32 or float64.
    """

    index: int = 0
    count: int = 1
    add: Callable[[np.ndarray], np.ndarray] = lambda array: array

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes results and prints."""
        return self.index == 0

    def sum(self, array: np.ndarray | float) -> np.ndarray:
        """The sum over the workers of an array of the same shape and type everywhere."""
        array = np.asarray(array)
        # TensorFlow's collective sum of an array of no elements crashes.
        return self.add(array) if array.size else array

    def total(self, number: int) -> int:
        """The sum of a whole number."""
        return int(self.sum(np.int64(number)))

    def wait_for_all(self) -> None:
        """Returns when every worker has come here."""
        self.total(0)

    def each(self, number: int) -> np.ndarray:
        """Every worker's whole number, in their order: int64, (workers,)."""
        numbers = np.zeros(self.count, np.int64)
        numbers[self.index] = number
        return self.sum(numbers)

    def concatenate(self, rows: np.ndarray) -> np.ndarray:
        """All workers' rows, one worker's after the other's.

        Args:
            rows: (N, ...), int64, float32 or float64; N differs from worker to worker.
        """
        if self.count == 1:
            return rows
        ends = np.cumsum(self.each(len(rows)))
        every = np.zeros((ends[-1], *rows.shape[1:]), rows.dtype)
        every[ends[self.index] - len(rows) : ends[self.index]] = rows
        return self.sum(every)

    def own(self, rows: np.ndarray, count: int) -> np.ndarray:
        """What `concatenate` would have taken from this worker, if that was `count` rows."""
        if self.count == 1:
            return rows
        first = int(self.each(count)[: self.index].sum())
        return rows[first : first + count]

    def distinct(self, names: Collection[str]) -> int:
        """The number of different names that the workers have, by their CRC-32."""
        if self.count == 1:
            return len(set(names))
        checksums = np.array([zlib.crc32(name.encode()) for name in names], np.int64)
        return len(np.unique(self.concatenate(checksums)))

    def same_everywhere(self, content: bytes) -> bool:
        """Whether every worker has the same bytes, by their CRC-32."""
        return self.count == 1 or len(np.unique(self.each(zlib.crc32(content)))) == 1


ALONE = Workers()


def replicas_here(strategy: tf.distribute.Strategy | None) -> int:
    """The replicas of a strategy that are on this machine; 1 for None."""
    return strategy.num_replicas_in_sync // of(strategy).count if strategy else 1


def of(strategy: tf.distribute.Strategy) -> Workers:
    """The workers of a strategy; `ALONE` where it has one process."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return ALONE
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    chiefs = len(jobs.get("chief", ()))
    index = resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)
    count = sum(map(len, jobs.values()))
    if count == 1:
        return ALONE
    replicas = strategy.num_replicas_in_sync // count
    sums: dict[tuple, Callable[[tf.Tensor], tf.Tensor]] = {}

    def made() -> Callable[[tf.Tensor], tf.Tensor]:
        def of_replica(array: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            # A worker's first replica adds its array, the others nothing.
            is_first = tf.equal(replica % replicas, 0)
            return tf.where(is_first, array, tf.zeros_like(array))

        return tf.function(
            lambda array: strategy.reduce("SUM", strategy.run(of_replica, (array,)), axis=None),
            autograph=False,
        )

    def add(array: np.ndarray) -> np.ndarray:
        # A function for each shape, made by all in the same order: it is how they know which of
        # their sums belong together.
        key = array.shape, array.dtype
        if key not in sums:
            sums[key] = made()
        with workers.lost_worker_explained(strategy, "what each has on its disk"):
            return sums[key](tf.constant(array)).numpy()

    return Workers(index, count, add)
