"""Images per second of the rotation training step: this project against PyTorch.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.train_step

ResNet50 v1 (k = 4, the original width), 224×224, batch 8 = 2 images × 4 rotations, float32:
normalisation and rotation, forward and backward pass, update by SGD with momentum and weight decay
on the kernels. Ours is `PretextTrainer.train_step` as one compiled `tf.function`; PyTorch runs
eagerly on the same network in its channels-last layout. The two take turns in one run, step by
step; prints both medians and their ratio.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

LEARNING_RATE = 0.1 * 8 / 256
WEIGHT_DECAY = 1e-4


def our_step(widening_factor: int, images: np.ndarray) -> Callable[[], float]:
    """A function that takes one step of the project's own trainer and returns its loss."""
    import tensorflow as tf

    import models
    from pretext.rotation import Rotation
    from pretext.task import TaskOptions
    from pretext.trainer import PretextTrainer
    from training.momentum import Momentum

    task = Rotation(TaskOptions(augmentation="crop", weight_decay=WEIGHT_DECAY))
    backbone = models.build(
        "resnet50_v1", widening_factor=widening_factor, weight_decay=WEIGHT_DECAY
    )
    trainer = PretextTrainer(task, backbone)
    trainer.compile(optimizer=Momentum(LEARNING_RATE, 0.9))
    trainer.optimizer.build(trainer.trainable_variables)
    step = tf.function(trainer.train_step)
    batch = {"image": tf.constant(images)}
    return lambda: float(step(batch)["loss"])


def pytorch_step(widening_factor: int, images: np.ndarray) -> Callable[[], float]:
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
        logits = network(turned.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    """Lets the two take turns and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widening_factor", type=int, default=4)
    parser.add_argument("--steps", type=int, default=15, help="timed steps of each")
    parser.add_argument("--warm_up", type=int, default=3, help="untimed steps of each")
    arguments = parser.parse_args()
    images = np.random.RandomState(0).randint(0, 256, (2, 224, 224, 3), np.uint8)
    steps = {
        "ours": our_step(arguments.widening_factor, images),
        "PyTorch": pytorch_step(arguments.widening_factor, images),
    }
    seconds = {name: [] for name in steps}
    for i in range(arguments.warm_up + arguments.steps):
        for name, step in steps.items():
            time.sleep(0.3)  # until the other's threads have stopped waiting for work
            start = time.perf_counter()
            step()
            if i >= arguments.warm_up:
                seconds[name].append(time.perf_counter() - start)
    speed = {name: 8 / statistics.median(values) for name, values in seconds.items()}
    for name, value in speed.items():
        print(f"{name:8} {value:6.2f} images/s")
    print(f"ratio    {speed['ours'] / speed['PyTorch']:6.2f}")


if __name__ == "__main__":
    main()
