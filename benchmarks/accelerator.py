"""Speed, memory and arithmetic of the training step of wide networks on a GPU.

    python -m benchmarks.accelerator

prints for ResNet50 k = 4 and RevNet50 k = 16, in float32 and bfloat16, with and without XLA:
images/s of the bare rotation step (`PretextTrainer.train_step` on a batch held in memory), peak
memory, and the share of the device's peak arithmetic. The arithmetic is that of the convolutions
and dense layers, three times the forward pass (what RevNet computes again is not counted as work
done). Every line is measured in a process of its own. On a CPU: speed and arithmetic alone.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time

from benchmarks import claims, machine
from benchmarks.claims import Claim
from benchmarks.processes import result_of, start

NETWORKS = "resnet50_v1:4:64,revnet50:16:16"
WARM_UP = 5
VIEWS = 4  # of an image, in rotation

# Dense peaks of NVIDIA's data sheets in TFLOP/s: float32 convolutions (TF32 where there is one, as
# TensorFlow uses it by default), bfloat16.
PEAKS = {"A100": (156, 312), "H100": (495, 989), "H200": (495, 989), "L4": (60, 121)}


def bare_step(arguments: argparse.Namespace) -> dict[str, float]:
    """The bare step of a network on the first GPU, or the CPU: speed, memory, arithmetic."""
    import numpy as np
    import tensorflow as tf

    import models
    import pretext
    from pretext import precision
    from pretext.trainer import PretextTrainer
    from training.momentum import Momentum

    size = arguments.image_size
    task = pretext.build("rotation", pretext.TaskOptions(size, size, "crop"))
    with precision.computing_in(arguments.precision):
        backbone = models.build(
            arguments.architecture, widening_factor=arguments.widening_factor, image_size=size
        )
        trainer = PretextTrainer(task, backbone)
        trainer.compile(optimizer=Momentum(0.01))
        trainer.optimizer.build(trainer.trainable_variables)
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, size, size, 3), np.uint8)
    batch = {"image": tf.constant(images)}
    step = tf.function(trainer.train_step, jit_compile=bool(arguments.jit))
    seconds = []
    for _ in range(WARM_UP + arguments.steps):
        start = time.perf_counter()
        float(step(batch)["loss"])
        seconds.append(time.perf_counter() - start)
    seconds = statistics.median(seconds[WARM_UP:])
    gpus = tf.config.list_physical_devices("GPU")
    result = {
        "images_per_second": arguments.images / seconds,
        "teraflops": 3
        * forward_operations(backbone, arguments.images * VIEWS, size)
        / seconds
        / 1e12,
    }
    if gpus:
        result["gpu"] = tf.config.experimental.get_device_details(gpus[0])["device_name"]
        result["peak_bytes"] = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return result


def forward_operations(network, images: int, size: int) -> float:
    """Multiplications and additions of the convolutions and matrix products of a forward pass."""
    import tensorflow as tf

    forward = tf.function(lambda images: network(images, training=True))
    graph = forward.get_concrete_function(tf.TensorSpec((images, size, size, 3))).graph
    operations = 0
    for node in graph.get_operations():
        if node.type in ("Conv2D", "MatMul"):
            *inputs, _ = node.inputs[1].shape
            products = 1
            for length in inputs:
                products *= length
            operations += 2 * products * node.outputs[0].shape.num_elements()
    return operations


def print_steps(
    networks: str = NETWORKS, image_size: int = 224, steps: int = 30, rounds: int = 1
) -> list[Claim]:
    """Measures and prints every network in every way; returns the shares of known peaks."""
    found = []
    for text in networks.split(","):
        architecture, widening_factor, images = text.split(":")
        print(f"{architecture}, k = {widening_factor}, {images} images × 4 rotations")
        for (column, precision), jit in itertools.product(
            enumerate(("float32", "bfloat16")), (False, True)
        ):
            options = {
                "architecture": architecture,
                "widening_factor": widening_factor,
                "images": images,
                "image_size": image_size,
                "precision": precision,
                "jit": int(jit),
                "steps": steps,
            }
            results = [result_of(start("benchmarks.accelerator", **options)) for _ in range(rounds)]
            result = sorted(results, key=lambda each: each["teraflops"])[rounds // 2]
            line = f"  {precision:8} {'XLA' if jit else '   '} {result['images_per_second']:8.1f}"
            line += f" images/s, {result['teraflops']:.3g} TFLOP/s"
            gpu = result.get("gpu", "")
            for name in (name for name in PEAKS if name in gpu):
                peak = PEAKS[name][column]
                line += f", {result['teraflops'] / peak:.1%} of {name}'s peak"
                what = f"training step of {architecture}, k = {widening_factor}, {precision}"
                found.append(
                    Claim(
                        f"{what}{', XLA' * jit}, against {name}'s peak",
                        "TFLOP/s",
                        [each["teraflops"] for each in results],
                        [peak] * rounds,
                        "share",
                    )
                )
            if gpu:
                line += f", {result['peak_bytes'] / 2**30:.1f} GiB"
            print(line, flush=True)
    return found


def has_gpu() -> bool:
    """Asked in a process of its own, which gives the memory back that TensorFlow takes."""
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=NETWORKS, help="architecture:k:images, …")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=30, help="timed steps of each")
    parser.add_argument("--rounds", type=int, default=1, help="processes of each")
    claims.add_option(parser)
    parser.add_argument("--architecture", default="", help="one network, and its JSON")
    parser.add_argument("--widening_factor", type=int, default=4)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--jit", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.architecture:
        print(json.dumps(bare_step(arguments)))
        return
    if arguments.json and not machine.gpu():
        # A CPU's peak is in no data sheet: benchmarks/train_step.py measures it.
        claims.write([Claim("training steps on a GPU", missing="there is no GPU")])
        return
    found = print_steps(arguments.networks, arguments.image_size, arguments.steps, arguments.rounds)
    if arguments.json:
        missing = Claim("training steps on a GPU", missing="this GPU's peak is not known here")
        claims.write(found or [missing])


if __name__ == "__main__":
    main()
