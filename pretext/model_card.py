"""The model card: what an export is, for people who have nothing but its directory.

`model_card.md` is its text, with `$` before what is filled in here; before it stands the header
that model hubs read. `eval.py` adds its results to both (`evaluate/model_card.py`).
"""

import dataclasses
import pathlib
import string
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from data import hub_datasets
from pretext.patch_task import PatchTask
from pretext.task import PretextTask, Representations
from training import front_matter

TEMPLATE = pathlib.Path(__file__).with_name("model_card.md")
# Paths on the machine that trained are private.
PATHS = ("workdir", "data_dir", "permutations_file", "initial_weights", "monitor_data_dir")
SAMPLES = 4
# Whoever publishes the weights has to state their licence: the images decide, not the code.
LICENSE = "unknown"
DECIMALS = 4


@dataclasses.dataclass(frozen=True)
class Run:
    """What is not known from the network itself.

    Attributes:
        flags: value by flag name, as in `flags.cfg`; `dataset`, `train_split` and `val_split` among
            them.
        updates: the number of updates; 0 for a network that is not trained here.
        train_images: the number of images that it was trained on.
        metrics: the last pretext metrics on the validation images, by name (`val_accuracy`, …).
        validation_images: the number of validation images.
        shared_images: how many of them the network was trained on.
    """

    flags: dict[str, str]
    updates: int = 0
    train_images: int = 0
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    validation_images: int = 0
    shared_images: int = 0

    @property
    def source(self) -> str:
        """The fingerprint of the export whose backbone it began with; empty for random weights."""
        return self.flags.get("initial_weights_fingerprint", "")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A layer of the export, as measured.

    Attributes:
        shape: of the representation of one image of the size at which it is probed.
        error: the largest difference to the float32 network's, relative to the largest value.
    """

    shape: tuple[int, ...]
    error: float


def measure(
    task: PretextTask,
    backbone: keras.Model,
    representation: Callable[[tf.Tensor], Representations],
) -> dict[str, Measurement]:
    """Shape and rounding error of every layer, on a few synthetic images.

    Args:
        task: the pretext task.
        backbone: the float32 network.
        representation: the exported function from images to layers.
    """
    images = synthetic_images(SAMPLES, task.eval_view.crop_size)
    expected = task.represent(backbone, images, training=False)
    result = {}
    for name, value in representation(images).items():
        difference = tf.reduce_max(tf.abs(value - tf.cast(expected[name], tf.float32)))
        largest = tf.reduce_max(tf.abs(value))
        result[name] = Measurement(
            shape=tuple(value.shape[1:]), error=float(tf.math.divide_no_nan(difference, largest))
        )
    return result


def synthetic_images(count: int, size: int) -> tf.Tensor:
    """Coloured noise with more power in large structures than in small ones, as in photographs.

    Returns:
        (count, size, size, 3) float32 that spans [0, 1], the same at every call.
    """
    random = np.random.default_rng(0)
    images = tf.zeros([count, size, size, 3])
    cells = 2
    while cells <= size:
        noise = random.standard_normal((count, cells, cells, 3)).astype(np.float32)
        images += tf.image.resize(noise, [size, size], method="bilinear") / cells**0.5
        cells *= 2
    low, high = (reduce(images, [1, 2], True) for reduce in (tf.reduce_min, tf.reduce_max))
    return (images - low) / (high - low)


def write(
    task: PretextTask,
    backbone: keras.Model,
    *,
    measurement: dict[str, Measurement],
    precision: str,
    run: Run | None,
) -> str:
    """The card's text, Markdown.

    Args:
        task: the pretext task.
        backbone: the network, named after its architecture.
        measurement: by layer.
        precision: of the kernels on disk.
        run: the training, if known.
    """
    view = task.eval_view
    size = backbone.input.shape[1]
    resize = f"the smaller side resized by area to {view.resize_size} pixels, then "
    text = string.Template(TEMPLATE.read_text()).substitute(
        architecture=backbone.name,
        trained=_trained(task, run),
        task=task.name,
        parameters=f"{sum(int(np.prod(each.shape)) for each in backbone.variables):,}",
        precision=precision,
        data=_data(run),
        metrics=_metrics(run),
        sides=f"{size}×{size} pixels only" if size == view.crop_size else "any H and W",
        resize=resize if view.resize_size else "",
        crop_size=view.crop_size,
        layers=_layers(measurement, precision),
        patches=_patches(task),
        flags=_flags(run),
    )
    return front_matter.header(_metadata(task, backbone, run)) + text


def _metadata(task: PretextTask, backbone: keras.Model, run: Run | None) -> dict[str, object]:
    """The header, as https://github.com/huggingface/hub-docs/blob/main/modelcard.md defines it."""
    learned = "supervised-learning" if task.name == "supervised" else "self-supervised-learning"
    untrained = run is not None and not run.updates and not run.source
    dataset = hub_datasets.identifier(run.flags["dataset"]) if run and run.updates else None
    results = [_result(task, run)] if run and run.metrics and not run.shared_images else []
    return {
        "license": LICENSE,
        "library_name": "tensorflow",
        "pipeline_tag": "image-feature-extraction",
        "tags": [
            "tensorflow",
            "saved-model",
            "untrained" if untrained else learned,
            task.name.replace("_", "-"),
            backbone.name.replace("_", "-"),
        ],
        **({"datasets": [dataset]} if dataset else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": f"{backbone.name}, {_trained(task, run)}", "results": results}],
    }


def _result(task: PretextTask, run: Run) -> dict[str, object]:
    """The pretext metrics on held-out images as a result of the model index."""
    names = {name: name.removeprefix("val_") for name in run.metrics}
    return {
        "task": {"type": "image-classification", "name": f"{task.name} (pretext task)"},
        "dataset": hub_datasets.described(run.flags["dataset"], run.flags["val_split"]),
        "metrics": [
            {
                "type": "loss" if name == "loss" else "accuracy",
                "name": f"{task.name} {name}",
                "value": round(run.metrics[key], DECIMALS),
            }
            for key, name in names.items()
        ],
    }


def _trained(task: PretextTask, run: Run | None) -> str:
    if run is None:
        return task.name
    if not run.updates:
        return f"{'initialised from another export' if run.source else 'untrained'} ({task.name})"
    return f"{task.name} on {run.flags['dataset']}"


def _data(run: Run | None) -> str:
    if run is None:
        return "not recorded"
    flags = run.flags
    images = (
        f"{flags['dataset']}, {run.train_images:,} images of split {flags['train_split']}; "
        f"measured on split {flags['val_split']}; {run.updates:,} updates"
    )
    if not run.updates:
        images = "none" if run.source else "none; the weights are the initial ones"
    return images + (_source(run) if run.source else "")


def _source(run: Run) -> str:
    """Which part of the network the run did not begin with by itself."""
    verb = "began with" if run.updates else "has"
    return (
        f"; the backbone {verb} the weights of an export with the fingerprint {run.source}, whose "
        "own card says what it was trained on; the head of the pretext task "
        + ("began anew" if run.updates else "is untrained")
    )


def _metrics(run: Run | None) -> str:
    if run is None:
        return "not recorded"
    if not run.metrics:
        return "none measured"
    texts = [f"{name.removeprefix('val_')} {value:.4g}" for name, value in run.metrics.items()]
    return f"{', '.join(texts)} on {_measured_on(run)}"


def _measured_on(run: Run) -> str:
    if not run.updates:
        return f"{run.validation_images:,} images"
    if not run.shared_images:
        return "held-out images"
    shared = "all" if run.shared_images == run.validation_images else f"{run.shared_images:,}"
    return (
        f"{run.validation_images:,} images, **{shared} of which it was trained on**: "
        "no measure of what was learned about others"
    )


def _layers(measurement: dict[str, Measurement], precision: str) -> str:
    with_error = precision != "float32"
    text = "| layer | shape | values |" + " float16 error |" * with_error
    text += "\n| --- | --- | ---: |" + " ---: |" * with_error
    for name, layer in measurement.items():
        shape = " × ".join(map(str, layer.shape))
        text += f"\n| `{name}` | {shape} | {np.prod(layer.shape):,} |"
        text += f" {layer.error:.1e} |" * with_error
    if with_error:
        text += (
            f"\n\nThe error is the largest difference to the float32 network on {SAMPLES} images "
            "of coloured noise, relative to the layer's largest value. Fine-tune the float32 "
            "export: updates of float16 kernels are rounded away."
        )
    return text


def _patches(task: PretextTask) -> str:
    if not isinstance(task, PatchTask):
        return ""
    return (
        f"\n\nThe network sees an image as {task.patches} patches, and these are averages over "
        "them. The signature `patch_representation` gives them one by one, "
        f"{task.patches} × the shapes above: a probe of a map pools the map of each patch, and "
        "averages then."
    )


def _flags(run: Run | None) -> str:
    if run is None:
        return "Not recorded."
    lines = [f"--{name}={value}" for name, value in sorted(run.flags.items()) if name not in PATHS]
    return "The run that trained it:\n\n```\n" + "\n".join(lines) + "\n```"
