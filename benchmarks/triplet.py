"""The semi-hard triplet loss: forward and backward pass, ours against TensorFlow Addons.

    python -m benchmarks.triplet

Both sides run in subprocesses of their own, since TensorFlow Addons cannot be imported beside
Keras 3, and in turns, so that a busy machine slows both. The peak memory is the process's peak
resident size during the calls minus its size before them. At B = 4096 (512 images × 8 views, the
paper's batch) TensorFlow Addons would need several tensors of 256 GiB; ours runs alone there.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import claims
from benchmarks.claims import Claim

VIEWS = 8
DIMENSIONS = 1000
MARGIN = 0.5
SIDES = ("ours", "ours, XLA", "addons")


def loss_of(side: str):
    """The side's loss as a function of embeddings and labels, and whether to compile it."""
    if side == "addons":
        import tf_keras

        sys.modules["keras"] = tf_keras
        from tensorflow_addons.losses import triplet_semihard_loss

        return lambda x, y: triplet_semihard_loss(y, x, MARGIN, "squared-L2"), False
    from pretext.triplet import semi_hard_triplet_loss

    return lambda x, y: semi_hard_triplet_loss(x, y, MARGIN), side.endswith("XLA")


def resident(what: str) -> int:
    """Bytes of this process's memory now ("VmRSS") or at its highest so far ("VmHWM"), on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(what)))


def peak_added(call) -> int:
    """Bytes that the call adds to the resident size at its highest."""
    Path("/proc/self/clear_refs").write_text("5")  # The highest so far becomes the size now.
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def work(side: str, batch: int, repeats: int) -> dict:
    """Seconds of each repeat, peak memory and the loss, of one side in this process."""
    import tensorflow as tf

    loss, compiled = loss_of(side)

    @tf.function(jit_compile=compiled)
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x, y)
        return value, tape.gradient(value, x)

    x = tf.math.l2_normalize(tf.random.stateless_normal((batch, DIMENSIONS), (0, 1)), axis=1)
    y = tf.repeat(tf.range(batch // VIEWS), VIEWS)
    step.get_concrete_function(x, y)
    memory = peak_added(lambda: step(x, y)[1].numpy())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        value, gradient = step(x, y)
        gradient.numpy()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "memory": memory, "loss": float(value)}


def run(side: str, batch: int, repeats: int) -> dict:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
    if side == "addons":
        environment["TF_USE_LEGACY_KERAS"] = "1"
    command = [sys.executable, __file__, "--work", side, str(batch), str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{side}, B = {batch} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side per size")
    claims.add_option(parser)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        side, batch, repeats = arguments.work
        print(json.dumps(work(side, int(batch), int(repeats))))
        return

    print(
        f"{'B':>5} {'side':<10} {'ms':>9} {'MiB added':>10} {'loss':>9}  times faster than addons"
    )
    has_peer = all(map(importlib.util.find_spec, ("tensorflow_addons", "tf_keras")))
    found = []
    for batch in (256, 512, 4096):
        sides = SIDES if has_peer and batch < 4096 else SIDES[:2]
        results = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side in sides:
                repeats = 2 if side == "addons" else 5
                results[side].append(run(side, batch, repeats))
        medians = {
            side: statistics.median(second for r in results[side] for second in r["seconds"])
            for side in sides
        }
        for side in sides:
            memory = max(r["memory"] for r in results[side]) / 2**20
            ratio = f"{medians['addons'] / medians[side]:.0f}" if "addons" in medians else "-"
            print(
                f"{batch:>5} {side:<10} {1000 * medians[side]:>9.1f} {memory:>10.0f} "
                f"{results[side][0]['loss']:>9.5f}  {ratio}"
            )
        for side in SIDES[:2] if batch < 4096 else ():
            what = f"semi-hard triplet loss, {batch} embeddings, {side}, against TensorFlow Addons"
            if has_peer:
                milliseconds = (
                    [1000 * statistics.median(each["seconds"]) for each in results[of]]
                    for of in (side, "addons")
                )
                found.append(Claim(what, "ms", *milliseconds, ratio="times"))
            else:
                missing = "TensorFlow Addons and tf_keras are not installed"
                found.append(Claim(what, missing=missing))
    if arguments.json:
        claims.write(found)


if __name__ == "__main__":
    main()
