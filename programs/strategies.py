"""Which devices a run uses: one, several of a machine, several machines, or a TPU."""

import json
import os

import tensorflow as tf

from programs import grpc_server, interruption
from programs.workers import wait_for_start

NAMES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

# Of the methods of TensorFlow's workers, a TPU among them, one that changes nothing.
GET_STATUS = "/tensorflow.WorkerService/GetStatus"
TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


def build(name: str, tpu: str | None = None) -> tf.distribute.Strategy:
    """Makes the distribution strategy called `name`.

    `auto` is the TPU if one is named, mirrors over all GPUs where there are several, and takes the
    one device otherwise; `one_device` is the first GPU or else the CPU; `mirrored` is all GPUs, or
    all logical CPUs where there is no GPU; `multi_worker` is the machines of the environment's
    TF_CONFIG, each of which runs the same command; `tpu` is the TPU called `tpu`, or else as the
    environment's TPU_NAME says (`local` on a TPU VM). `multi_worker` and `tpu` want to be made
    before TensorFlow computes anything.

    Raises:
        ValueError: there is no such strategy, or what it needs is not there.
        OSError: this machine's port of TF_CONFIG cannot be used.
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
) -> None:
    """Raises a ValueError, which names the flag, unless replicas and micro-batches divide it."""
    replicas = strategy.num_replicas_in_sync
    if micro_batches < 1:
        raise ValueError(f"--gradient_accumulation={micro_batches} must be at least 1")
    if batch_size < 1 or batch_size % (replicas * micro_batches):
        each = f" of {micro_batches} micro-batches each" if micro_batches > 1 else ""
        raise ValueError(f"--{flag}={batch_size} does not divide into {replicas} devices{each}")


def check_compilation(
    strategy: tf.distribute.Strategy, synchronized_batch_norm: bool, global_negatives: bool
) -> None:
    """Raises a ValueError if XLA cannot compile what one replica does (see `pretext.steps`)."""
    if strategy.num_replicas_in_sync == 1 or compiles_everything(strategy):
        return
    flags = {
        "--synchronized_batch_norm": synchronized_batch_norm,
        "--global_negatives": global_negatives,
    }
    given = [flag for flag, is_set in flags.items() if is_set]
    if given:
        raise ValueError(
            f"--jit and {' and '.join(given)} exclude each other on several devices that are no "
            "TPU: XLA compiles what a device does alone; leave one out"
        )


def _multi_worker() -> tf.distribute.Strategy:
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers = [*config["cluster"].get("chief", []), *config["cluster"]["worker"]]
        task = config["task"]["type"], int(config["task"]["index"])
        _ = [int(address.rpartition(":")[2]) for address in workers]
    except (ValueError, KeyError, TypeError, AttributeError):
        workers, task = [], ("", 0)
    if not workers or not 0 <= task[1] < len(config["cluster"].get(task[0], [])):
        raise ValueError(
            "--strategy=multi_worker needs the machines and this one's place among them in the "
            f"environment's TF_CONFIG, such as {TF_CONFIG_EXAMPLE}; it is {text or 'not set'}"
        )
    own = config["cluster"][task[0]][task[1]]
    wait_for_start(own, [address for address in workers if address != own])
    # TensorFlow takes over SIGTERM for a service that nothing here uses; give it back afterwards.
    with interruption.left_to_the_system():
        return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu(name: str) -> tf.distribute.Strategy:
    if not name:
        raise ValueError(
            "--strategy=tpu needs the TPU's name: give --tpu, local on a TPU VM, or set TPU_NAME"
        )
    if grpc_server.place(name) and (problem := grpc_server.problem(name, GET_STATUS)):
        raise ValueError(f"the TPU {name} cannot be reached: {problem}")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        with interruption.left_to_the_system():
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
    # Depending on what is missing, these are errors of TensorFlow, of Python or of Google's client.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"the TPU {name} cannot be reached: {reason}") from error
    return tf.distribute.TPUStrategy(resolver)
