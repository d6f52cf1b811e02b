"""Pretrains a network on unlabelled images with a pretext task, and exports it.

    python train.py --workdir=runs/rotation --task=rotation --dataset=folder --data_dir=photos

ends with runs/rotation/saved_model. Run again, the same command resumes where it stopped.
The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C and 143 after SIGTERM, which
both save a checkpoint first: docs/failures.md.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses

import keras
from absl import flags, logging

import data
import pretext
from data import overlap, pipeline, usable_images
from data.options import DataOptions, ServiceOptions
from data.service import DataService
from pretext import (
    initial_weights,
    model_card,
    network_size,
    precision,
    recipes,
    run_summary,
)
from pretext.export import ExportOptions, export, export_keras, is_whole, is_whole_keras_file
from pretext.initial_weights import InitialWeightsOptions
from pretext.monitor import Monitor, MonitorOptions
from pretext.network import NetworkOptions, build_backbone
from pretext.options import GROUPS, RunOptions
from pretext.pretraining import Pretraining, PretrainingOptions
from pretext.trainer import PretextTrainer
from training import (
    between_workers,
    command_line,
    devices,
    locks,
    metrics,
    options,
    run_directory,
    strategies,
    workers,
)
from training.loop import Loop
from training.momentum import Momentum
from training.schedule import ScheduleOptions
from training.strategies import DeviceOptions


options.define(*GROUPS)


@locks.released_at_the_end
@devices.memory_advice(
    "use a smaller --batch_size, a larger --gradient_accumulation, --precision=bfloat16 or a "
    "smaller --widening_factor"
)
def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"unexpected argument {argv[1]}: give every option as --name=value")

    # ---------------------------------------------------------------- flags
    run = options.read(RunOptions)
    auto = recipes.values(run.task, epochs=flags.FLAGS["epochs"].value)
    data_options = options.read(DataOptions)
    decoding = options.read(ServiceOptions)
    network = options.read(NetworkOptions)
    task_options = options.read(
        pretext.TaskOptions,
        auto,
        weight_decay=network.weight_decay,
        synchronized_batch_norm=network.synchronized_batch_norm,
    )
    loop = options.read(PretrainingOptions, auto, max_bad_fraction=data_options.max_bad_fraction)
    monitoring = options.read(MonitorOptions)
    schedule = options.read(ScheduleOptions, auto)
    hardware = options.read(DeviceOptions)
    exported = options.read(ExportOptions)
    for name in options.inapplicable(*GROUPS, chosen=run.task):
        logging.warning("--%s does not apply to --task=%s and is ignored", name, run.task)
    pretext.build(run.task, task_options)  # Reports a wrong flag before a data set is opened.
    workdir = run_directory.locate(run.workdir)
    saved_model, keras_file = workdir / "saved_model", workdir / "backbone.keras"
    with_saved_model = not is_whole(saved_model)
    with_keras_file = exported.export_keras and not is_whole_keras_file(keras_file)
    is_finished = not with_saved_model and not with_keras_file
    begins = initial_weights.is_needed(workdir, is_finished)
    start = initial_weights.resolve(options.read(InitialWeightsOptions), workdir, begins)
    if decoding.data_service:
        service = DataService(decoding.data_service, decoding.data_service_jobs)
        service.check()
        loop = dataclasses.replace(loop, service=service)

    # ---------------------------------------------------------------- data and devices
    strategy = strategies.build(hardware.strategy, hardware.tpu)
    with workers.lost_worker_explained(strategy):
        network = dataclasses.replace(
            network, precision=precision.resolve(network.precision, strategy, workdir)
        )
        initial_weights.check_same_everywhere(start, between_workers.of(strategy))
    groups = (run, data_options, decoding, task_options, network, start, loop, monitoring, schedule)
    flag_texts = options.texts(*groups, hardware, exported)
    strategies.check_batch_size(strategy, loop.batch_size, loop.gradient_accumulation)
    if loop.jit:
        strategies.check_compilation(
            strategy, network.synchronized_batch_norm, task_options.global_negatives
        )
    training = validation = None
    shared = 0
    if loop.epochs or run.task == "supervised":
        training = data.load(data_options.dataset, run.train_split, data_options.data_dir)
        validation = data.load(data_options.dataset, run.val_split, data_options.data_dir)
        task_options = dataclasses.replace(task_options, class_names=training.class_names)
        if loop.epochs:
            shared = overlap.shared(training, validation)

    # ---------------------------------------------------------------- task, network and optimiser
    task = pretext.build(run.task, task_options)
    replicas = strategy.num_replicas_in_sync
    if loop.epochs:
        task.check_batch(loop.batch_size // replicas // loop.gradient_accumulation, replicas)
        usable_images.check_first(training, task.train_view)
        usable_images.check_first(validation, task.pretext_view)
    monitor = None
    if loop.epochs and monitoring.monitor_every_epochs:
        monitor = Monitor(monitoring, task, validation, loop.seed, loop.epochs)

    def backbone() -> keras.Model:
        return build_backbone(task, network, task_options.crop_size)

    network_size.check(lambda: PretextTrainer(task, backbone()), devices.memory(strategy))
    keras.utils.set_random_seed(loop.seed)
    with (
        workers.lost_worker_explained(strategy),
        strategy.scope(),
        precision.computing_in(network.precision),
    ):
        loss_scale = precision.LossScale() if network.precision == "float16" else None
        trainer = PretextTrainer(task, backbone(), replicas, loss_scale)
        if loop.epochs:
            steps = pipeline.steps_per_epoch(training, loop.batch_size)
            rate = schedule.in_steps(loop.batch_size, steps)
            trainer.compile(optimizer=Momentum(rate, skip_nan=loss_scale is not None))
    if start.initial_weights and begins:
        initial_weights.load(start.initial_weights, trainer.backbone)

    # ---------------------------------------------------------------- run directory
    # Last of the checks, so that a run that cannot start leaves nothing behind.
    is_chief = strategies.is_chief(strategy)
    if is_chief:
        may_differ = options.may_differ(*GROUPS, chosen=run.task)
        run_directory.claim(run.workdir, flag_texts, may_differ)
    if is_finished:
        print(f"{saved_model} is already there: this run is finished; delete it to export again")
        return

    # ---------------------------------------------------------------- training
    training_run = model_card.Run(flag_texts)
    if loop.epochs:
        if is_chief:
            summary = run_summary.Summary(
                training=training,
                validation=validation,
                shared=shared,
                epochs=loop.epochs,
                batch_size=loop.batch_size,
                rate=rate,
                trainer=trainer,
                export_precision=exported.export_precision,
                export_keras=exported.export_keras,
                initial_weights=(start.initial_weights or "") if begins else "",
            )
            run_summary.show(summary, strategy, network.precision, workdir)
        pretraining = Pretraining(trainer, strategy, loop, training, validation, monitor)
        training_loop = Loop(pretraining, strategy, workdir)
        training_loop.run()
        training_run = dataclasses.replace(
            training_run,
            updates=training_loop.step,
            train_images=training.size,
            metrics=metrics.last(workdir / "metrics.csv", "val_"),
            validation_images=validation.size,
            shared_images=shared,
        )

    # ---------------------------------------------------------------- export
    if is_chief:
        trained = PretextTrainer(task, backbone())
        trained.set_weights(trainer.get_weights())
        if with_keras_file:
            export_keras(trained.backbone, keras_file)
            print(f"{keras_file}")
        if with_saved_model:
            export(
                task,
                trained.backbone,
                trained.head,
                saved_model,
                precision=exported.export_precision,
                run=training_run,
            )
            print(f"{saved_model}")
    workers.wait_for_all(strategy)


if __name__ == "__main__":
    command_line.run("train.py", main)
