"""Peak memory and time of RevNet50's training step, ordinary against reversible backward pass.

    python -m benchmarks.revnet_memory

Measures one training step (k = 4, 224×224, batch 16) at (3, 4, 6, 3) and at (6, 8, 12, 6) units,
each in a process of its own, and prints

- growth: what the deeper network needs more than the shallower one, in MiB, for both backward
  passes, and the reversible growth as a share of the ordinary one;
- step time: the reversible step's as a multiple of the ordinary one's, at both depths.

Peak memory is that of the process (resident set) above what it holds before the step; on a GPU it
is the allocator's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from benchmarks import claims
from benchmarks.claims import Claim

SHALLOW = (3, 4, 6, 3)
DEEP = (6, 8, 12, 6)


def measure(units: tuple[int, ...], reversible: bool, arguments: argparse.Namespace) -> dict:
    """One training step's peak memory above the rest, in MiB, and seconds per step."""
    import resource
    import time

    import keras
    import tensorflow as tf

    import models

    gpus = tf.config.list_physical_devices("GPU")
    keras.utils.set_random_seed(0)
    network = models.build(
        "revnet50",
        widening_factor=arguments.widening_factor,
        image_size=arguments.image_size,
        units=units,
        reversible=reversible,
    )
    head = keras.layers.Dense(4)
    head.build(network.output["pre_logits"].shape)
    trained = network.trainable_variables + head.trainable_variables
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(trained)

    # Any batch and size, so that tracing is done on a small one and stays out of the measurement.
    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec(None, tf.int64)]
    )
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = head(network(images, training=True)["pre_logits"])
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(entropy) + tf.add_n(network.losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        return loss

    def batch(size, image_size):
        shape = (size, image_size, image_size, 3)
        return tf.random.stateless_uniform(shape, (0, 0), -1, 1), tf.range(size, dtype=tf.int64) % 4

    step(*batch(2, 32))
    images, labels = batch(arguments.batch_size, arguments.image_size)
    if gpus:
        tf.config.experimental.reset_memory_stats("GPU:0")
        before = tf.config.experimental.get_memory_info("GPU:0")["current"]
        step(images, labels).numpy()
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    else:
        with open("/proc/self/statm") as statm:
            before = int(statm.read().split()[1]) * resource.getpagesize()
        step(images, labels)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        step(images, labels).numpy()
        seconds.append(time.perf_counter() - start)
    return {"mib": (peak - before) / 2**20, "seconds": seconds}


def measure_apart(units: tuple[int, ...], reversible: bool, options: list[str]) -> dict:
    """`measure` in a process of its own, with these options of the command line."""
    case = json.dumps({"units": units, "reversible": reversible})
    # Otherwise freed memory stays in the process and peaks blur. The same for both passes.
    allocator = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.revnet_memory", *options, "--case", case],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | allocator,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


def added(mib: dict[tuple, list[float]], reversible: bool) -> list[float]:
    """What the deeper network needs more than the shallower one, by round."""
    both = zip(mib[DEEP, reversible], mib[SHALLOW, reversible], strict=True)
    return [deep - shallow for deep, shallow in both]


def main() -> None:
    """Measures all four cases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widening_factor", type=int, default=4)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="timed steps in every process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of every case")
    claims.add_option(parser)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(arguments=arguments, **arguments.case)))
        return

    names = ("widening_factor", "image_size", "batch_size", "steps")
    options = [f"--{name}={getattr(arguments, name)}" for name in names]
    mib, seconds = {}, {}
    for _ in range(arguments.rounds):
        for units in (SHALLOW, DEEP):
            for reversible in (False, True):
                result = measure_apart(units, reversible, options)
                mib.setdefault((units, reversible), []).append(result["mib"])
                median = statistics.median(result["seconds"])
                seconds.setdefault((units, reversible), []).append(median)
    found = [
        Claim(
            f"RevNet50 k = {arguments.widening_factor}: memory that twice the units add, "
            "reversible against ordinary",
            *("MiB", added(mib, reversible=True), added(mib, reversible=False), "share"),
        ),
        *(
            Claim(
                f"RevNet50 k = {arguments.widening_factor}, {units} units: training step, "
                "reversible against ordinary",
                *("s", seconds[units, True], seconds[units, False], "times"),
            )
            for units in (SHALLOW, DEEP)
        ),
    ]
    mib = {case: statistics.median(values) for case, values in mib.items()}
    seconds = {case: statistics.median(values) for case, values in seconds.items()}

    print(f"{'units':>14} {'backward':>12} {'peak MiB':>10} {'s/step':>8}")
    for (units, reversible), peak in mib.items():
        backward = "reversible" if reversible else "ordinary"
        print(f"{units!s:>14} {backward:>12} {peak:10.0f} {seconds[units, reversible]:8.2f}")
    growth = {kind: mib[DEEP, kind] - mib[SHALLOW, kind] for kind in (False, True)}
    print(f"growth, ordinary backward:   {growth[False]:8.0f} MiB")
    print(f"growth, reversible backward: {growth[True]:8.0f} MiB")
    print(f"share of the ordinary growth: {growth[True] / growth[False]:.1%}")
    for units in (SHALLOW, DEEP):
        ratio = seconds[units, True] / seconds[units, False]
        print(f"step time at {units}: {ratio:.2f} times the ordinary one's")
    if arguments.json:
        claims.write(found)


if __name__ == "__main__":
    main()
