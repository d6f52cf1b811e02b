"""Draws what a task shows its network, or what a trained network answers.

    python -m pretext.preview --task=jigsaw --dataset=folder --data_dir=photos

draws the first training batch into task.png, as every run of `train.py` does. With

    python -m pretext.preview --flagfile=runs/rotation/flags.cfg

the network of a run that has a checkpoint, finished or not, is asked about held-out images:
runs/rotation/answers.png shows answers, right and wrong, and the most confident mistakes. All flags
of `train.py` are taken, so that its flag files can be; what concerns training alone has no effect.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses
from collections.abc import Iterator

import tensorflow as tf
from absl import flags
from etils import epath
from tqdm import tqdm

import data
import pretext
from data import contact_sheet, pipeline, usable_images
from data.options import DataOptions
from data.records import Records
from pretext import recipes, sheets
from pretext.network import NetworkOptions, build_backbone
from pretext.options import GROUPS, RunOptions
from pretext.pretraining import PretrainingOptions
from pretext.task import Batch, PretextTask
from pretext.trainer import PretextTrainer
from training import command_line, options, run_directory
from training.checkpoints import Checkpoints
from training.options import option

# Of held-out images: with two views each, exemplar has 63 others to compare a view with.
BATCH = 36


@dataclasses.dataclass(frozen=True)
class PreviewOptions:
    """What is drawn, beside what `train.py` would be told."""

    images: int = option(
        256, "Held-out images that the network is asked about, at most.", minimum=1, maximum=10**6
    )
    output: str | None = option(
        None,
        "The PNG to write; task.png by default, and answers.png in a run's directory.",
        path=True,
    )


options.define(*GROUPS, PreviewOptions)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"unexpected argument {argv[1]}: give every option as --name=value")

    # ---------------------------------------------------------------- flags
    run = options.read(RunOptions)
    preview = options.read(PreviewOptions)
    auto = recipes.values(run.task, epochs=flags.FLAGS["epochs"].value)
    source = options.read(DataOptions)
    network = options.read(NetworkOptions)
    loop = options.read(PretrainingOptions, auto)
    task_options = options.read(pretext.TaskOptions, auto, weight_decay=network.weight_decay)
    pretext.build(run.task, task_options)  # Reports a wrong flag before a data set is opened.
    workdir = run_directory.locate(run.workdir) if run.workdir else None
    is_trained = workdir is not None and (workdir / "checkpoints").is_dir()
    if is_trained:
        check_flags(workdir, options.texts(run, task_options, network))
    path = contact_sheet.output_path(
        preview.output or (str(workdir / "answers.png") if is_trained else "task.png"),
        flag="output",
        # A run's directory is not read as images.
        images=source.data_dir
        if source.dataset == "folder" and (preview.output or not is_trained)
        else None,
    )

    # ---------------------------------------------------------------- images and task
    training = data.load(source.dataset, run.train_split, source.data_dir)
    task_options = dataclasses.replace(task_options, class_names=training.class_names)
    task = pretext.build(run.task, task_options)

    # ---------------------------------------------------------------- picture
    if is_trained:
        validation = data.load(source.dataset, run.val_split, source.data_dir)
        usable_images.check_first(validation, task.pretext_view)
        trainer = PretextTrainer(task, build_backbone(task, network, task_options.crop_size))
        step = restore(trainer, workdir)
        asked = min(preview.images, validation.size)
        of = f"split {run.val_split} of {source.dataset} after {step:,} updates"
        batches = held_out(validation, task, asked)
        sheet = sheets.answers_sheet(task, asking(trainer), batches, of)
    else:
        usable_images.check_first(training, task.train_view)
        sheet = sheets.batch_sheet(task, first_batch(training, task, loop.seed))
    contact_sheet.write(sheet, path, flag="output")
    print(f"{path}")


def check_flags(workdir: epath.Path, texts: dict[str, str]) -> None:
    """Raises a ValueError if a run's network or task has other flags than these."""
    there = run_directory.begun_with(workdir)
    for name, text in texts.items():
        if name not in ("workdir", "precision") and there.get(name, text) != text:
            raise ValueError(
                f"{workdir} holds a run with other flags: --{name} (there {there[name]}, now "
                f"{text}); read them with --flagfile={workdir / 'flags.cfg'}"
            )


def first_batch(training: Records, task: PretextTask, seed: int) -> Batch:
    """The first images that `train.py` would train on, whatever its batch size."""
    batches = pipeline.training_batches(
        training,
        task.train_view,
        batch_size=min(sheets.TILES, training.size),
        epochs=1,
        seed=seed,
        draws=task.draws,
    )
    with training.explained():
        return next(iter(batches))


def restore(trainer: PretextTrainer, workdir: epath.Path) -> int:
    """Gives a network the weights of a run's last checkpoint; returns its step.

    Raises:
        ValueError: there is no whole checkpoint, or it is of another network.
    """
    weights = tf.train.Checkpoint(weights=[variable.value for variable in trainer.variables])
    step = Checkpoints(workdir / "checkpoints", weights, writes=False).restore()
    if step is None:
        raise ValueError(
            f"{workdir} has no checkpoint yet: wait for one, or leave out --workdir to draw what "
            "the network sees"
        )
    return step


def held_out(validation: Records, task: PretextTask, images: int) -> Iterator[Batch]:
    """Batches of the first images of a split, with a progress bar."""
    batches = pipeline.evaluation_batches(
        validation, task.pretext_view, batch_size=BATCH, draws=task.draws
    )
    with tqdm(total=images, desc=task.name, unit=" images") as bar, validation.explained():
        for batch in batches.take(-(-images // BATCH)):
            wanted = tf.cast(tf.range(BATCH) < images - bar.n, tf.float32)
            yield {**batch, "valid": batch["valid"] * wanted}
            bar.update(min(BATCH, images - bar.n))


def asking(trainer: PretextTrainer) -> sheets.Ask:
    """A function from a batch to its views, their targets and the network's logits."""

    @tf.function(autograph=False)
    def ask(batch: Batch) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        inputs, targets = trainer.task.views(batch, training=False)
        return inputs, targets, trainer(inputs, training=False)

    return ask


if __name__ == "__main__":
    command_line.run("pretext.preview", main)
