"""Measures a frozen network's representations: a probe on every layer.

    python eval.py --saved_model=runs/rotation/saved_model --workdir=runs/rotation_probe \\
        --dataset=folder --data_dir=photos

prints a table and leaves results.json and accuracy_by_layer.png in the run's directory. And

    python eval.py --compare runs/a runs/b --workdir=runs/comparison

puts the results of several runs side by side: prints them and leaves comparison.png and
comparison.csv in --workdir, or else in the current directory.

The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C and 143 after SIGTERM; the
same command goes on: docs/failures.md.
"""

from programs import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses
import json

from absl import flags
from etils import epath

import data
from data import overlap, unreadable
from evaluate import (
    comparison,
    coverage,
    gradient_probe,
    logistic_regression,
    low_data,
    model_card,
    neighbours,
    probes,
    protocols,
    report,
    representation_files,
    representations,
    saved_models,
    trial_pass,
)
from evaluate.label_free import label_free_scores
from evaluate.training_examples import AugmentedExamples, CachedExamples
from programs import command_line, locks, run_directory, strategies


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
    train_fraction: float
    layers: list[str]
    probe: str
    l2: str
    max_updates: int
    neighbours: int
    augmentation: str
    train_batch_size: int
    epochs: int
    learning_rate: float
    lr_scale_batch_size: int
    decay_epochs: list[str]
    checkpoint_every_steps: int
    resize_size: int
    crop_size: int
    pooling: str
    max_features: int
    dtype: str
    batch_size: int
    strategy: str
    tpu: str
    representations_dir: str
    max_bad_fraction: float
    seed: int


flags.DEFINE_string("workdir", None, "The run's directory: representations, results, plot.")
flags.DEFINE_list(
    "compare", [], "Directories of finished runs to put side by side: --compare A B, --compare=A,B."
)
flags.DEFINE_string("saved_model", None, "The network: a SavedModel as train.py exports it.")
flags.DEFINE_string(
    "dataset",
    "folder",
    "folder, scenes, imagenet2012, places205 or another TFDS name; docs/data.md.",
)
flags.DEFINE_string("data_dir", None, "The folder, ImageNet's directory, or TFDS' data directory.")
flags.DEFINE_string("train_split", "train", "Labelled images to fit the probes to.")
flags.DEFINE_string("val_split", "val", "Labelled images to measure the probes on.")
flags.DEFINE_float(
    "train_fraction",
    1.0,
    "Of the training split's labels, what the probes get: as many images of every class, the same "
    "ones for every layer and model.",
)
flags.DEFINE_list(
    "layers",
    ["block1", "block2", "block3", "block4", "pre_logits"],
    "The layers to probe; pixels is the network's input itself.",
)
flags.DEFINE_enum(
    "probe",
    "lbfgs",
    [*probes.NAMES, *protocols.PAPER],
    "lbfgs: logistic regression by L-BFGS; knn: the nearest neighbours by cosine, nothing to fit; "
    "sgd: logistic regression by SGD with momentum; mlp: one hidden layer of 1000, by SGD.",
)
flags.DEFINE_string(
    "l2",
    "auto",
    "The penalty λ: a number, paper (100 / (features · classes)), or auto (lbfgs: the best of "
    "1e-6 … 1e-1 on a held-out fifth of the training split; sgd: 0; mlp: paper).",
)
flags.DEFINE_integer("max_updates", logistic_regression.MAX_UPDATES, "The limit of L-BFGS updates.")
flags.DEFINE_integer("neighbours", neighbours.NEIGHBOURS, "How many vote for --probe=knn.")
flags.DEFINE_enum(
    "augmentation",
    "auto",
    ["auto", "crop", "none"],
    "Of sgd, mlp: crop (random place and flip, the network runs at every step) or none "
    "(representations that are computed once); auto: crop for sgd, none for mlp.",
)
flags.DEFINE_integer(
    "train_batch_size", 0, "Of sgd, mlp: examples per update, over all devices; 0: 2048, 512."
)
flags.DEFINE_integer("epochs", 0, "Of sgd, mlp: passes over the training split; 0: 520, 180.")
flags.DEFINE_float("learning_rate", 0.0, "Of sgd, mlp: the rate at first; 0: 0.1, 0.01.")
flags.DEFINE_integer(
    "lr_scale_batch_size",
    0,
    "Of sgd, mlp: the rate is learning_rate · train_batch_size / this; 0: not scaled.",
)
flags.DEFINE_list(
    "decay_epochs",
    ["auto"],
    "Of sgd, mlp: epochs after which the rate is divided by ten; auto: 480, 500 of 520 for sgd, "
    "60, 120 of 180 for mlp, in proportion to --epochs; empty: never.",
)
flags.DEFINE_integer(
    "checkpoint_every_steps",
    500,
    "Of sgd, mlp: steps between two checkpoints.",
    lower_bound=1,
)
flags.DEFINE_integer("resize_size", 0, "Pixels of the smaller side; 0: what the model asks for.")
flags.DEFINE_integer("crop_size", 0, "Pixels of the central crop; 0: what the model asks for.")
flags.DEFINE_enum("pooling", "max", ["max", "avg", "adaptive_max", "adaptive_avg"], "Of big maps.")
flags.DEFINE_integer("max_features", 9000, "Maps of more values than this are pooled.")
flags.DEFINE_enum("dtype", "float32", ["float32", "float16"], "Of the representations on disk.")
flags.DEFINE_integer("batch_size", 64, "Images per forward pass.")
flags.DEFINE_enum(
    "strategy", "auto", strategies.NAMES, "Which devices of this machine to use: docs/devices.md."
)
flags.DEFINE_string("tpu", None, "The TPU's name, local on a TPU VM; default: TPU_NAME, if set.")
flags.DEFINE_string("representations_dir", None, "Default: representations/ in --workdir.")
flags.DEFINE_float(
    "max_bad_fraction", 0.1, "Stop if more of a split than this is unreadable; less is left out."
)
flags.DEFINE_integer(
    "seed",
    0,
    "Of --train_fraction's images and of the held-out fifth; of sgd, mlp: of all random choices.",
)
flags.FLAGS.set_gnu_getopt(True)  # Flags may follow --compare's further runs.

