"""Which devices a run uses: one, several of a machine, several machines, or a TPU."""

import dataclasses
import os

import tensorflow as tf

from training import between_workers, grpc_server, interruption, workers
from training.error_lines import reason
from training.options import option

NAMES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

# Of the methods of TensorFlow's workers, a TPU among them, one that changes nothing.
GET_STATUS = "/tensorflow.WorkerService/GetStatus"
# How long the machines may take to meet, once all of them have begun.
SECONDS_TO_MEET = 300


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """Which devices a run uses."""

    strategy: str = option(
        "auto", "Which devices to use: docs/devices.md.", choices=NAMES, may_differ=True
    )
    tpu: str | None = option(
        None, "The TPU's name, local on a TPU VM; default: TPU_NAME, if set.", may_differ=True
    )


def build(name: str, tpu: str | None = None) -> tf.distribute.Strategy:
    """Makes the distribution strategy called `name`.

    `auto` is the TPU if one is named, mirrors over all GPUs where there are several, and takes the
    one device otherwise; `one_device` is the first GPU or else the CPU; `mirrored` is all GPUs, or
    all logical CPUs where there is no GPU; `multi_worker` is the machines of the environment's
    TF_CONFIG, each of which runs the same command; `tpu` is the TPU called `tpu`, or else as the
    environment's TPU_NAME says (`local` on a TPU VM). `multi_worker` and `tpu` have to be made
    before TensorFlow computes anything.

    Raises:
        ValueError: there is no such strategy, or what it needs is missing.
        OSError: this machine's port of TF_CONFIG cannot be used, or other machines do not come.
    """
    if name not in NAMES:
        raise ValueError(f"unknown strategy {name}: use one of {', '.join(NAMES)}")
    if tpu and name not in ("auto", "tpu"):
        raise ValueError(f"--tpu={tpu} needs --strategy=tpu, not --strategy={name}")
    if name == "multi_worker":
        return _multi_worker()
    if name == "tpu" or tpu:
        return _tpu(tpu or os.environ.get("TPU_NAME", ""))
    devices = [
        device.name.removeprefix("/device:")
        for kind in ("GPU", "CPU")
        for device in tf.config.list_logical_devices(kind)
    ]
    gpus = [device for device in devices if device.startswith("GPU")]
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy(gpus or devices)
    return tf.distribute.OneDeviceStrategy(devices[0])


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes files: the only one, or the first worker."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def compiles_everything(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy's steps are compiled by XLA as a whole, sums over replicas included."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def check_batch_size(
    strategy: tf.distribute.Strategy,
    batch_size: int,
    micro_batches: int = 1,
    flag: str = "batch_size",
    of_each_worker: bool = False,
) -> None:
    """Raises a ValueError, which names the flag, unless replicas and micro-batches divide it.

    Args:
        strategy, batch_size, micro_batches, flag: what is divided by what.
        of_each_worker: whether only the replicas of one machine share the batch.
    """
    replicas = strategy.num_replicas_in_sync
    if of_each_worker:
        replicas = between_workers.replicas_here(strategy)
    if micro_batches < 1:
        raise ValueError(f"--gradient_accumulation={micro_batches} must be at least 1")
    if batch_size < 1 or batch_size % (replicas * micro_batches):
        each = f" of {micro_batches} micro-batches each" if micro_batches > 1 else ""
        raise ValueError(f"--{flag}={batch_size} does not divide into {replicas} devices{each}")


def check_compilation(
    strategy: tf.distribute.Strategy, synchronized_batch_norm: bool, global_negatives: bool
) -> None:
    """Raises a ValueError if XLA cannot compile what a replica does (`pretext.trainer.Steps`)."""
    if strategy.num_replicas_in_sync == 1 or compiles_everything(strategy):
        return
    flags = {
        "--synchronized_batch_norm": synchronized_batch_norm,
        "--global_negatives": global_negatives,
    }
    given = [flag for flag, is_set in flags.items() if is_set]
    if given:
        raise ValueError(
            f"--jit and {' and '.join(given)} exclude each other on several devices other than "
            "a TPU: XLA compiles what a device does alone; leave one out"
        )


def _multi_worker() -> tf.distribute.Strategy:
    machines = workers.read_cluster(os.environ.get("TF_CONFIG", ""))
    workers.wait_for_start(machines.own, machines.others)
    try:
        # TensorFlow takes over SIGTERM for a service that nothing here uses.
        return interruption.with_own_handlers(
            tf.distribute.MultiWorkerMirroredStrategy, SECONDS_TO_MEET
        )
    except TimeoutError as error:
        raise ConnectionError(
            f"the machines of TF_CONFIG did not meet within {SECONDS_TO_MEET} seconds: is the "
            f"same program what listens at {', '.join(machines.others)}?"
        ) from error
    except tf.errors.OpError as error:
        raise ConnectionError(f"the machines of TF_CONFIG did not meet: {reason(error)}") from error


def _tpu(name: str) -> tf.distribute.Strategy:
    if not name:
        raise ValueError(
            "--strategy=tpu needs the TPU's name: give --tpu, local on a TPU VM, or set TPU_NAME"
        )
    if grpc_server.host_and_port(name) and (problem := grpc_server.problem(name, GET_STATUS)):
        raise ValueError(f"the TPU {name} cannot be reached: {problem}")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        # TensorFlow may take over SIGTERM here, too.
        interruption.with_own_handlers(lambda: _initialize(resolver))
    # Depending on what is missing, these are errors of TensorFlow, of Python or of Google's client.
    except Exception as error:
        told = " ".join(str(error).split()).partition(" used by {{")[0]
        raise ValueError(
            f"the TPU {name} cannot be reached: {told or type(error).__name__}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _initialize(resolver: tf.distribute.cluster_resolver.TPUClusterResolver) -> None:
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
