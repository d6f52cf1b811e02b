"""The backbone of a task: the user's options and the task's requirements combined."""

import dataclasses

import keras

import models
from pretext import precision
from pretext.task import PretextTask
from training.options import AUTO, option


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Which network is trained, and in what precision."""

    architecture: str = option("resnet50_v2", f"The network: {', '.join(models.NAMES)}.")
    widening_factor: int = option(
        4, "k, which multiplies all numbers of channels.", minimum=1, maximum=1024
    )
    representation_size: int = option(
        0,
        "Size of an extra linear layer that produces pre_logits; 0: no such layer.",
        minimum=0,
        maximum=1_000_000,
    )
    weight_decay: float = option(
        1e-4,
        "Weight decay of kernels, as 0.5 · weight_decay · ‖W‖²; RevNet's root convolution has "
        "none, the perceptron of jigsaw and relative_patch_location its own 5e-4.",
        minimum=0,
        maximum=1e6,
    )
    precision: str = option(
        "float32",
        "What convolutions are computed in; variables, statistics and losses stay float32. auto: "
        "bfloat16 where the hardware multiplies it, else float32.",
        choices=(AUTO, *precision.POLICIES),
    )
    synchronized_batch_norm: bool = option(False, "Share the batch statistics of all devices.")


def build_backbone(task: PretextTask, options: NetworkOptions, image_size: int) -> keras.Model:
    """The backbone for a task, as `models.build` makes it, in Keras' current dtype policy.

    Args:
        task: may require other strides and smaller images.
        options: the user's options.
        image_size: pixels of the sides of a whole view.

    Raises:
        ValueError: there is no such architecture, or the images are too small for it.
    """
    own = task.backbone_options(options.architecture)
    network = {
        "widening_factor": options.widening_factor,
        "image_size": image_size,
        "representation_size": options.representation_size or None,
        "weight_decay": options.weight_decay,
        "synchronized_batch_norm": options.synchronized_batch_norm,
        **own,
    }
    try:
        return models.build(options.architecture, **network)
    except ValueError as error:
        if "image_size" not in str(error):
            raise
        flag = "patch_size" if "image_size" in own else "crop_size"
        raise ValueError(f"--{flag}={network['image_size']}: {error}") from error
