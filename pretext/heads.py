"""The head of the patch tasks: a perceptron on the concatenated embeddings of patches."""

import keras

from models.layers import BatchNormalization, WeightDecay

WEIGHT_DECAY = 5e-4


def patch_head(
    input_size: int,
    num_classes: int,
    *,
    hidden_size: int = 4096,
    dropout: float = 0.5,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """Linear layer, batch normalisation, ReLU, dropout, linear layer.

    The paper's "two hidden layer" perceptron (section 3.2) counts the embeddings themselves as the
    first. Momentum 0.997, epsilon 1e-5, weight decay 5e-4 (as 0.5·wd·‖W‖²) and the initial values
    (kernels from a truncated normal distribution of standard deviation 0.005, hidden biases 0.1)
    are the released code's; they are fixed and differ from the backbone's.

    Args:
        input_size: of the concatenated embeddings, C · K for K patches.
        num_classes: number of permutations or positions.
        hidden_size: units of the hidden layer.
        dropout: the fraction of hidden units that is dropped in training.
        synchronized_batch_norm: whether the replicas of a strategy share their batch statistics.

    Returns:
        A functional model from (examples, input_size) to float32 logits (examples, num_classes).

    Raises:
        ValueError: if a size is not positive or the dropout not in [0, 1).
    """
    sizes = {"input_size": input_size, "num_classes": num_classes, "hidden_size": hidden_size}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} of the patch head must be positive, got {size}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout of the patch head must be in [0, 1), got {dropout}")

    def linear(units: int, bias: float, **options) -> keras.layers.Dense:
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.005),
            bias_initializer=keras.initializers.Constant(bias),
            kernel_regularizer=WeightDecay(WEIGHT_DECAY),
            **options,
        )

    embeddings = keras.Input((input_size,), name="embeddings")
    x = linear(hidden_size, 0.1, name="hidden")(embeddings)
    x = BatchNormalization(
        momentum=0.997, epsilon=1e-5, synchronized=synchronized_batch_norm, name="hidden_bn"
    )(x)
    x = keras.layers.ReLU(name="hidden_relu")(x)
    x = keras.layers.Dropout(dropout, name="hidden_dropout")(x)
    logits = linear(num_classes, 0.0, dtype="float32", name="logits")(x)
    return keras.Model(embeddings, logits, name="patch_head")
