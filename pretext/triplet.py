"""The triplet loss with semi-hard negatives, exact, in O(B²) memory.

Semi-hard mining (Schroff et al., FaceNet, 2015) compares every positive pair of a batch with every
negative of its anchor. Written with whole tensors this takes B×B×B values, which at the batch of
the exemplar task (512 images × 8 views; paper, section 3.2) is 256 GiB. The loss here walks over
the positives instead: one B×B comparison for the first positive of all anchors, one for the second,
and so on, as often as the largest class has members. The gradient is gathered on the way, so
nothing of the walk is kept for the backward pass.
"""

import math

import tensorflow as tf


def semi_hard_triplet_loss(
    embeddings: tf.Tensor, labels: tf.Tensor, margin: float = 0.5
) -> tf.Tensor:
    """Mean hinge `margin + D(a, p) − D(a, n)` over all positive pairs (a, p) of the batch.

    D is the squared Euclidean distance. The negative n of a pair is the closest one that is farther
    from the anchor than the positive is (D(a, n) > D(a, p)); where there is none, it is the
    farthest negative of the anchor; where the anchor has no negative at all, D(a, n) counts as 0.
    These are the values of TF-slim and TensorFlow Addons ("squared-L2"), also in their gradients:
    negatives at the same distance share it equally. The embeddings are taken as they are: normalise
    them before. (The released code normalises over the batch axis, which is an error; see the
    README.)

    Args:
        embeddings: (B, D) floats, computed in float32 whatever their dtype.
        labels: (B,) integers in any order; equal labels are positives of each other.
        margin: the hinge's margin, greater than 0 (0.5 in the paper).

    Returns:
        A float32 scalar; 0 for a batch without a positive pair.

    Raises:
        ValueError: if the margin is not positive or the shapes do not fit.
    """
    check_margin(margin)
    embeddings, labels = tf.convert_to_tensor(embeddings), tf.convert_to_tensor(labels)
    if embeddings.shape.rank != 2 or labels.shape.rank != 1:
        raise ValueError(
            f"embeddings must have shape (B, D) and labels (B,), got {embeddings.shape} and "
            f"{labels.shape}"
        )

    @tf.custom_gradient
    def loss(points: tf.Tensor) -> tuple:
        value, pull = _loss_and_pull(points, labels, margin)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # D(i, j) = |x_i − x_j|², so pull_ij moves x_i by 2 pull_ij (x_i − x_j), x_j opposite.
            both = pull + tf.transpose(pull)
            moves = tf.reduce_sum(both, axis=1, keepdims=True) * points - tf.matmul(both, points)
            return 2.0 * upstream * moves

        return value, gradient

    return loss(tf.cast(embeddings, tf.float32))


def check_margin(margin: float) -> None:
    """Raises a ValueError unless the margin is a positive finite number."""
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"the margin of the triplet loss must be greater than 0, got {margin}")


def squared_distances(points: tf.Tensor) -> tf.Tensor:
    """(B, D) to (B, B) squared Euclidean distances, never negative and 0 on the diagonal."""
    squares = tf.reduce_sum(tf.square(points), axis=1)
    products = tf.matmul(points, points, transpose_b=True)
    distances = tf.maximum(squares[:, None] + squares[None, :] - 2.0 * products, 0.0)
    return tf.linalg.set_diag(distances, tf.zeros_like(squares))


def _loss_and_pull(
    points: tf.Tensor, labels: tf.Tensor, margin: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss and its derivative with respect to every entry of the distance matrix."""
    distances = squared_distances(points)
    # −1 marks what is not a negative: it is below every distance, so no comparison picks it.
    negatives = tf.where(labels[:, None] == labels[None, :], -1.0, distances)
    farthest = tf.maximum(tf.reduce_max(negatives, axis=1), 0.0)

    # In the order of the labels each class is a run of `size` columns from `start`; the r-th
    # positive of an anchor is r columns after it, around the run's end.
    order = tf.argsort(labels, stable=True)
    rank = tf.argsort(order)
    ordered = tf.gather(labels, order)
    start = tf.searchsorted(ordered, labels, side="left")
    size = tf.searchsorted(ordered, labels, side="right") - start
    pairs = tf.reduce_sum(tf.cast(size - 1, tf.float32))
    columns = tf.range(tf.shape(points)[0])[None, :]

    def next_positive(step: tf.Tensor, total: tf.Tensor, pull: tf.Tensor) -> tuple:
        column = tf.gather(order, start + (rank - start + step) % size)
        positive = tf.gather(distances, column, batch_dims=1)
        farther = tf.where(negatives > positive[:, None], negatives, math.inf)
        closest = tf.reduce_min(farther, axis=1)
        negative = tf.where(closest < math.inf, closest, farthest)
        hinge = margin + positive - negative
        active = (step < size) & (hinge >= 0)
        total += tf.reduce_sum(tf.where(step < size, tf.maximum(hinge, 0.0), 0.0))

        weight = tf.where(active, tf.math.divide_no_nan(1.0, pairs), 0.0)[:, None]
        chosen = tf.cast(negatives == negative[:, None], tf.float32)
        shared = tf.math.divide_no_nan(weight, tf.reduce_sum(chosen, axis=1, keepdims=True))
        pull += tf.where(columns == column[:, None], weight, 0.0) - chosen * shared
        return step + 1, total, pull

    _, total, pull = tf.while_loop(
        lambda step, *_: step < tf.reduce_max(size),
        next_positive,
        (1, 0.0, tf.zeros_like(distances)),
    )
    return tf.math.divide_no_nan(total, pairs), pull
