"""Images per second of the training loop by number of devices, and what the loop itself costs.

    python -m benchmarks.scaling --data_dir=datasets

trains rotation at the demo's scale (ResNet50 v2, k = 1, 56×56, batch 32, the data set scenes), each
line in processes of its own and the lines by turns, and prints

- images/s of `training.loop.Loop`, reading included, on 1, 2 and 4 logical CPUs and on two worker
  processes, always at the same global batch. The cores are the same ones in all cases: on one
  machine's CPU the numbers show what sharing a batch costs, and no gain.
- the loop's own overhead: its time per step on one batch that is held in memory, less that of the
  bare compiled `PretextTrainer.train_step` on the same batch; the two take turns.

Where there is a GPU, it prints what benchmarks/accelerator.py prints, too.
"""

import argparse
import itertools
import json
import socket
import statistics
import tempfile
import time

from benchmarks import accelerator, claims
from benchmarks.claims import Claim
from benchmarks.processes import result_of, start

MODULE = "benchmarks.scaling"
WARM_UP = 5


def make_loop(
    strategy, data_dir: str, workdir: str, steps: int, batch_size: int, learner_type=None
):
    """The training loop of the demo, for a number of steps."""
    import keras
    from etils import epath

    import data
    import models
    import pretext
    from pretext.pretraining import Pretraining, PretrainingOptions
    from pretext.trainer import PretextTrainer
    from training.loop import Loop
    from training.momentum import Momentum

    task = pretext.build("rotation", pretext.TaskOptions(64, 56, "crop"))
    training = data.load("scenes", "trainval", data_dir)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        backbone = models.build("resnet50_v2", widening_factor=1, image_size=56)
        trainer = PretextTrainer(task, backbone, strategy.num_replicas_in_sync)
        trainer.compile(optimizer=Momentum(0.05))
    never = training.size
    options = PretrainingOptions(
        batch_size=batch_size, epochs=1, seed=0, log_every_steps=50, checkpoint_every_steps=never
    )
    learner = (learner_type or Pretraining)(trainer, strategy, options, training, training)
    loop = Loop(learner, strategy, epath.Path(workdir))
    loop.total_steps = steps
    return loop


def throughput(arguments: argparse.Namespace) -> dict[str, float]:
    """Images per second of the loop, by the median time of a step."""
    from training import workers

    strategy = _strategy(arguments)
    starts = []
    with tempfile.TemporaryDirectory() as workdir:
        steps = WARM_UP + arguments.steps
        loop = make_loop(strategy, arguments.data_dir, workdir, steps, arguments.batch_size)
        compiled = loop.learner.steps
        update = compiled.update

        def timed_update(batches) -> None:
            starts.append(time.perf_counter())
            update(batches)

        compiled.update = timed_update
        loop.run()
        workers.wait_for_all(strategy)
    seconds = [after - before for before, after in itertools.pairwise(starts[WARM_UP:])]
    return {"images_per_second": arguments.batch_size / statistics.median(seconds)}


def overhead(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds per step of the bare step and of the loop, on the same batch, by turns."""
    import tensorflow as tf

    from pretext.pretraining import Pretraining

    strategy = _strategy(arguments)
    bare_seconds, loop_seconds, ends = [], [], []

    class OnOneBatch(Pretraining):
        """Pretraining that reads the same batch again and again."""

        def _training_batches(self, start_step, context):
            stream = super()._training_batches(start_step, context).take(1)
            return stream.cache().repeat()

    def update_after_bare(batches) -> None:
        start = time.perf_counter()
        if ends:
            loop_seconds.append(start - ends[-1])
        float(bare(batch)["loss"])
        ends.append(time.perf_counter())
        bare_seconds.append(ends[-1] - start)
        update(batches)

    with tempfile.TemporaryDirectory() as workdir:
        steps = WARM_UP + arguments.steps
        batch_size = arguments.batch_size
        loop = make_loop(strategy, arguments.data_dir, workdir, steps, batch_size, OnOneBatch)
        bare = tf.function(loop.learner.trainer.train_step)
        batch = next(loop.learner.batches(0))
        compiled = loop.learner.steps
        update, compiled.update = compiled.update, update_after_bare
        loop.run()
    # Pair by pair, so that what else the machine does meets both.
    pairs = list(zip(bare_seconds, loop_seconds, strict=False))[WARM_UP:]
    return {
        "bare": statistics.median(bare for bare, _ in pairs),
        "loop": statistics.median(loop for _, loop in pairs),
        "overhead": statistics.median(loop - bare for bare, loop in pairs),
    }


def _strategy(arguments: argparse.Namespace):
    import tensorflow as tf

    from training import strategies

    if not tf.config.list_physical_devices("GPU"):
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * arguments.devices,
        )
    return strategies.build(arguments.strategy)


def print_scaling(arguments: argparse.Namespace) -> list[Claim]:
    """Measures and prints everything, and returns it."""
    common = {name: getattr(arguments, name) for name in ("data_dir", "steps", "batch_size")}
    ways = {
        "1 logical device": lambda: on_devices(1, "one_device", common),
        "2 logical devices": lambda: on_devices(2, "mirrored", common),
        "4 logical devices": lambda: on_devices(4, "mirrored", common),
        "2 processes": lambda: in_two_processes(common),
    }
    speeds = {name: [] for name in ways}
    steps = []
    for _ in range(arguments.rounds):
        for name, measured in ways.items():
            speeds[name].append(measured())
        steps.append(result_of(start(MODULE, kind="overhead", **common)))
    what = f"rotation, ResNet50 v2 k = 1, 56×56, batch {arguments.batch_size}"
    print(f"{what}, images/s")
    for name, values in speeds.items():
        print(f"  {name:17} {statistics.median(values):8.1f}")
    overheads, bare = ([1000 * each[key] for each in steps] for key in ("overhead", "bare"))
    one = "1 logical device"
    found = [
        Claim(f"training loop, {what}: time beyond the bare step's", "ms", overheads, bare, "share")
    ]
    found += [
        Claim(f"training loop, {what}: {name} against one", "images/s", values, speeds[one])
        for name, values in speeds.items()
        if name != one
    ]
    claims.show(found[:1])
    return found


def on_devices(devices: int, strategy: str, common: dict[str, object]) -> float:
    """Images per second of one process on so many logical devices."""
    child = start(MODULE, kind="throughput", strategy=strategy, devices=devices, **common)
    return result_of(child)["images_per_second"]


def in_two_processes(common: dict[str, object]) -> float:
    """Images per second of two worker processes, the slower one's."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    children = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        environment = {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}
        children.append(
            start(MODULE, environment, kind="throughput", strategy="multi_worker", **common)
        )
    return min(result_of(child)["images_per_second"] for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="datasets", help="where scenes is, or is drawn to")
    parser.add_argument("--steps", type=int, default=60, help="timed steps of each")
    parser.add_argument("--batch_size", type=int, default=32, help="the demo's")
    parser.add_argument("--rounds", type=int, default=3)
    claims.add_option(parser)
    parser.add_argument("--kind", default="", help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="one_device", help=argparse.SUPPRESS)
    parser.add_argument("--devices", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    kinds = {"throughput": throughput, "overhead": overhead}
    if arguments.kind:
        print(json.dumps(kinds[arguments.kind](arguments)))
        return
    found = print_scaling(arguments)
    if arguments.json:
        claims.write(found)
    elif accelerator.has_gpu():
        accelerator.print_steps()


if __name__ == "__main__":
    main()
