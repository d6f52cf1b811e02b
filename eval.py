"""Measures a frozen network's representations: a probe on every layer.

    python eval.py --saved_model=runs/rotation/saved_model --workdir=runs/rotation_probe \\
        --dataset=folder --data_dir=photos

prints a table and leaves results.json and accuracy_by_layer.png in the run's directory. And

    python eval.py --compare=runs/a,runs/b --workdir=runs/comparison

puts the results of several runs side by side.
"""

from programs import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses
import json

import numpy as np
from absl import flags
from etils import epath

import data
from data import unreadable
from evaluate import logistic_regression, neighbours, report, representations, saved_models
from evaluate.progress import FitProgress
from programs import command_line, run_directory, strategies


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of a run; see their help."""

    workdir: str
    compare: list[str]
    saved_model: str
    dataset: str
    data_dir: str
    train_split: str
    val_split: str
    layers: list[str]
    probe: str
    l2: str
    max_updates: int
    resize_size: int
    crop_size: int
    pooling: str
    max_features: int
    dtype: str
    batch_size: int
    strategy: str
    representations_dir: str
    max_bad_fraction: float
    seed: int


flags.DEFINE_string("workdir", None, "The run's directory: representations, results, plot.")
flags.DEFINE_list("compare", [], "Directories of finished runs to put side by side; nothing else.")
flags.DEFINE_string("saved_model", None, "The network: a SavedModel as train.py exports it.")
flags.DEFINE_string("dataset", "folder", "Where images come from: folder, scenes or a TFDS name.")
flags.DEFINE_string("data_dir", None, "The folder of images, or TFDS' data directory.")
flags.DEFINE_string("train_split", "train", "Labelled images to fit the probes to.")
flags.DEFINE_string("val_split", "val", "Labelled images to measure the probes on.")
flags.DEFINE_list(
    "layers",
    ["block1", "block2", "block3", "block4", "pre_logits"],
    "The layers to probe; pixels is the network's input itself.",
)
flags.DEFINE_enum(
    "probe",
    "lbfgs",
    ["lbfgs", "knn"],
    "lbfgs: logistic regression by L-BFGS; knn: the 20 nearest neighbours, nothing to fit.",
)
flags.DEFINE_string(
    "l2",
    "auto",
    "The penalty λ: a number, paper (100 / (features · classes)), or auto (the best of "
    "1e-6 … 1e-1 on a held-out fifth of the training split).",
)
flags.DEFINE_integer("max_updates", logistic_regression.MAX_UPDATES, "The limit of L-BFGS updates.")
flags.DEFINE_integer("resize_size", 0, "Pixels of the smaller side; 0: what the model asks for.")
flags.DEFINE_integer("crop_size", 0, "Pixels of the central crop; 0: what the model asks for.")
flags.DEFINE_enum("pooling", "max", ["max", "avg", "adaptive_max", "adaptive_avg"], "Of big maps.")
flags.DEFINE_integer("max_features", 9000, "Maps of more values than this are pooled.")
flags.DEFINE_enum("dtype", "float32", ["float32", "float16"], "Of the representations on disk.")
flags.DEFINE_integer("batch_size", 64, "Images per forward pass.")
flags.DEFINE_enum("strategy", "auto", strategies.NAMES, "Which devices to use.")
flags.DEFINE_string("representations_dir", None, "Default: representations/ in --workdir.")
flags.DEFINE_float(
    "max_bad_fraction", 0.1, "Stop if more of a split than this is unreadable; less is left out."
)
flags.DEFINE_integer("seed", 0, "Of the held-out fifth.")

# Between two starts of one run these may change: they do not change its result.
MAY_DIFFER = (
    "workdir",
    "data_dir",
    "strategy",
    "batch_size",
    "representations_dir",
    "max_bad_fraction",
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"what is {argv[1]}? Every option begins with -- and a name")

    # ---------------------------------------------------------------- flags
    names = [field.name for field in dataclasses.fields(Config)]
    config = Config(**{name: flags.FLAGS[name].value for name in names})
    if config.compare:
        compare(config)
        return

    unreadable.check_fraction(config.max_bad_fraction)

    # ---------------------------------------------------------------- network and data
    strategy = strategies.build(config.strategy)
    strategies.check_batch_size(strategy, config.batch_size)
    with strategy.scope():
        model = saved_models.load(config.saved_model)
    resize_size, crop_size = input_size(config, model)
    check_layers(config, model)
    penalty = read_l2(config.l2)
    splits = {
        name: data.load(config.dataset, split, config.data_dir)
        for name, split in (("train", config.train_split), ("val", config.val_split))
    }
    num_classes = splits["train"].num_classes
    if not num_classes:
        raise ValueError(
            f"{config.dataset} has no labels to probe with; a folder needs a sub-folder per class"
        )

    # ---------------------------------------------------------------- run directory
    workdir = run_directory.claim(config.workdir, command_line.flag_texts(names), MAY_DIFFER)

    # ---------------------------------------------------------------- representations
    options = representations.ExtractOptions(
        layers=tuple(config.layers),
        resize_size=resize_size,
        crop_size=crop_size,
        pooling=config.pooling,
        max_features=config.max_features,
        batch_size=config.batch_size,
        dtype=config.dtype,
        max_bad_fraction=config.max_bad_fraction,
    )
    directory = epath.Path(config.representations_dir or workdir / "representations")
    train, val = (
        representations.extract(model, splits[name], options, directory / name, strategy)
        for name in ("train", "val")
    )

    # ---------------------------------------------------------------- probes
    partial = workdir / "results.partial.json"
    done = json.loads(partial.read_text()) if partial.exists() else {}
    for layer in config.layers:
        if layer not in done:
            with FitProgress(layer) as progress:
                done[layer] = fit_and_measure(
                    train.layers[layer],
                    train.labels,
                    val.layers[layer],
                    val.labels,
                    num_classes=num_classes,
                    penalty=penalty,
                    config=config,
                    strategy=strategy,
                    progress=progress,
                )
            run_directory.write_whole(partial, json.dumps(done))

    # ---------------------------------------------------------------- results
    results = {
        "saved_model": config.saved_model,
        "fingerprint": model.fingerprint,
        "dataset": config.dataset,
        "train_split": config.train_split,
        "val_split": config.val_split,
        "classes": num_classes,
        "train_examples": len(train.labels),
        "val_examples": len(val.labels),
        "unreadable": train.unreadable + val.unreadable,
        "probe": config.probe,
        "l2": config.l2,
        "resize_size": resize_size,
        "crop_size": crop_size,
        "pooling": config.pooling,
        "layers": {layer: done[layer] for layer in config.layers},
    }
    run_directory.write_whole(workdir / "results.json", json.dumps(results, indent=2) + "\n")
    report.plot({workdir.name: results}, workdir / "accuracy_by_layer.png")
    print(report.table(results))
    print(f"\n{workdir / 'results.json'}\n{workdir / 'accuracy_by_layer.png'}")


def compare(config: Config) -> None:
    """Several finished runs side by side, on the terminal and as a plot in the run directory."""
    runs = {epath.Path(run).name: report.load(run) for run in config.compare}
    if len(runs) < len(config.compare):
        raise ValueError("--compare needs runs whose directories have different names")
    print(report.comparison(runs))
    if config.workdir:
        path = epath.Path(config.workdir) / "comparison.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        report.plot(runs, path)
        print(f"\n{path}")


def input_size(config: Config, model: saved_models.SavedModel) -> tuple[int, int]:
    """The pixels to resize to and to crop, from the flags or else from the model."""
    resize_size = config.resize_size or model.resize_size
    crop_size = config.crop_size or model.crop_size
    if resize_size is None or crop_size is None:
        raise ValueError(
            f"{config.saved_model} does not say which image size it wants: "
            "give --resize_size and --crop_size"
        )
    if resize_size and crop_size > resize_size:
        raise ValueError(
            f"--crop_size={crop_size} does not fit into --resize_size={resize_size}: "
            "the image would be smaller than the crop"
        )
    return resize_size, crop_size


def check_layers(config: Config, model: saved_models.SavedModel) -> None:
    """Raises a ValueError for a layer that the model does not have."""
    known = [*model.layers, representations.PIXELS]
    unknown = [layer for layer in config.layers if layer not in known]
    if unknown or not config.layers:
        raise ValueError(
            f"--layers: {config.saved_model} has no layer {', '.join(unknown) or '(none given)'}; "
            f"it has {', '.join(known)}"
        )


def read_l2(text: str) -> float | str:
    """A penalty, or the name of a way to find it."""
    if text in ("auto", "paper"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"--l2={text}: use auto, paper or a number of at least 0")
    return value


def fit_and_measure(
    features: np.ndarray,
    labels: np.ndarray,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    *,
    num_classes: int,
    penalty: float | str,
    config: Config,
    strategy: object,
    progress: FitProgress,
) -> dict[str, object]:
    """One layer's row of results."""
    if config.probe == "knn":
        top1, top5 = neighbours.evaluate(
            features, labels, val_features, val_labels, num_classes=num_classes
        )
        return {
            "features": features.shape[1],
            "top1": top1,
            "top5": top5,
            "seconds": progress.seconds(),
        }
    candidates = {}
    common = {
        "num_classes": num_classes,
        "max_updates": config.max_updates,
        "strategy": strategy,
        "progress": progress,
    }
    if penalty == "auto":
        choice = logistic_regression.choose_l2(features, labels, seed=config.seed, **common)
        probe, candidates = choice.probe, choice.accuracies
    else:
        if penalty == "paper":
            penalty = logistic_regression.paper_l2(features.shape[1], num_classes)
        probe = logistic_regression.fit(features, labels, l2=penalty, **common)
    top1, top5, loss = logistic_regression.evaluate(probe, val_features, val_labels)
    return {
        "features": features.shape[1],
        "top1": top1,
        "top5": top5,
        "loss": loss,
        "l2": probe.l2,
        "held_out_top1_by_l2": {f"{l2:g}": accuracy for l2, accuracy in candidates.items()},
        "train_loss": probe.loss,
        "updates": probe.updates,
        "converged": probe.converged,
        "seconds": progress.seconds(),
    }


if __name__ == "__main__":
    command_line.run("eval.py", main)
