"""Which devices a run uses."""

import tensorflow as tf

NAMES = ("auto", "one_device", "mirrored")


def build(name: str) -> tf.distribute.Strategy:
    """Makes the distribution strategy called `name`.

    `auto` mirrors over all GPUs where there are several and takes the one device otherwise;
    `one_device` is the first GPU or else the CPU; `mirrored` is all GPUs, or all logical CPUs
    where there is no GPU.

    Raises:
        ValueError: there is no such strategy.
    """
    if name not in NAMES:
        raise ValueError(f"unknown strategy {name}: use one of {', '.join(NAMES)}")
    devices = [
        device.name.removeprefix("/device:")
        for kind in ("GPU", "CPU")
        for device in tf.config.list_logical_devices(kind)
    ]
    gpus = [device for device in devices if device.startswith("GPU")]
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy(gpus or devices)
    return tf.distribute.OneDeviceStrategy(devices[0])


def check_batch_size(
    strategy: tf.distribute.Strategy, batch_size: int, flag: str = "batch_size"
) -> None:
    """Raises a ValueError, which names the flag, unless the batch divides into the replicas."""
    replicas = strategy.num_replicas_in_sync
    if batch_size < 1 or batch_size % replicas:
        raise ValueError(f"--{flag}={batch_size} does not divide into {replicas} devices")
