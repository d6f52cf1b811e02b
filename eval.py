"""Measures a frozen network's representations: a probe on every layer.

    python eval.py --saved_model=runs/rotation/saved_model --workdir=runs/rotation_probe \\
        --dataset=folder --data_dir=photos

prints a table and leaves results.json and accuracy_by_layer.png in the run's directory. And

    python eval.py --compare runs/a runs/b --workdir=runs/comparison

puts the results of several runs side by side: prints them and leaves comparison.png and
comparison.csv in --workdir, or else in the current directory.

The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C and 143 after SIGTERM; the
same command resumes: docs/failures.md.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses
import json

from absl import flags, logging
from etils import epath

import data
from data import images, overlap, usable_images
from data.options import DataOptions
from data.records import Records
from evaluate import (
    comparison,
    coverage,
    disk_space,
    gradient_probe,
    low_data,
    model_card,
    probes,
    protocols,
    report,
    representation_files,
    representations,
    saved_models,
    trial_pass,
)
from evaluate.label_free import label_free_scores
from evaluate.probes import ProbeOptions
from evaluate.protocols import ProtocolOptions
from evaluate.representations import ExtractOptions
from evaluate.training_examples import AugmentedExamples, CachedExamples
from training import (
    between_workers,
    command_line,
    devices,
    locks,
    options,
    run_directory,
    strategies,
    workers,
)
from training.options import option
from training.strategies import DeviceOptions


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What is measured, on which images, and where it is left."""

    workdir: str | None = option(
        None, "The run's directory: representations, results, plot.", may_differ=True, path=True
    )
    compare: tuple[str, ...] = option(
        (),
        "Directories of finished runs to put side by side: --compare A B, --compare=A,B.",
        check=tuple,
        path=True,
    )
    saved_model: str | None = option(
        None, "The network: a SavedModel as train.py exports it.", path=True
    )
    train_split: str = option("train", "Labelled images to fit the probes to.")
    val_split: str = option("val", "Labelled images to measure the probes on.")
    train_fraction: float = option(
        1.0,
        "The fraction of the training split's labels that the probes get: as many images of every "
        "class, the same ones for every layer and model.",
        minimum=0,
        maximum=1,
    )
    representations_dir: str | None = option(
        None, "Default: representations/ in --workdir.", may_differ=True, path=True
    )
    checkpoint_every_steps: int = option(
        500,
        "For sgd, mlp: steps between two checkpoints.",
        minimum=1,
        maximum=10**9,
        may_differ=True,
        only_for=tuple(protocols.PAPER),
    )
    seed: int = option(
        0,
        "The seed of --train_fraction's images and of the held-out fifth; for sgd, mlp: of all "
        "random choices.",
        minimum=0,
        maximum=2**31 - 1,
    )
    update_model_card: bool = option(
        False,
        "Add the results to the model card, README.md in --saved_model; nothing else there is "
        "ever written.",
        may_differ=True,
    )


GROUPS = (
    RunOptions,
    DataOptions,
    ExtractOptions,
    ProbeOptions,
    ProtocolOptions,
    DeviceOptions,
)
options.define(*GROUPS)
flags.FLAGS.set_gnu_getopt(True)  # Flags may follow --compare's further runs.


