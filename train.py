"""Pretrains a network on unlabelled images with a pretext task, and exports it.

    python train.py --workdir=runs/rotation --task=rotation --dataset=folder --data_dir=photos

ends with runs/rotation/saved_model. Run again, the same command goes on where it was stopped.
The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C and 143 after SIGTERM, which
both save a checkpoint first: docs/failures.md.
"""

from programs import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses

import keras
from absl import flags
from etils import epath

import data
import models
import pretext
from data import pipeline, unreadable
from data.service import DataService
from optimisation import schedule
from optimisation.momentum import Momentum
from pretext import loop, model_card, precision
from pretext.export import export, export_keras, is_whole
from pretext.stored_network import PRECISIONS
from pretext.trainer import PretextTrainer
from programs import command_line, locks, metrics_file, run_directory, strategies, workers


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of a run; see their help."""

    workdir: str
    task: str
    architecture: str
    widening_factor: int
    representation_size: int
    dataset: str
    data_dir: str
    train_split: str
    val_split: str
    resize_size: int
    crop_size: int
    augmentation: str
    embedding_size: int
    grey_probability: float
    views_per_image: int
    margin: float
    global_negatives: bool
    patch_size: int
    patches_per_side: int
    permutations: int
    permutations_per_image: int
    permutations_seed: int
    permutations_file: str
    batch_size: int
    epochs: int
    learning_rate: float
    lr_scale_batch_size: int
    decay_epochs: list[str]
    warmup_epochs: float
    weight_decay: float
    seed: int
    strategy: str
    tpu: str
    precision: str
    synchronized_batch_norm: bool
    gradient_accumulation: int
    jit: bool
    profile: bool
    max_bad_fraction: float
    data_service: str
    data_service_jobs: int
    log_every_steps: int
    checkpoint_every_steps: int
    export_precision: str
    export_keras: bool


flags.DEFINE_string("workdir", None, "The run's directory: checkpoints, metrics, export.")
flags.DEFINE_string("task", "rotation", f"The pretext task: {', '.join(pretext.TASKS)}.")
flags.DEFINE_string("architecture", "resnet50_v2", f"The network: {', '.join(models.NAMES)}.")
flags.DEFINE_integer("widening_factor", 4, "k, which multiplies every number of channels.")
flags.DEFINE_integer(
    "representation_size", 0, "Size of an extra linear layer that makes pre_logits; 0 for none."
)
flags.DEFINE_string(
    "dataset",
    "folder",
    "folder, scenes, imagenet2012, places205 or another TFDS name; docs/data.md.",
)
flags.DEFINE_string("data_dir", None, "The folder, ImageNet's directory, or TFDS' data directory.")
flags.DEFINE_string("train_split", "train", "Images to train on: train, trainval, …")
flags.DEFINE_string("val_split", "val", "Images for the pretext metrics after every epoch.")
flags.DEFINE_integer(
    "resize_size",
    256,
    "Pixels of the smaller side before a crop; 0: own size. In jigsaw and relative_patch_location "
    "of both sides, 292 in the paper.",
)
flags.DEFINE_integer(
    "crop_size",
    224,
    "Pixels of the crop's sides. Jigsaw and relative_patch_location cut their patches out of it; "
    "255 in the paper.",
)
flags.DEFINE_enum(
    "augmentation",
    "inception",
    ["inception", "crop"],
    "Of rotation and supervised: inception (random area, aspect, flip and colour) or crop (random "
    "place and flip).",
)
flags.DEFINE_integer(
    "embedding_size", 1000, "Of exemplar, jigsaw, relative_patch_location: of a view or patch."
)
flags.DEFINE_float(
    "grey_probability",
    2 / 3,
    "Of exemplar, jigsaw, relative_patch_location: that a view or patch turns grey.",
)
flags.DEFINE_integer("views_per_image", 8, "Of exemplar: random augmentations of each image.")
flags.DEFINE_float("margin", 0.5, "Of exemplar: the triplet loss's, between squared distances.")
flags.DEFINE_bool(
    "global_negatives",
    False,
    "Of exemplar: look for triplets among the images of all devices, not of each by itself.",
)
flags.DEFINE_integer(
    "patch_size", 64, "Of jigsaw, relative_patch_location: pixels of a patch's sides."
)
flags.DEFINE_integer(
    "patches_per_side", 3, "Of jigsaw, relative_patch_location: the crop is a grid of so many."
)
flags.DEFINE_integer("permutations", 100, "Of jigsaw: how many it tells apart.")
flags.DEFINE_integer("permutations_per_image", 16, "Of jigsaw: shown of an image per epoch.")
flags.DEFINE_integer("permutations_seed", 0, "Of jigsaw: what the permutations are made from.")
flags.DEFINE_string(
    "permutations_file", None, "Of jigsaw: read them from a file in the published binary format."
)
flags.DEFINE_integer("batch_size", 256, "Images per update, over all devices.")
flags.DEFINE_integer("epochs", 35, "Passes over the training images; 0 exports untrained weights.")
flags.DEFINE_float("learning_rate", 0.1, "For a batch of --lr_scale_batch_size images.")
flags.DEFINE_integer(
    "lr_scale_batch_size", 256, "The rate is learning_rate · batch_size / this; 0: not scaled."
)
flags.DEFINE_list("decay_epochs", ["15", "25"], "Epochs after which the rate is divided by ten.")
flags.DEFINE_float("warmup_epochs", 5.0, "Epochs over which the rate rises from zero.")
flags.DEFINE_float("weight_decay", 1e-4, "Of all kernels, as 0.5 · weight_decay · ‖W‖².")
flags.DEFINE_integer("seed", 0, "Of the weights, the order of images and all random choices.")
flags.DEFINE_enum("strategy", "auto", strategies.NAMES, "Which devices to use: docs/devices.md.")
flags.DEFINE_string("tpu", None, "The TPU's name, local on a TPU VM; default: TPU_NAME, if set.")
flags.DEFINE_enum(
    "precision",
    "float32",
    precision.POLICIES,
    "What convolutions are computed in; variables, statistics and losses are float32.",
)
flags.DEFINE_bool(
    "synchronized_batch_norm", False, "Normalise by the statistics of all devices' batches."
)
flags.DEFINE_integer(
    "gradient_accumulation",
    1,
    "Micro-batches that --batch_size is divided into, computed one after the other to save memory.",
)
flags.DEFINE_bool("jit", False, "Whether XLA compiles the training step; on a TPU it always does.")
flags.DEFINE_bool("profile", False, "Record steps 11 to 15 for TensorBoard's profiler.")
flags.DEFINE_float(
    "max_bad_fraction", 0.1, "Stop if more of a split than this is unreadable; less is left out."
)
flags.DEFINE_string(
    "data_service", None, "grpc://HOST:PORT of a tf.data service that decodes the training images."
)
flags.DEFINE_integer(
    "data_service_jobs", 1, "Jobs among which it shares them; at least as many as its workers."
)
flags.DEFINE_integer("log_every_steps", 50, "Steps between two rows of metrics.csv.")
flags.DEFINE_integer("checkpoint_every_steps", 500, "Steps between two checkpoints.")
flags.DEFINE_enum(
    "export_precision",
    "float32",
    PRECISIONS,
    "Of the exported kernels; float16 takes half the bytes, and is not for fine-tuning.",
)
flags.DEFINE_bool("export_keras", False, "Whether to write the backbone as backbone.keras too.")

# Between two starts of one run these may change: they do not change what is trained. (Another
# number of devices changes what batch statistics are taken over, unless they are synchronised.)
MAY_DIFFER = (
    "workdir",
    "data_dir",
    "strategy",
    "tpu",
    "checkpoint_every_steps",
    "profile",
    "export_precision",
    "export_keras",
    "max_bad_fraction",
    "data_service",
    "data_service_jobs",
)


@locks.released_at_the_end
def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"what is {argv[1]}? Every option begins with -- and a name")

    # ---------------------------------------------------------------- flags
    names = [field.name for field in dataclasses.fields(Config)]
    config = Config(**{name: flags.FLAGS[name].value for name in names})
    option_names = {field.name for field in dataclasses.fields(pretext.TaskOptions)}
    options = pretext.TaskOptions(
        **{name: getattr(config, name) for name in names if name in option_names}
    )
    pretext.build(config.task, options)  # A wrong flag is told before a data set is opened.
    unreadable.check_fraction(config.max_bad_fraction)
    service = None
    if config.data_service:
        service = DataService(config.data_service, config.data_service_jobs)
        service.check()

    # ---------------------------------------------------------------- data and devices
    strategy = strategies.build(config.strategy, config.tpu)
    strategies.check_batch_size(strategy, config.batch_size, config.gradient_accumulation)
    if config.jit:
        strategies.check_compilation(
            strategy, config.synchronized_batch_norm, config.global_negatives
        )
    training = validation = None
    if config.epochs or config.task == "supervised":
        training = data.load(config.dataset, config.train_split, config.data_dir)
        validation = data.load(config.dataset, config.val_split, config.data_dir)
        options = dataclasses.replace(options, num_classes=training.num_classes)

    # ---------------------------------------------------------------- task, network and optimiser
    task = pretext.build(config.task, options)
    if config.epochs:
        pipeline.check_first(training, task.train_view)
        pipeline.check_first(validation, task.pretext_view)
    network = {
        "widening_factor": config.widening_factor,
        "image_size": config.crop_size,
        "representation_size": config.representation_size or None,
        "weight_decay": config.weight_decay,
        "synchronized_batch_norm": config.synchronized_batch_norm,
        **task.backbone_options(config.architecture),
    }
    keras.utils.set_random_seed(config.seed)
    with (
        workers.told_when_gone(strategy),
        strategy.scope(),
        precision.computing_in(config.precision),
    ):
        backbone = models.build(config.architecture, **network)
        loss_scale = precision.LossScale() if config.precision == "float16" else None
        trainer = PretextTrainer(task, backbone, strategy.num_replicas_in_sync, loss_scale)
        if config.epochs:
            steps = pipeline.steps_per_epoch(training, config.batch_size)
            rate = learning_rate(config, steps)
            trainer.compile(optimizer=Momentum(rate, skip_nan=loss_scale is not None))

    # ---------------------------------------------------------------- run directory
    # Last of the checks, so that a run that cannot start leaves nothing behind.
    is_chief = strategies.is_chief(strategy)
    workdir = epath.Path(config.workdir or "")
    if is_chief:
        run_directory.claim(config.workdir, command_line.flag_texts(names), MAY_DIFFER)
    saved_model = workdir / "saved_model"
    keras_file = workdir / "backbone.keras"
    with_keras_file = config.export_keras and not keras_file.exists()
    if is_whole(saved_model) and not with_keras_file:
        print(f"{saved_model} is already there: this run is finished; delete it to export again")
        return

    # ---------------------------------------------------------------- training
    if config.epochs:
        loop_options = loop.LoopOptions(
            batch_size=config.batch_size,
            epochs=config.epochs,
            seed=config.seed,
            log_every_steps=config.log_every_steps,
            checkpoint_every_steps=config.checkpoint_every_steps,
            gradient_accumulation=config.gradient_accumulation,
            jit=config.jit,
            profile=config.profile,
            max_bad_fraction=config.max_bad_fraction,
            service=service,
        )
        loop.Loop(trainer, strategy, loop_options, workdir, training, validation).run()

    # ---------------------------------------------------------------- export
    if is_chief:
        trained = PretextTrainer(task, models.build(config.architecture, **network))
        trained.set_weights(trainer.get_weights())
        if with_keras_file:
            export_keras(trained.backbone, keras_file)
            print(f"{keras_file}")
        if not is_whole(saved_model):
            export(
                task,
                trained.backbone,
                trained.head,
                saved_model,
                precision=config.export_precision,
                run=model_card.Run(
                    flags=command_line.flag_texts(names),
                    train_images=training.size if config.epochs else 0,
                    metrics=metrics_file.last(workdir / "metrics.csv", "val_"),
                ),
            )
            print(f"{saved_model}")
    workers.wait_for_all(strategy)


def learning_rate(config: Config, steps: int) -> schedule.WarmupPiecewise:
    """The schedule in steps, from the flags that give it in epochs of `steps`."""
    scale = config.batch_size / config.lr_scale_batch_size if config.lr_scale_batch_size else 1.0
    return schedule.in_epochs(
        config.learning_rate * scale,
        steps,
        decay_epochs=schedule.read_epochs(config.decay_epochs),
        warmup_epochs=config.warmup_epochs,
    )


if __name__ == "__main__":
    command_line.run("train.py", main)
