"""Classifiers on a frozen network's representations, one head for every layer, trained together.

A head is linear, or has one hidden layer (the paper's MLP, section 4.3). No head sees another
layer's features, and its gradient comes from its own loss alone: trained on the sum of all losses,
each gets the weights that it would get by itself.
"""

import itertools
import zlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from evaluate.logistic_regression import paper_l2


class Share(NamedTuple):
    """Which of the examples of a batch of all replicas one replica has.

    Attributes:
        positions: int64, (N,): theirs in the batch.
        batch_size: the number of examples of the batch.
    """

    positions: tf.Tensor
    batch_size: int


class Heads:
    """The heads of several layers; made in the scope of the strategy that trains them.

    A linear head starts at zero, as L-BFGS does. The kernels of an MLP start Glorot-uniform, drawn
    by the seed and the layer's name.

    Args:
        features: by layer the size M of its representation.
        num_classes: number of classes C, at least 2.
        hidden: units of the hidden layer; 0 for a linear head.
        dropout: the probability that a hidden unit is dropped in training, in [0, 1).
        l2: the factor λ of the penalty λ‖W‖², at least 0, or `paper` for 100 / (M · C), which
            differs by layer. An MLP's two kernels are penalised alike; biases are not.
        seed: of the initial kernels and of dropout.

    Raises:
        ValueError: fewer than 2 classes.
    """

    def __init__(
        self,
        features: dict[str, int],
        num_classes: int,
        *,
        hidden: int = 0,
        dropout: float = 0.5,
        l2: float | str = 0.0,
        seed: int = 0,
    ) -> None:
        if num_classes < 2:
            raise ValueError(f"a probe needs at least 2 classes, not {num_classes}")
        self.features = features
        self.num_classes = num_classes
        self.dropout = dropout
        self.l2 = {
            layer: paper_l2(size, num_classes) if l2 == "paper" else float(l2)
            for layer, size in features.items()
        }
        # By the layer's name, so that what a head draws does not depend on which others there are.
        self._seeds = {layer: [seed, zlib.crc32(layer.encode())] for layer in features}
        self._dense = {}
        for layer, size in features.items():
            widths = [size, hidden, num_classes] if hidden else [size, num_classes]
            self._dense[layer] = [
                (
                    keras.Variable(kernel, dtype="float32"),
                    keras.Variable(np.zeros(kernel.shape[1]), dtype="float32"),
                )
                for kernel in self._initial_kernels(layer, widths)
            ]

    @property
    def variables(self) -> list[keras.Variable]:
        """Kernel and bias of every head, hidden layer first."""
        return [variable for head in self._dense.values() for pair in head for variable in pair]

    def logits(
        self,
        layer: str,
        features: tf.Tensor,
        dropout_step: tf.Tensor | None = None,
        share: Share | None = None,
    ) -> tf.Tensor:
        """The logits of one layer's head: (N, C).

        Args:
            layer: which head.
            features: (N, M), float32.
            dropout_step: the number of the update that this is for, an integer: what is dropped is
                a function of (seed, layer, step, the example's index in the batch of all
                replicas). None drops nothing.
            share: which of a batch's examples these are; None: as many as every replica has, in the
                replicas' order.
        """
        *inner, (kernel, bias) = self._dense[layer]
        for inner_kernel, inner_bias in inner:
            features = tf.nn.relu(tf.matmul(features, inner_kernel) + inner_bias)
            if dropout_step is not None:
                features *= self._dropout_factors(layer, features, dropout_step, share)
        return tf.matmul(features, kernel) + bias

    def losses(
        self,
        features: dict[str, tf.Tensor],
        labels: tf.Tensor,
        dropout_step: tf.Tensor | None = None,
        share: Share | None = None,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Mean cross-entropy and penalty λ‖W‖² of every head: scalars by layer.

        Args:
            features: by layer (N, M), float32.
            labels: (N,), integers in [0, C).
            dropout_step: as in `logits`.
            share: as in `logits`. The sum over these examples is then divided by what a replica has
                of the batch on average: the mean over replicas is that over the batch.
        """
        cross_entropies, penalties = {}, {}
        for layer, head in self._dense.items():
            of_examples = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, self.logits(layer, features[layer], dropout_step, share)
            )
            if share:
                replicas = tf.distribute.get_replica_context().num_replicas_in_sync
                mean = tf.reduce_sum(of_examples) / (share.batch_size / replicas)
            else:
                mean = tf.reduce_mean(of_examples)
            cross_entropies[layer] = mean
            squares = [tf.reduce_sum(tf.square(kernel)) for kernel, _ in head]
            penalties[layer] = self.l2[layer] * tf.add_n(squares)
        return cross_entropies, penalties

    def _initial_kernels(self, layer: str, widths: list[int]) -> list[np.ndarray]:
        shapes = list(itertools.pairwise(widths))
        if len(shapes) == 1:
            return [np.zeros(shapes[0])]
        random = np.random.default_rng(self._seeds[layer])
        return [random.uniform(-1, 1, shape) * np.sqrt(6 / sum(shape)) for shape in shapes]

    def _dropout_factors(
        self, layer: str, units: tf.Tensor, step: tf.Tensor, share: Share | None = None
    ) -> tf.Tensor:
        """0 for what is dropped, 1 / (1 - dropout) for what is kept: the shape of `units`."""
        replica = tf.distribute.get_replica_context()
        examples = tf.shape(units)[0]
        seed, name = self._seeds[layer]
        # Every replica draws for the whole batch and takes its part: the draws do not depend on
        # how many replicas there are.
        draws = tf.random.stateless_uniform(
            [
                share.batch_size if share else examples * replica.num_replicas_in_sync,
                units.shape[1],
            ],
            tf.stack([tf.constant(seed * 1_000_003 + name, tf.int64), tf.cast(step, tf.int64)]),
        )
        if share:
            draws = tf.gather(draws, share.positions)
        else:
            first = examples * tf.cast(replica.replica_id_in_sync_group, tf.int32)
            draws = draws[first : first + examples]
        kept = draws >= self.dropout
        return tf.cast(kept, units.dtype) / (1 - self.dropout)
