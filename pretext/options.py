"""All options of a pretraining run: the flags of `train.py`, and of `pretext.preview` beside it."""

import dataclasses

from data.options import DataOptions, ServiceOptions
from pretext import TASKS, TaskOptions
from pretext.export import ExportOptions
from pretext.initial_weights import InitialWeightsOptions
from pretext.monitor import MonitorOptions
from pretext.network import NetworkOptions
from pretext.pretraining import PretrainingOptions
from training.options import option
from training.schedule import ScheduleOptions
from training.strategies import DeviceOptions


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What is run, where, and on which images."""

    workdir: str | None = option(
        None, "The run's directory: checkpoints, metrics, export.", may_differ=True, path=True
    )
    task: str = option("rotation", f"The pretext task: {', '.join(TASKS)}.")
    train_split: str = option("train", "The split to train on: train, trainval, …")
    val_split: str = option("val", "The split for the pretext metrics after every epoch.")


GROUPS = (
    RunOptions,
    DataOptions,
    ServiceOptions,
    TaskOptions,
    NetworkOptions,
    InitialWeightsOptions,
    PretrainingOptions,
    MonitorOptions,
    ScheduleOptions,
    DeviceOptions,
    ExportOptions,
)
