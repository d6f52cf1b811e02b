"""Compares the networks with numbers recorded from the authors' released TensorFlow 1 code.

    python -m tests.parity FILE ...

FILE is `forward_<case>__infer.npz`, `forward_<case>__train.npz`, `train_<case>.npz` (each with its
`.json` beside it) or `param_counts.json`. Architecture, width, sizes and strides are read from the
files, so any case will do. Prints the worst error of every output beside its tolerance; exits with
1 if one is outside, with 2 if a file is not of these formats. tests/golden/README.md describes the
files, and how weights follow from a recipe.
"""

import dataclasses
import itertools
import json
import math
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import models
from models.layers import WeightDecay

INFER = 1e-5  # of the largest value of an output
TRAIN = 5e-4  # absolute for logits and pre_logits; of the largest value for maps
# Batch statistics over two values, where the recorded numbers are themselves off: evaluated in
# float64 the recorded case differs from them by 2.5e-2 in one of 512 channels, at most 1.4e-2 of
# the largest value. logits absolute, the others of the largest value.
TRAIN_VGG = {"logits": 5e-3, "pre_logits": 2e-2}
# Absolute for the pre_logits of the others, where batch statistics of block4 are over at most eight
# values (2×2 pixels of two images). There one network differs between float32 and float64 by up to
# 4.3e-4 (sizes from 33 to 63), and two float32 implementations by the noise of both.
TRAIN_SMALL_MAP = 1e-3
L2_LOSS = 1e-5  # relative
MOVING = 1e-4  # of the largest value
# The recorded noise comes from two jittered runs, which measure its scale and do not bound it.
NOISE = 3.0