# Between two starts of one run these may change: they do not change its result.
MAY_DIFFER = (
    "workdir",
    "data_dir",
    "strategy",
    "tpu",
    "batch_size",
    "representations_dir",
    "checkpoint_every_steps",
    "max_bad_fraction",
)


@locks.released_at_the_end
def main(argv: list[str]) -> None:
    # ---------------------------------------------------------------- flags
    names = [field.name for field in dataclasses.fields(Config)]
    config = Config(**{name: flags.FLAGS[name].value for name in names})
    if config.compare:
        comparison.compare([*config.compare, *argv[1:]], epath.Path(config.workdir or "."))
        return
    if len(argv) > 1:
        raise ValueError(f"what is {argv[1]}? Every option begins with -- and a name")

    unreadable.check_fraction(config.max_bad_fraction)

    # ---------------------------------------------------------------- network and data
    if config.strategy == "multi_worker":
        raise ValueError(
            "--strategy=multi_worker is for train.py; eval.py writes representations from one "
            "machine: use mirrored there for all its GPUs"
        )
    strategy = strategies.build(config.strategy, config.tpu)
    strategies.check_batch_size(strategy, config.batch_size)
    with strategy.scope():
        model = saved_models.load(config.saved_model)
    resize_size, crop_size = saved_models.input_size(model, config.resize_size, config.crop_size)
    representations.check_layers(model, config.layers)
    low_data.check_fraction(config.train_fraction)
    probe_options = probes.ProbeOptions(
        probe=config.probe,
        l2=probes.read_l2(config.l2),
        max_updates=config.max_updates,
        neighbours=config.neighbours,
        seed=config.seed,
    )
    if config.max_features < 1:
        raise ValueError(f"--max_features={config.max_features}: use at least 1")
    protocol = None
    if config.probe in protocols.PAPER:
        protocol = protocols.build(
            config.probe,
            l2=probe_options.l2,
            augmentation=config.augmentation,
            train_batch_size=config.train_batch_size,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            lr_scale_batch_size=config.lr_scale_batch_size,
            decay_epochs=config.decay_epochs,
        )
        strategies.check_batch_size(strategy, protocol.train_batch_size, flag="train_batch_size")
    splits = {
        name: data.load(config.dataset, split, config.data_dir)
        for name, split in (("train", config.train_split), ("val", config.val_split))
    }
    num_classes = splits["train"].num_classes
    if num_classes < 2:
        raise ValueError(
            f"{config.dataset} has {num_classes or 'no'} labels to probe with, not two or more; "
            "a folder needs a sub-folder per class"
        )
    if protocol:
        protocols.steps_per_epoch(
            protocol, round(config.train_fraction * splits["train"].size) or 1
        )
    shared = overlap.shared(splits["train"], splits["val"])

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
    trial_pass.check(model, options, strategy)

    # ---------------------------------------------------------------- run directory
    directory = epath.Path(
        config.representations_dir or epath.Path(config.workdir or "") / "representations"
    )
    representation_files.check_local(directory)
    workdir = run_directory.claim(config.workdir, command_line.flag_texts(names), MAY_DIFFER)

    # ---------------------------------------------------------------- representations
    val = representations.extract(model, splits["val"], options, directory / "val", strategy)
    source = {"train": splits["train"].fingerprint, "val": val.description}
    if protocol and protocol.augmentation == "crop":
        train = None
        part = low_data.records_part(splits["train"], config.train_fraction, config.seed)
        labels = low_data.labels_of(part)
        training = AugmentedExamples(model, part, options)
    else:
        train = representations.extract(
            model, splits["train"], options, directory / "train", strategy
        )
        source["train"] = train.description
        labelled = low_data.subset(
            train.labels, config.train_fraction, config.seed, train.positions
        )
        labels = train.labels[labelled]
        if protocol:
            training = CachedExamples(train, num_classes, labelled)
    covered = coverage.check(
        labels,
        val.labels,
        splits["train"].class_names,
        overlap=shared,
        neighbours=config.neighbours if config.probe == "knn" else None,
    )

    # ---------------------------------------------------------------- probes
    if protocol:
        layers = gradient_probe.GradientProbe(
            protocol,
            training,
            val,
            num_classes=num_classes,
            strategy=strategy,
            workdir=workdir,
            source=source,
            seed=config.seed,
            checkpoint_every_steps=config.checkpoint_every_steps,
        ).run()
        # Of random crops there are no representations that could be scored.
        for layer, features in (train or val).layers.items():
            layers[layer] |= dataclasses.asdict(label_free_scores(features, config.seed))
    else:
        layers = probes.measure_all(
            train,
            val,
            labelled,
            num_classes=num_classes,
            options=probe_options,
            strategy=strategy,
            source=source,
            partial=workdir / "results.partial.json",
        )
    left_out = train.unreadable if train else len(training.unreadable.reasons)

    # ---------------------------------------------------------------- results
    results = {
        "saved_model": config.saved_model,
        "fingerprint": model.fingerprint,
        "dataset": config.dataset,
        "train_split": config.train_split,
        "val_split": config.val_split,
        "classes": num_classes,
        "train_fraction": config.train_fraction,
        "seed": config.seed,
        "train_examples": len(labelled) if train else training.size - left_out,
        "val_examples": len(val.labels),
        "unreadable": left_out + val.unreadable,
        **dataclasses.asdict(covered),
        "probe": config.probe,
        "l2": config.l2,
        "training": dataclasses.asdict(protocol) if protocol else None,
        "resize_size": resize_size,
        "crop_size": crop_size,
        "pooling": config.pooling,
        "label_free_split": config.train_split if train else config.val_split,
        "layers": layers,
    }
    run_directory.write_whole(workdir / "results.json", json.dumps(results, indent=2) + "\n")
    report.plot({workdir.name: results}, workdir / "accuracy_by_layer.png")
    model_card.append(results)
    print("\n".join([report.table(results), *coverage.remarks(results)]))
    # Flushed, so that a full disk behind it is told like any other.
    print(f"\n{workdir / 'results.json'}\n{workdir / 'accuracy_by_layer.png'}", flush=True)


if __name__ == "__main__":
    command_line.run("eval.py", main)
