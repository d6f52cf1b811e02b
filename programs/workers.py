"""What one of several machines does when another one is gone."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from programs.error_lines import reason

# What a sum over machines ends with, depending on how the other one went.
_GONE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def told_when_gone(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Around steps of several machines: the loss of one ends the others with a line.

    A machine that does not answer for about ten seconds counts as gone: TensorFlow's coordination
    service, in the first worker's process, hears from each every few seconds, and ends the sums
    that wait for it.

    Raises:
        ConnectionError: a machine is gone.
    """
    try:
        yield
    except _GONE as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise ConnectionError(
            "another worker is gone, and with it the state of this one; start all of them again, "
            f"and they go on from the last checkpoint ({reason(error)})"
        ) from error
