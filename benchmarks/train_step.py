"""Images per second of the rotation training step: this project against PyTorch.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.train_step

ResNet50 v1 (k = 4, the original width), 224×224, batch 8 = 2 images × 4 rotations, in float32 and
in bfloat16: normalisation and rotation, forward and backward pass, update by SGD with momentum and
weight decay on the kernels. Ours is `PretextTrainer.train_step` as one compiled `tf.function`;
PyTorch runs eagerly on the same network in its channels-last layout, in bfloat16 by its autocast.
They take turns in one run, step by step; prints the medians, their ratio, and the share of what
the machine's matrix products allow: the rate of products of 3000×3000 matrices, measured in
between, by three times the forward pass's multiplications and additions. Without PyTorch ours
alone.
"""

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import claims, machine
from benchmarks.accelerator import forward_operations
from benchmarks.claims import Claim

PRECISIONS = ("float32", "bfloat16")
IMAGES, VIEWS, SIZE = 2, 4, 224
LEARNING_RATE = 0.1 * 8 / 256
WEIGHT_DECAY = 1e-4


def our_step(
    widening_factor: int, images: np.ndarray, dtype: str
) -> tuple[Callable[[], float], float]:
    """A function that takes one step of the project's own trainer and returns its loss.

    Beside it, the multiplications and additions of the step for one view.
    """
    import tensorflow as tf

    import models
    from pretext import precision
    from pretext.rotation import Rotation
    from pretext.task import TaskOptions
    from pretext.trainer import PretextTrainer
    from training.momentum import Momentum

    task = Rotation(TaskOptions(augmentation="crop", weight_decay=WEIGHT_DECAY))
    with precision.computing_in(dtype):
        backbone = models.build(
            "resnet50_v1", widening_factor=widening_factor, weight_decay=WEIGHT_DECAY
        )
        trainer = PretextTrainer(task, backbone)
        trainer.compile(optimizer=Momentum(LEARNING_RATE, 0.9))
        trainer.optimizer.build(trainer.trainable_variables)
    step = tf.function(trainer.train_step)
    batch = {"image": tf.constant(images)}
    return lambda: float(step(batch)["loss"]), 3 * forward_operations(backbone, 1, SIZE)


def pytorch_step(widening_factor: int, images: np.ndarray, dtype: str) -> Callable[[], float]:
    """The same with PyTorch."""
    import torch
    from torch import nn

    def normalized(layer: nn.Module) -> list[nn.Module]:
        return [layer, nn.BatchNorm2d(layer.out_channels, eps=1e-3, momentum=0.01)]

    def convolution(channels: int, filters: int, size: int, stride: int = 1) -> list[nn.Module]:
        padding = (size - 1) // 2
        return normalized(nn.Conv2d(channels, filters, size, stride, padding, bias=False))

    class Unit(nn.Module):
        def __init__(self, channels: int, filters: int, stride: int):
            super().__init__()
            self.shortcut = nn.Sequential()
            if stride > 1 or channels != filters:
                self.shortcut = nn.Sequential(*convolution(channels, filters, 1, stride))
            self.residual = nn.Sequential(
                *convolution(channels, filters // 4, 1),
                nn.ReLU(inplace=True),
                *convolution(filters // 4, filters // 4, 3, stride),
                nn.ReLU(inplace=True),
                *convolution(filters // 4, filters, 1),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.residual(x) + self.shortcut(x))

    k = widening_factor
    layers = [*convolution(3, 16 * k, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 16 * k
    for block, (units, stride) in enumerate(((3, 1), (4, 2), (6, 2), (3, 2))):
        for i in range(units):
            layers.append(Unit(channels, 64 * k * 2**block, stride if i == 0 else 1))
            channels = 64 * k * 2**block
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4)]
    network = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": kernels, "weight_decay": WEIGHT_DECAY}, {"params": others}],
        lr=LEARNING_RATE,
        momentum=0.9,
    )
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)

    def step() -> float:
        pictures = batch.float() / 127.5 - 1
        turned = torch.cat([torch.rot90(pictures, turns, (2, 3)) for turns in range(4)])
        labels = torch.arange(4).repeat_interleave(len(batch))
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = network(turned.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    """Lets them take turns and prints medians, ratios and shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widening_factor", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each in a round")
    parser.add_argument("--warm_up", type=int, default=3, help="untimed steps of each")
    claims.add_option(parser)
    arguments = parser.parse_args()
    k = arguments.widening_factor
    images = np.random.RandomState(0).randint(0, 256, (IMAGES, SIZE, SIZE, 3), np.uint8)
    steps, operations = {}, 0.0
    for dtype in PRECISIONS:
        steps["ours", dtype], operations = our_step(k, images, dtype)
    has_peer = importlib.util.find_spec("torch") is not None
    if has_peer:
        for dtype in PRECISIONS:
            steps["PyTorch", dtype] = pytorch_step(k, images, dtype)
    for step in steps.values():
        for _ in range(arguments.warm_up):
            step()
    speeds = {side: [] for side in steps}
    allowed = {dtype: [] for dtype in PRECISIONS}
    for _ in range(arguments.rounds):
        seconds = {side: [] for side in steps}
        for _ in range(arguments.steps):
            for side, step in steps.items():
                time.sleep(0.3)  # until the other's threads have stopped waiting for work
                start = time.perf_counter()
                step()
                seconds[side].append(time.perf_counter() - start)
        for side, values in seconds.items():
            speeds[side].append(IMAGES * VIEWS / statistics.median(values))
        for dtype in PRECISIONS:
            allowed[dtype].append(machine.product_rate(dtype) / operations)

    what = f"training step of ResNet50 k = {k}, {SIZE}×{SIZE}, batch {IMAGES * VIEWS}"
    found = []
    print(f"{operations / 1e9:.3g} GFLOP an image")
    for dtype in PRECISIONS:
        ours = speeds["ours", dtype]
        of_products = Claim(
            f"{what}, {dtype}, against what matrix products allow",
            *("images/s", ours, allowed[dtype], "share"),
        )
        against = f"{what}, {dtype}, against PyTorch"
        if has_peer:
            peer = Claim(against, "images/s", ours, speeds["PyTorch", dtype])
        else:
            peer = Claim(against, missing="PyTorch is not installed")
        found += [peer, of_products]
    claims.show(found)
    if arguments.json:
        claims.write(found)


if __name__ == "__main__":
    main()