@dataclasses.dataclass(frozen=True)
class Result:
    """How far one output is from the recorded one, and how far it may be."""

    name: str
    error: float
    tolerance: float

    @property
    def passes(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


def compare(path: str | Path) -> list[Result]:
    """Compares one recorded file.

    Args:
        path: a file of one of the formats above.

    Returns:
        One result for every recorded output.

    Raises:
        ValueError: the file is of none of these formats, or has no description beside it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if path.suffix == ".json":
        return list(_parameter_counts(path))
    try:
        recorded = np.load(path)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: must be an .npz or .json file, {error}") from error
    description = _description(path)
    keys = set(recorded.files)
    if "variables" in description and any(re.fullmatch(r"lr[^_]+__ce", key) for key in keys):
        return list(_training(recorded, description))
    if "variables" in description and {"logits", "pre_logits", "reg_loss"} <= keys:
        return list(_forward(recorded, description))
    raise ValueError(f"{path}: must hold a recorded forward pass or recorded training steps")


def _description(path: Path) -> dict:
    """The .json beside an .npz: of the same name, without `__infer` or `__train` or with them."""
    for name in (re.sub(r"__(infer|train)$", "", path.stem), path.stem):
        if (beside := path.with_name(f"{name}.json")).is_file():
            return json.loads(beside.read_text())
    raise ValueError(f"{path}: its description {name}.json must be beside it")


def _architecture(arch: str, extra: dict) -> str:
    if arch == "resnet50":
        minus = extra["mode"] == "v2" and not extra.get("last_relu", True)
        return f"resnet50_{extra['mode']}" + "_minus" * minus
    if arch == "revnet50":
        return "revnet50" if extra.get("last_relu", True) else "revnet50_minus"
    if arch == "vgg19":
        return "vgg19_bn"
    raise ValueError(f"the recorded architecture must be resnet50, revnet50 or vgg19, got {arch!r}")


def _network(name: str, number_of_classes: int, weight_decay: float, **options) -> keras.Model:
    """The backbone with a linear layer of logits on it, giving every output that was recorded."""
    backbone = models.build(name, weight_decay=weight_decay, **options)
    outputs = {key: value for key, value in backbone.output.items() if key.startswith("pre")}
    if name == "vgg19_bn":
        # The released code names the inputs of the 1st ... 5th pooling; here, as in the paper,
        # block1 is the input of the 2nd.
        for stage, last in enumerate((2, 2, 4, 4, 4), start=1):
            layer = backbone.get_layer(f"stage{stage}_conv{last}_relu")
            outputs[f"block{stage}"] = layer.output
            if stage > 1:
                assert layer.output is backbone.output[f"block{stage - 1}"]
        outputs["fc6"] = backbone.get_layer("fc6_relu").output
    else:
        outputs = backbone.output | {"after_root": backbone.get_layer("root_pool").output}
    head = keras.layers.Dense(
        number_of_classes, kernel_regularizer=WeightDecay(weight_decay), name="logits"
    )
    outputs["logits"] = head(backbone.output["pre_logits"])
    return keras.Model(backbone.input, outputs)


def _in_order_of_creation(network: keras.Model) -> list[keras.Variable]:
    """The variables in the original's order: a unit's first normalisation, its shortcut, the rest.

    Keras orders layers by depth, where a shortcut comes late.
    """
    first = {"norm": 0, "shortcut": 1, "shortcut_norm": 2}

    def unit_and_rest(variable: keras.Variable) -> tuple[str, str]:
        unit, rest = re.fullmatch(r"(block\d_unit\d+_)?(.*)/\w+", variable.path).groups()
        return (unit, rest) if unit else (rest, "")

    ordered = []
    for _, group in itertools.groupby(network.weights, key=lambda v: unit_and_rest(v)[0]):
        ordered += sorted(group, key=lambda v: first.get(unit_and_rest(v)[1], 3))
    return ordered


def _recipe(variable: dict) -> np.ndarray:
    random = np.random.RandomState(1000 + variable["i"])
    shape = variable["shape"]
    if variable["kind"] == "conv_kernel":
        values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
    elif variable["kind"] in ("gamma", "moving_variance"):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.standard_normal(shape) * 0.1
    return values.astype(np.float32)


def _fill(network: keras.Model, description: list[dict]) -> list[keras.Variable]:
    """Gives every variable its recorded value; returns them in the recorded order."""
    variables = _in_order_of_creation(network)
    for variable, recorded in zip(variables, description, strict=True):
        if variable.name != recorded["name"].rsplit("/", 1)[-1]:
            raise ValueError(f"{variable.path} stands where {recorded['name']} was recorded")
        variable.assign(_recipe(recorded).reshape(variable.shape))
    return variables


def _distance(ours: np.ndarray, recorded: np.ndarray) -> float:
    return float(np.max(np.abs(np.reshape(ours, -1) - np.reshape(recorded, -1)), initial=0))


def _forward(recorded: dict, description: dict) -> Iterator[Result]:
    training = "moving_after__index" in recorded.files
    name = _architecture(description["arch"], description["extra"])
    size = description["input_size"]
    options = {"image_size": size}
    if name != "vgg19_bn":
        options["root_stride"] = description["root_conv_stride"]
        options["block_strides"] = tuple(description["strides"])
    network = _network(
        name,
        description["num_classes"],
        description["weight_decay"],
        widening_factor=description["filters_factor"],
        **options,
    )
    variables = _fill(network, description["variables"])
    shape = (len(recorded["logits"]), size, size, 3)
    images = np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)
    outputs = {key: value.numpy() for key, value in network(images, training=training).items()}
    mode = description.get("modes", {}).get("train" if training else "infer", {})
    sensitivity = mode.get("sensitivity_to_1e6_input_noise", {})

    for key in ("logits", "pre_logits"):
        noise = sensitivity.get(key, {}).get("max_abs_diff", 0)
        tolerance = INFER * np.max(np.abs(recorded[key]))
        if training:
            tolerance = TRAIN_VGG[key] if name == "vgg19_bn" else TRAIN
            if name == "vgg19_bn" and key == "pre_logits":
                tolerance *= np.max(np.abs(recorded[key]))
            elif key == "pre_logits" and np.prod(outputs["block4"].shape[:3]) <= 8:
                tolerance = TRAIN_SMALL_MAP
            # A case that is more chaotic than those the tolerances were set on says so itself.
            tolerance = max(tolerance, 2 * noise)
        yield Result(key, _distance(outputs[key], recorded[key]), tolerance)
    for key in sorted(k.removesuffix("__shape") for k in recorded.files if k.endswith("__shape")):
        output = outputs[key].reshape(recorded[f"{key}__shape"])
        corner = output[0, :2, :2, :8]
        error = max(
            _distance(output.mean(dtype=np.float64), recorded[f"{key}__mean"]),
            _distance(output.std(dtype=np.float64), recorded[f"{key}__std"]),
            _distance(corner, recorded[f"{key}__slice"]),
        )
        tolerance = INFER
        if training:
            tolerance = TRAIN_VGG["pre_logits"] if name == "vgg19_bn" else TRAIN
        yield Result(key, error, tolerance * float(np.max(np.abs(output))))
    yield _l2_loss("l2_loss", network, recorded["reg_loss"])
    if training:
        yield from _moving_statistics(variables, recorded)


def _l2_loss(name: str, network: keras.Model, recorded: float) -> Result:
    error = abs(float(sum(network.losses)) / float(recorded) - 1)
    return Result(f"{name} (relative)", error, L2_LOSS)


def _moving_statistics(variables: list[keras.Variable], recorded: dict) -> Iterator[Result]:
    prefix = "moving_after__"
    moved = [variables[i].numpy() for i in recorded[f"{prefix}index"]]
    summaries: dict[str, Callable] = {"mean": np.mean, "l2": np.linalg.norm}
    for key, summary in summaries.items():
        of_all = recorded[prefix + key]
        error = _distance([summary(values.astype(np.float64)) for values in moved], of_all)
        yield Result(f"moving statistics, {key}", error, MOVING * float(np.max(np.abs(of_all))))
    for key in ("first_mean", "first_var", "last_mean", "last_var"):
        values = recorded[prefix + key]
        error = _distance(variables[int(recorded[f"{prefix}{key}_index"])].numpy(), values)
        yield Result(f"moving statistics, {key}", error, MOVING * float(np.max(np.abs(values))))


def _training(recorded: dict, description: dict) -> Iterator[Result]:
    """Steps of momentum SGD; their tolerance is the noise that jittered weights make there."""
    settings = description["settings"]
    *_, features, number_of_classes = description["variables"][-2]["shape"]
    network = _network(
        _architecture(settings["arch"], settings["extra"]),
        number_of_classes,
        settings.get("weight_decay", 1e-4),
        widening_factor=settings.get("filters_factor", features // 512),
        image_size=64,
    )
    for key in sorted(key for key in recorded.files if re.fullmatch(r"lr[^_]+__ce", key)):
        prefix = key.removesuffix("ce")
        title = prefix.rstrip("_")
        of_this = {k.removeprefix(prefix): recorded[k] for k in recorded if k.startswith(prefix)}
        variables = _fill(network, description["variables"])
        before = [variable.numpy() for variable in variables]
        ours = _steps(network, variables, float(title[2:]), *of_this["logits"].shape)

        entropies = np.append(of_this["ce"], of_this["ce_after"])
        jittered = [v for k, v in description[title].items() if k.startswith("ce_jitter")]
        noise = np.max([np.abs(values - entropies) for values in np.array(jittered)], axis=0)
        # The noise so far: jittered runs that meet in one step by chance are no less chaotic then.
        errors = np.abs(ours["entropy"] - entropies) / np.maximum.accumulate(noise)
        yield Result(f"{title} cross-entropy (of noise)", float(np.max(errors)), NOISE)
        errors = ours["l2_loss"] / np.append(of_this["reg"], of_this["reg_after"]) - 1
        yield Result(f"{title} l2_loss (relative)", float(np.max(np.abs(errors))), L2_LOSS)
        yield Result(f"{title} accuracy", _distance(ours["accuracy"], of_this["acc"]), 1e-6)
        ways = [np.linalg.norm(v - v0) for v, v0 in zip(ours["after"], before, strict=True)]
        noise = np.maximum(of_this["noise_l2_jitter1e-6"], of_this["noise_l2_jitter1e-7"])
        error = np.max(np.abs(ways - of_this["var_displacement_l2"]) / noise)
        yield Result(f"{title} way of each variable (of noise)", float(error), NOISE)
        for k in sorted(k for k in of_this if k.startswith("full") and f"{k}_index" in of_this):
            i = int(of_this[f"{k}_index"])
            error = np.linalg.norm(ours["after"][i] - of_this[k]) / noise[i]
            yield Result(f"{title} {k[5:]} (of noise)", float(error), NOISE)
    if "grad0__l2" in recorded.files:
        norms = np.array([np.linalg.norm(gradient) for gradient in ours["gradients"]])
        errors = np.abs(norms - recorded["grad0__l2"]) / recorded["grad0__noise_l2_jitter1e-7"]
        yield Result("norm of first gradients (of noise)", float(np.max(errors)), NOISE)


def _steps(
    network: keras.Model,
    variables: list[keras.Variable],
    learning_rate: float,
    steps: int,
    batch_size: int,
    number_of_classes: int,
) -> dict[str, list]:
    """Trains; returns the values before each step and after the last, and what was learnt."""
    shape = (batch_size, 64, 64, 3)
    images = np.random.RandomState(1).uniform(-1, 1, shape).astype(np.float32)
    labels = np.arange(batch_size) % number_of_classes
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    trained = [variable for variable in variables if variable.trainable]

    @tf.function
    def forward_backward():
        with tf.GradientTape() as tape:
            logits = network(images, training=True)["logits"]
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            l2_loss = tf.add_n(network.losses)
            loss = tf.reduce_mean(entropy) + l2_loss
        gradients = tape.gradient(loss, trained)
        return logits, tf.reduce_mean(entropy), l2_loss, gradients

    history = {"entropy": [], "l2_loss": [], "accuracy": []}
    for step in range(steps + 1):
        if step == steps:
            history["after"] = [variable.numpy() for variable in variables]
        logits, entropy, l2_loss, gradients = forward_backward()
        history["entropy"].append(float(entropy))
        history["l2_loss"].append(float(l2_loss))
        if step == 0:
            history["gradients"] = [gradient.numpy() for gradient in gradients]
        if step < steps:
            history["accuracy"].append(np.mean(np.argmax(logits, axis=-1) == labels))
            optimizer.apply_gradients(zip(gradients, trained, strict=True))
    return history


def _parameter_counts(path: Path) -> Iterator[Result]:
    """Counts parameters at 1000 classes without allocating them."""
    for case, recorded in json.loads(path.read_text()).items():
        if not (parts := re.match(r"(resnet50|revnet50|vgg19)(v[12])?.*_k(\d+)", case)):
            raise ValueError(f"{path}: must hold cases like resnet50v1_k4, has {case!r}")
        extra = {"mode": parts[2], "last_relu": "norelu" not in case}
        with keras.StatelessScope(initialize_variables=False):
            name = _architecture(parts[1], extra)
            network = _network(name, 1000, 1e-4, widening_factor=int(parts[3]))
        sizes = {variable.path: math.prod(variable.shape) for variable in network.weights}
        kernels = [size for path, size in sizes.items() if path.endswith("/kernel")]
        counts = {
            "all": sum(sizes.values()),
            "trainable": sum(sizes[variable.path] for variable in network.trainable_weights),
            "conv_kernels": sum(kernels),
            "pre_logits_dim": network.output["pre_logits"].shape[-1],
        }
        for key in [key for key in counts if key in recorded]:
            yield Result(f"{case} {key}", abs(counts[key] - recorded[key]), 0)
        shapes = network.compute_output_shape((2, 224, 224, 3))
        # The released VGG keeps the two spatial axes of size one to the end.
        squeezed = {key: [n for n in shape if n != 1] for key, shape in shapes.items()}
        for key, shape in recorded.get("endpoints", {}).items():
            differs = squeezed[key] != [n for n in shape if n != 1]
            yield Result(f"{case} shape of {key}", float(differs), 0)


def main(paths: list[str]) -> int:
    """Prints the comparison of each file; returns the exit status."""
    if not paths:
        print(__doc__)
        return 2
    status = 0
    for path in paths:
        try:
            results = compare(path)
        except (ValueError, KeyError) as error:
            lacks = f"{path}: must have the key {error}"
            print(lacks if isinstance(error, KeyError) else error, file=sys.stderr)
            return 2
        print(path)
        for result in results:
            verdict = "ok" if result.passes else "OUTSIDE"
            print(f"  {result.name:45} {result.error:10.3g} of {result.tolerance:10.3g}  {verdict}")
        status |= not all(result.passes for result in results)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
