"""A trial pass of two images through a network, before a run writes anything.

A network that cannot process the images (their size or type), an output that is not a
representation, and sizes that do not fit into memory are reported here and not by the first batch.
"""

import os

import numpy as np
import tensorflow as tf

from evaluate import saved_models
from evaluate.representations import ExtractOptions, represent
from evaluate.saved_models import SavedModel
from training import between_workers
from training.error_lines import reason

# A resized image: its pixels as float32 and rounded.
BYTES_PER_PIXEL = 3 * (4 + 1)


def check_sizes(options: ExtractOptions) -> None:
    """Refuses sizes whose pixels alone exceed the machine's memory.

    Raises:
        ValueError: a batch of crops, or as many images as are resized at a time, takes more
            than the machine's memory; names the flags.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    resized = (os.cpu_count() or 1) * options.resize_size**2 * BYTES_PER_PIXEL
    if resized > memory:
        raise ValueError(
            f"--resize_size={options.resize_size}: the {os.cpu_count()} images that are resized "
            f"at a time would take {_gib(resized)}, the machine has {_gib(memory)}"
        )
    batch = options.batch_size * options.crop_size**2 * BYTES_PER_PIXEL
    if batch > memory:
        raise ValueError(
            f"--crop_size={options.crop_size}: a batch of {options.batch_size} images would take "
            f"{_gib(batch)}, the machine has {_gib(memory)}; use a smaller --crop_size or "
            "--batch_size"
        )


def check(
    model: SavedModel, options: ExtractOptions, strategy: tf.distribute.Strategy | None = None
) -> dict[str, int]:
    """Passes two grey images (or as many as the network requires) through the network.

    Returns:
        By layer the number of features after pooling.

    Raises:
        ValueError: sizes that do not fit the machine, a network that does not take such images,
            or layers that are not representations: (N, D) or (N, H, W, C) numbers.
    """
    check_sizes(options)
    strategy = strategy or tf.distribute.get_strategy()
    fixed = saved_models.images_at_a_time(model)
    replicas = between_workers.replicas_here(strategy)
    if fixed and fixed != options.batch_size // replicas:
        raise ValueError(
            f"{model.path} takes {fixed} images at a time: use --batch_size={fixed * replicas}"
        )
    count = fixed or 2
    side = options.crop_size
    refusal = (
        f"{model.path} cannot be run on RGB images of {side}×{side} pixels (--crop_size), it "
        f"takes {saved_models.takes(model) or 'nothing'}"
    )
    if not saved_models.fits(model, tf.TensorSpec((fixed, side, side, 3), tf.float32)):
        raise ValueError(refusal)
    images = np.full((count, side, side, 3), 128, np.uint8)

    @tf.function(autograph=False)
    def forward(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return strategy.run(lambda: represent(model, images, options))

    try:
        layers = forward(tf.constant(images))
    except Exception as error:  # A foreign network can make TensorFlow raise any type.
        raise ValueError(f"{refusal}: {_why(error)}") from error
    features = {}
    for name, values in layers.items():
        shape = strategy.experimental_local_results(values)[0].shape
        if shape[0] != count or not shape[1]:
            raise ValueError(
                f"layer {name} of {model.path} is not a representation: for {count} images its "
                f"shape is {tuple(shape)} after pooling, not ({count}, features); leave it out of "
                "--layers"
            )
        features[name] = int(shape[1])
    return features


def _why(error: BaseException) -> str:
    """The error of the operation, and not that the signature could not be called."""
    line = reason(error)
    while "Binding inputs" in line and (error := error.__cause__ or error.__context__):
        line = reason(error)
    return line.split(" for '{{node")[0][:300]


def _gib(size: int) -> str:
    return f"{size / 2**30:,.0f} GiB"
