"""The linear probe by L-BFGS against scikit-learn's, and on a memory map larger than its blocks.

    python -m benchmarks.lbfgs [--rounds=3] [--l2=1e-3] [--mapped_updates=10]

Both sides get the same float32 features, the same penalty, the same limit of updates and the same
two tolerances, and take turns. A row of the table gives the medians over the
rounds, the spread of the ratio, and how far the two objectives are apart. Below it stands one
evaluation of the objective under its roofline: the time in which memory reads the features
once, the time of the two products at the rate of large ones, and the share that the larger of both
has of the measured time. The last part fits a float16 memory map alone, for few updates, and shows
what memory that takes.
"""

import argparse
import mmap
import os
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import sklearn
import tensorflow as tf
from absl import logging
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks import claims, machine
from benchmarks.claims import Claim
from evaluate.logistic_regression import MAX_UPDATES, fit
from evaluate.objective import CrossEntropy

# The largest entry of the gradient (SciPy's default), and the decrease of the objective
# (scikit-learn's choice, which cannot be changed).
GTOL, FTOL = 1e-5, 64 * np.finfo(np.float64).eps
SIZES = ((16_000, 1024, 10), (16_000, 2048, 100))
MAPPED_SIZE = (100_000, 4096, 100)


def examples(
    num_examples: int, num_features: int, num_classes: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Like representations: behind a ReLU, correlated, classes that overlap. (N, D), (N,)."""
    rng = np.random.default_rng(seed)
    layer = np.random.default_rng(1)
    labels = rng.integers(0, num_classes, num_examples)
    centres = 0.2 * layer.standard_normal((num_classes, 128), dtype=np.float32)
    hidden = centres[labels] + rng.standard_normal((num_examples, 128), dtype=np.float32)
    weights = layer.standard_normal((128, num_features), dtype=np.float32) / 8
    noise = 0.3 * rng.standard_normal((num_examples, num_features), dtype=np.float32)
    return np.maximum(hidden @ weights + noise + 0.5, 0), labels


def mapped(features: np.ndarray) -> np.ndarray:
    """A copy that begins at a memory page, as the files that `eval.py` maps into memory do."""
    copy = np.frombuffer(mmap.mmap(-1, features.nbytes), features.dtype).reshape(features.shape)
    copy[:] = features
    return copy


def evaluation(
    features: np.ndarray, labels: np.ndarray, num_classes: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of one evaluation by round, and at least how many it takes on this machine.

    Prints the roofline of the fastest round.
    """
    cross_entropy = CrossEntropy(features, labels.astype(np.int32), strategy=None)
    weights = np.zeros((num_classes, features.shape[1]), np.float32)
    bias = np.zeros(num_classes, np.float32)
    cross_entropy(weights, bias)
    operations = 4 * features.size * num_classes
    measured, bounds = [], []
    for _ in range(rounds):
        measured.append(1e3 * machine.fastest(lambda: cross_entropy(weights, bias)))
        reads = 1e3 * features.nbytes / machine.read_rate()
        products = 1e3 * operations / machine.product_rate()
        bounds.append((max(reads, products), reads, products))
    best = int(np.argmin(measured))
    bound, reads, products = bounds[best]
    print(
        f"  roofline of one evaluation: reads {reads:.2f} ms, products {products:.2f} ms; the "
        f"larger is {bound / measured[best]:.0%} of the measured {measured[best]:.2f} ms "
        f"({operations / measured[best] / 1e6:.0f} GFLOP/s)"
    )
    return measured, [each[0] for each in bounds]


def against_scikit_learn(
    num_examples: int, num_features: int, num_classes: int, l2: float, rounds: int
) -> list[Claim]:
    features, labels = examples(num_examples, num_features, num_classes)
    features = mapped(features)
    peer = LogisticRegression(C=1 / (2 * l2 * num_examples), tol=GTOL, max_iter=MAX_UPDATES)
    ours_seconds, peer_seconds = [], []
    # The first fit also traces our functions; it does not count.
    fit(features, labels, num_classes=num_classes, l2=l2, max_updates=1)
    for _ in range(rounds):
        started = time.perf_counter()
        probe = fit(features, labels, num_classes=num_classes, l2=l2, ftol=FTOL, gtol=GTOL)
        ours_seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        peer.fit(features, labels)
        peer_seconds.append(time.perf_counter() - started)
    logits = features @ peer.coef_.T.astype(np.float64) + peer.intercept_
    logits -= logits.max(axis=1, keepdims=True)
    right = logits[np.arange(num_examples), labels]
    loss = (np.log(np.exp(logits).sum(axis=1)) - right).mean()
    peer_objective = loss + l2 * np.square(peer.coef_, dtype=np.float64).sum()

    ours, theirs = np.median(ours_seconds), np.median(peer_seconds)
    ratios = np.divide(peer_seconds, ours_seconds)
    peer_updates = int(peer.n_iter_[0])
    print(f"{num_examples} × {num_features} × {num_classes}, l2 = {l2:g}, {rounds} rounds")
    print(
        f"  ours          {ours:6.2f} s, {probe.updates} updates, objective {probe.objective:.8f}"
    )
    print(
        f"  scikit-learn  {theirs:6.2f} s, {peer_updates} updates, objective {peer_objective:.8f}"
    )
    print(
        f"  ratio {np.median(ratios):.2f} (from {ratios.min():.2f} to {ratios.max():.2f}); "
        f"per update {theirs / peer_updates / (ours / probe.updates):.2f}"
    )
    measured, bounds = evaluation(features, labels, num_classes, rounds)
    size = f"{num_examples} × {num_features} × {num_classes}"
    return [
        Claim(
            f"L-BFGS probe, {size}, against scikit-learn",
            *("s", ours_seconds, peer_seconds, "times"),
        ),
        Claim(
            f"one evaluation of the L-BFGS objective, {size}: the roofline's time in the measured",
            *("ms", bounds, measured, "share"),
        ),
    ]


def anonymous_bytes() -> int:
    """The process' memory without the pages of mapped files, which the system can take back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    raise OSError("This part needs Linux: /proc/self/status has no RssAnon.")


def memory_mapped(l2: float, max_updates: int) -> None:
    num_examples, num_features, num_classes = MAPPED_SIZE
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "features.npy"
        written = np.lib.format.open_memmap(path, "w+", np.float16, (num_examples, num_features))
        labels = np.zeros(num_examples, np.int64)
        for start in range(0, num_examples, 10_000):
            part = slice(start, start + 10_000)
            written[part], labels[part] = examples(10_000, num_features, num_classes, seed=start)
        written.flush()
        del written, part
        features = np.load(path, mmap_mode="r")
        fit(features[:1000], labels[:1000], num_classes=num_classes, l2=l2, max_updates=1)

        before, peak, done = anonymous_bytes(), 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.01):
                peak = max(peak, anonymous_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        probe = fit(features, labels, num_classes=num_classes, l2=l2, max_updates=max_updates)
        done.set()
        watcher.join()
        weights = 4 * num_features * num_classes
        print(
            f"memory map of {num_examples} × {num_features} float16 "
            f"({features.nbytes / 2**20:.0f} MiB), {num_classes} classes, limit of "
            f"{max_updates} updates\n"
            f"  {probe.seconds:.1f} s, {probe.updates} updates, {probe.evaluations} evaluations, "
            f"{probe.seconds / probe.evaluations:.2f} s each\n"
            f"  peak memory {peak / 2**20:.0f} MiB without the mapped file, "
            f"{(peak - before) / 2**20:.0f} MiB more than before the fit "
            f"(weights as float32: {weights / 2**20:.1f} MiB)"
        )
        evaluation(features, labels, num_classes, rounds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="fits of either side")
    parser.add_argument("--l2", type=float, default=1e-3, help="the penalty")
    parser.add_argument(
        "--mapped_updates", type=int, default=10, help="updates on the memory map; 0 leaves it out"
    )
    claims.add_option(parser)
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    warnings.simplefilter("ignore", ConvergenceWarning)
    logging.set_verbosity(logging.ERROR)
    print(f"{machine.describe()}; TensorFlow {tf.__version__}, scikit-learn {sklearn.__version__}")
    found = []
    for size in SIZES:
        found += against_scikit_learn(*size, arguments.l2, arguments.rounds)
    if arguments.mapped_updates:
        memory_mapped(arguments.l2, arguments.mapped_updates)
    if arguments.json:
        claims.write(found)


if __name__ == "__main__":
    main()