@locks.released_at_the_end
@devices.memory_advice("use a smaller --batch_size, and for sgd and mlp --train_batch_size")
def main(argv: list[str]) -> None:
    # ---------------------------------------------------------------- flags
    run = options.read(RunOptions)
    if run.compare:
        comparison.compare([*run.compare, *argv[1:]], epath.Path(run.workdir or "."))
        return
    if len(argv) > 1:
        raise ValueError(f"unexpected argument {argv[1]}: give every option as --name=value")
    data_options = options.read(DataOptions)
    extraction = options.read(ExtractOptions, max_bad_fraction=data_options.max_bad_fraction)
    probe = options.read(ProbeOptions, seed=run.seed)
    training_options = options.read(ProtocolOptions)
    hardware = options.read(DeviceOptions)
    flag_texts = options.texts(run, data_options, extraction, probe, training_options, hardware)
    for name in options.inapplicable(*GROUPS, chosen=probe.probe):
        logging.warning("--%s does not apply to --probe=%s and is ignored", name, probe.probe)
    low_data.check_fraction(run.train_fraction)
    protocol = None
    if probe.probe in protocols.PAPER:
        protocol = protocols.build(probe.probe, l2=probe.l2, **dataclasses.asdict(training_options))

    workdir = run_directory.locate(run.workdir)

    # ---------------------------------------------------------------- network and data
    strategy = strategies.build(hardware.strategy, hardware.tpu)
    team = between_workers.of(strategy)
    strategies.check_batch_size(strategy, extraction.batch_size, of_each_worker=True)
    if protocol:
        strategies.check_batch_size(strategy, protocol.train_batch_size, flag="train_batch_size")
    with workers.lost_worker_explained(strategy, "what each has on its disk"), strategy.scope():
        model = saved_models.load(run.saved_model)
    resize_size, crop_size = saved_models.input_size(
        model, extraction.resize_size, extraction.crop_size
    )
    extraction = dataclasses.replace(extraction, resize_size=resize_size, crop_size=crop_size)
    representations.check_layers(model, extraction.layers)
    splits = {
        name: data.load(data_options.dataset, split, data_options.data_dir)
        for name, split in (("train", run.train_split), ("val", run.val_split))
    }
    for records in splits.values():
        usable_images.check_first(records, images.CentralCrop(resize_size, crop_size))
    num_classes = splits["train"].num_classes
    if num_classes < 2:
        raise ValueError(
            f"{data_options.dataset} has {num_classes or 'no'} labels to probe with, not two or "
            "more; a folder needs a sub-folder per class"
        )
    if protocol:
        protocols.steps_per_epoch(protocol, round(run.train_fraction * splits["train"].size) or 1)

    shared = overlap.shared(splits["train"], splits["val"])
    features = trial_pass.check(model, extraction, strategy)

    # ---------------------------------------------------------------- run directory
    directory = epath.Path(run.representations_dir or workdir / "representations")
    representation_files.check_local(directory)
    may_differ = options.may_differ(*GROUPS, chosen=probe.probe)
    if team.is_first:
        run_directory.claim(run.workdir, flag_texts, may_differ)
    _check_same_everywhere(team, flag_texts, may_differ, model, splits)

    # ---------------------------------------------------------------- representations
    is_cropped = protocol is not None and protocol.augmentation == "crop"
    files = {
        name: representations.open_files(model, splits[name], extraction, directory / name, team)
        for name in (["val"] if is_cropped else ["val", "train"])
    }
    disk_space.announce(files, features, team)

    def extract(name: str) -> representations.Representations:
        return representations.extract(
            model, splits[name], extraction, directory / name, strategy, team, files[name]
        )

    val = extract("val")
    source = {"train": splits["train"].fingerprint, "val": val.description}
    if is_cropped:
        train = None
        part = low_data.records_part(splits["train"], run.train_fraction, run.seed)
        labels = low_data.labels_of(part)
        training = AugmentedExamples(model, part, extraction)
    else:
        train = extract("train")
        source["train"] = train.description
        labelled = low_data.subset(
            train.labels, run.train_fraction, run.seed, train.positions, team
        )
        labels = team.concatenate(train.labels[labelled])
        if protocol:
            training = CachedExamples(train, num_classes, labelled, team)
    if not team.is_first and logging.get_verbosity() == logging.WARNING:
        logging.set_verbosity(logging.ERROR)  # What concerns all of them the first one says.
    val_labels = team.concatenate(val.labels)
    covered = coverage.check(
        labels,
        val_labels,
        splits["train"].class_names,
        overlap=shared,
        neighbours=probe.neighbours if probe.probe == "knn" else None,
    )

    # ---------------------------------------------------------------- probes
    if protocol:
        learner = gradient_probe.GradientProbe(
            protocol,
            training,
            val,
            num_classes=num_classes,
            strategy=strategy,
            workers=team,
            seed=run.seed,
            checkpoint_every_steps=run.checkpoint_every_steps,
        )
        layers = gradient_probe.run(gradient_probe.resume(learner, workdir, source))
        # Of random crops there are no representations that could be scored.
        for layer, rows in (train or val).layers.items():
            layers[layer] |= dataclasses.asdict(label_free_scores(rows, run.seed, team))
    else:
        layers = probes.measure_all(
            train,
            val,
            labelled,
            num_classes=num_classes,
            options=probe,
            strategy=strategy,
            workers=team,
            source=source,
            partial=workdir / "results.partial.json",
        )
    left_out = train.unreadable if train else team.distinct(training.unreadable.reasons)
    if not team.is_first:
        team.wait_for_all()
        return

    # ---------------------------------------------------------------- results
    results = {
        "saved_model": run.saved_model,
        "fingerprint": model.fingerprint,
        "dataset": data_options.dataset,
        "train_split": run.train_split,
        "val_split": run.val_split,
        "classes": num_classes,
        "train_fraction": run.train_fraction,
        "seed": run.seed,
        "train_examples": len(labels) if train else training.size - left_out,
        "val_examples": len(val_labels),
        "unreadable": left_out + val.unreadable,
        **dataclasses.asdict(covered),
        "probe": probe.probe,
        "l2": flag_texts["l2"],
        "training": dataclasses.asdict(protocol) if protocol else None,
        "resize_size": resize_size,
        "crop_size": crop_size,
        "pooling": extraction.pooling,
        "label_free_split": run.train_split if train else run.val_split,
        "layers": layers,
    }
    run_directory.write_whole(workdir / "results.json", json.dumps(results, indent=2) + "\n")
    report.plot({workdir.name: results}, workdir / "accuracy_by_layer.png")
    if run.update_model_card:
        model_card.append(results)
    print("\n".join([report.table(results), *coverage.remarks(results)]))
    # Flushed, so that a full disk behind it is reported like any other.
    print(f"\n{workdir / 'results.json'}\n{workdir / 'accuracy_by_layer.png'}", flush=True)
    team.wait_for_all()


def _check_same_everywhere(
    team: between_workers.Workers,
    flag_texts: dict[str, str],
    may_differ: tuple[str, ...],
    model: saved_models.SavedModel,
    splits: dict[str, Records],
) -> None:
    """Raises a ValueError unless all workers measure the same; paths may differ between them."""
    # The parts of a split are of whole batches.
    ignored = {*may_differ, "saved_model", "data_dir"} - {"batch_size"}
    same = {name: text for name, text in flag_texts.items() if name not in ignored}
    if not team.same_everywhere(json.dumps(same, sort_keys=True).encode()):
        raise ValueError(
            "the workers of --strategy=multi_worker have different flags: start the same command "
            "on every machine"
        )
    data_of_splits = [[records.size, records.class_names] for records in splits.values()]
    if not team.same_everywhere(json.dumps([model.fingerprint, data_of_splits]).encode()):
        raise ValueError(
            "the workers of --strategy=multi_worker have different networks (--saved_model) or "
            "images (--data_dir): all need the same ones, shared or copied"
        )


if __name__ == "__main__":
    command_line.run("eval.py", main)
