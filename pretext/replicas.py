"""Values that every replica gets from all of them, for a loss over the batch of all replicas."""

import tensorflow as tf


def gather(values: tf.Tensor) -> tf.Tensor:
    """The values of all replicas, one replica after the other, the same on each of them.

    A sum over replicas of what is zero except for a replica's own part: of static shape, and with
    a gradient that is the sum of all replicas' own.

    Args:
        values: (B, …) numbers, of the same shape on all R replicas.

    Returns:
        (R · B, …); the values themselves outside of a strategy.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return values
    own = tf.one_hot(context.replica_id_in_sync_group, replicas, dtype=values.dtype)
    parts = tf.tensordot(own, values, axes=0)
    everything = context.all_reduce(tf.distribute.ReduceOp.SUM, parts)
    return tf.reshape(everything, (-1, *values.shape[1:]))
