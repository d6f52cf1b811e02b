"""What a plan would take: accelerator hours and memory of each run, and which runs do not fit.

This is arithmetic, not measurement: multiplications divided by the share of an accelerator's peak
that is assumed, and numbers that are kept, times their bytes. Where images per second were
measured, those are taken instead of the arithmetic. Left out are the input pipeline, the workspace
of convolutions, waiting between accelerators, and what a probe spends outside of matrix products.
"""

import csv
import dataclasses
import math
from collections.abc import Callable, Iterable

from absl import logging

from studies import flag_files, values
from studies.cost.network import Cost, dense, network
from studies.rates import Choice
from studies.runs import Job, Run
from training import options

# Images to train on, with `val` held out, and classes. Places205 has about 2.5 million.
DATASETS = {
    "imagenet2012": (1_231_167, 1000),
    "places205": (2_400_000, 205),
    "scenes": (9_000, 10),
}
# The flags of train.py that a cost depends on, with the least of each.
WHOLE_NUMBERS = {
    "widening_factor": 1,
    "representation_size": 0,
    "crop_size": 1,
    "embedding_size": 1,
    "views_per_image": 1,
    "patch_size": 1,
    "patches_per_side": 1,
    "permutations": 1,
    "permutations_per_image": 1,
    "batch_size": 1,
    "epochs": 0,
}
PATCH_TASKS = ("jigsaw", "relative_patch_location")
# Forward and backward pass of a step, in forward passes; a RevNet makes its activations again.
PASSES, REVERSIBLE_PASSES = 3, 4
# Weights, their velocities, their gradients.
COPIES_OF_WEIGHTS = 3
PROBE_EPOCHS = {"sgd": 520, "mlp": 180}
LBFGS_EVALUATIONS = 800
HIDDEN = 1000


@dataclasses.dataclass(frozen=True)
class Accelerators:
    """What is assumed of them.

    Attributes:
        count: how many share a run's batch.
        memory_gib: of each; 0 if it does not matter.
        peak_tflops: multiplications and additions per second of each, in 10¹².
        utilisation: the share of that which a training step reaches.
        bytes_per_number: of activations: 4 in float32, 2 in bfloat16.
        images_per_second: measured on one accelerator, by (task, architecture, widening factor).
    """

    count: int = 1
    memory_gib: float = 0.0
    peak_tflops: float = 156.0
    utilisation: float = 0.3
    bytes_per_number: int = 4
    images_per_second: dict[tuple[str, str, int], float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 1_000_000:
            raise ValueError(f"--accelerators={self.count}: use 1 to 1000000")
        if not 0 <= self.memory_gib < math.inf:
            raise ValueError(f"--memory_gib={self.memory_gib}: use a number above 0")
        if not (0 < self.peak_tflops < math.inf and 0 < self.utilisation <= 1):
            raise ValueError(
                "--peak_tflops must be above 0, and --utilisation above 0 and at most 1"
            )
        if not 1 <= self.bytes_per_number <= 8:
            raise ValueError(f"--bytes_per_number={self.bytes_per_number}: use 1 to 8")

    @property
    def operations_per_hour(self) -> float:
        """Of one accelerator."""
        return self.peak_tflops * 1e12 * self.utilisation * 3600


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Of one run.

    Attributes:
        hours: of one accelerator, or of several together; None if the data set's size is not known.
        memory_gib: of each accelerator in training; None for a probe.
        measured: whether the hours come from measured images per second.
    """

    hours: float | None
    memory_gib: float | None
    measured: bool = False


def read_images_per_second(path: str) -> dict[tuple[str, str, int], float]:
    """Reads a CSV file with the columns task, architecture, widening_factor, images_per_second.

    Raises:
        ValueError: it cannot be read, has other columns, names that do not exist, or speeds that
            are not numbers above 0.
    """
    speeds = {}
    try:
        rows = list(csv.DictReader(flag_files.lines_of(path, "--images_per_second=")))
    except csv.Error as error:
        raise ValueError(f"--images_per_second={path}: {error}") from error
    for row in rows:
        try:
            key = (row["task"], row["architecture"], int(row["widening_factor"]))
            speed = float(row["images_per_second"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"--images_per_second={path}: needs the columns task, architecture, "
                "widening_factor and images_per_second, and numbers in the last two"
            ) from error
        for name, known in zip(key, (values.TASKS, values.ARCHITECTURES), strict=False):
            if name not in known:
                raise ValueError(
                    f"--images_per_second={path}: there is no {name}; {values.nearest(name, known)}"
                )
        if not 0 < speed < math.inf or key[2] < 1 or key in speeds:
            raise ValueError(
                f"--images_per_second={path}: {', '.join(map(str, key))} needs one number above 0, "
                "and k at least 1"
            )
        speeds[key] = speed
    if not speeds:
        logging.warning("--images_per_second=%s holds no measurement", path)
    return speeds


def training(run: Run, accelerators: Accelerators) -> Estimate:
    """The cost of a pretraining run."""
    flags = training_flags(run)
    views, backbone, head = views_and_costs(flags)
    images, _ = DATASETS.get(flags["dataset"], (None, None))
    passes = REVERSIBLE_PASSES if flags["architecture"].startswith("revnet") else PASSES
    images_per_accelerator = -(-int(flags["batch_size"]) // accelerators.count)
    kept = images_per_accelerator * (views * backbone.activations + head.activations)
    memory = (
        COPIES_OF_WEIGHTS * 4 * (backbone.weights + head.weights)
        + accelerators.bytes_per_number * kept
    ) / 2**30
    if images is None:
        return Estimate(None, memory)
    seen = images * int(flags["epochs"])
    key = (flags["task"], flags["architecture"], int(flags["widening_factor"]))
    if key in accelerators.images_per_second:
        return Estimate(seen / accelerators.images_per_second[key] / 3600, memory, measured=True)
    per_image = 2 * passes * (views * backbone.multiplications + head.multiplications)
    return Estimate(seen * per_image / accelerators.operations_per_hour, memory)


def evaluation(job: Job, run: Run, accelerators: Accelerators) -> Estimate:
    """The cost of a probe: forward passes of the network, and the probe's own matrix products."""
    flags = training_flags(job.train)
    own = {"epochs": "0", "train_fraction": "1"} | flag_files.expand(run.flags)
    _check(values.whole_number(0, 10**9), run, "epochs", own)
    _check(values.fraction, run, "train_fraction", own)
    dataset = own.get("dataset", flags["dataset"])
    if dataset not in DATASETS:
        return Estimate(None, None)
    images, classes = DATASETS[dataset]
    _, backbone, _ = views_and_costs(flags)
    probe = own.get("probe", "lbfgs")
    epochs = int(own["epochs"]) or PROBE_EPOCHS.get(probe, 0)
    augmented = probe == "sgd" and own.get("augmentation", "auto") != "none"
    forward = views_in_evaluation(flags) * backbone.multiplications
    features = int(flags["representation_size"]) or 512 * int(flags["widening_factor"])
    labelled = images * float(own["train_fraction"])
    products = {
        "lbfgs": LBFGS_EVALUATIONS * 2 * features * classes,
        "sgd": epochs * 3 * features * classes,
        "mlp": epochs * 3 * HIDDEN * (features + classes),
    }.get(probe, 0)
    operations = 2 * (images * forward * (epochs if augmented else 1) + labelled * products)
    return Estimate(operations / accelerators.operations_per_hour, None)


def views_in_evaluation(flags: dict[str, str]) -> int:
    """How many patches of an image pass through the network, or 1."""
    patches = int(flags["patches_per_side"]) ** 2
    return patches if flags["task"] in PATCH_TASKS else 1


def split_by_memory(
    jobs: list[Job], accelerators: Accelerators
) -> tuple[list[Job], list[tuple[Job, str]]]:
    """The jobs that fit into the accelerators' memory, and those that do not, with the reason."""
    if not accelerators.memory_gib:
        return jobs, []
    fitting, skipped = [], []
    for job in jobs:
        memory = training(job.train, accelerators).memory_gib
        if memory > accelerators.memory_gib:
            batch = int(training_flags(job.train)["batch_size"])
            reason = (
                f"a batch of {batch} images on {accelerators.count} accelerators needs about "
                f"{memory:.0f} GiB of each, more than {accelerators.memory_gib:g}"
            )
            skipped.append((job, reason))
        else:
            fitting.append(job)
    return fitting, skipped


def table(jobs: list[Job], choices: Iterable[Choice], accelerators: Accelerators) -> str:
    """Hours and memory of every network and its probes, one a line, and their sums.

    Args:
        jobs: the networks and their probes.
        choices: learning rates to try; those networks are trained once for each.
        accelerators: what they run on.
    """
    lines, total = [], 0.0
    times = {choice.base: len(choice.candidates) for choice in choices}
    for job in jobs:
        train = training(job.train, accelerators)
        trials = times.get(job, 1)
        if train.hours is not None:
            train = dataclasses.replace(train, hours=trials * train.hours)
        probes = [evaluation(job, run, accelerators) for run in job.evaluations]
        hours = [each.hours for each in (train, *probes)]
        total += sum(value for value in hours if value is not None)
        lines.append(
            f"{_hours(train.hours):>9} h{' measured' if train.measured else ''}, "
            f"{train.memory_gib:6.1f} GiB each, "
            f"{len(probes)} probes {_hours(_sum(each.hours for each in probes))} h  "
            f"{job.train.name}{f' at {trials} learning rates' if trials > 1 else ''}"
        )
    return "\n".join(
        [
            f"Estimated, not measured, unless a line says so: {accelerators.peak_tflops:g} TFLOP/s "
            f"at {100 * accelerators.utilisation:g} %, "
            f"{accelerators.bytes_per_number} bytes a number, {accelerators.count} accelerators. "
            "Hours are of one accelerator, those of several added up.",
            *lines,
            f"{_hours(total):>9} h in all, of {len(jobs)} networks and their probes",
        ]
    )


def views_and_costs(flags: dict[str, str]) -> tuple[int, Cost, Cost]:
    """Views of an image, the backbone's cost for each, and the head's for all of them.

    Raises:
        ValueError: there is no such task or architecture.
    """
    task = flags["task"]
    if task not in ("rotation", "exemplar", "supervised", *PATCH_TASKS):
        raise ValueError(f"there is no estimate for the task {task}")
    size = int(flags["crop_size"])
    embedding = int(flags["embedding_size"])
    features = int(flags["representation_size"]) or 512 * int(flags["widening_factor"])
    patches = task in PATCH_TASKS
    backbone = network(
        flags["architecture"],
        int(flags["widening_factor"]),
        int(flags["patch_size"]) if patches else size,
        patches=patches,
        representation_size=int(flags["representation_size"]),
    )
    count = int(flags["patches_per_side"]) ** 2
    if task == "rotation":
        return 4, backbone, dense(features, 4, 4)
    if task == "exemplar":
        views = int(flags["views_per_image"])
        return views, backbone, dense(features, embedding, views)
    if task == "supervised":
        return 1, backbone, dense(features, DATASETS.get(flags["dataset"], (0, 1000))[1])
    joined, rows, classes = {
        "jigsaw": (count, int(flags["permutations_per_image"]), int(flags["permutations"])),
        "relative_patch_location": (2, count - 1, count - 1),
    }[task]
    perceptron = dense(joined * embedding, 4096, rows) + dense(4096, classes, rows)
    return count, backbone, dense(features, embedding, count) + perceptron


def training_flags(run: Run) -> dict[str, str]:
    """The flags of a pretraining run; those that it leaves out are train.py's defaults.

    Raises:
        ValueError: one that should be a whole number is not, or there is no such task.
    """
    # Imported here, because TensorFlow comes with them and a plan does without.
    from data.options import DataOptions
    from pretext import TaskOptions, recipes
    from pretext.network import NetworkOptions
    from pretext.pretraining import PretrainingOptions

    given = flag_files.expand(run.flags)
    given = {name: text for name, text in given.items() if text != options.AUTO}
    task = given.setdefault("task", "rotation")
    if task not in recipes.RECIPES:
        raise ValueError(f"there is no estimate for the task {task}")
    defaults = options.texts(TaskOptions(), NetworkOptions(), PretrainingOptions(), DataOptions())
    found = defaults | given
    _check(values.whole_number(0, 10**9), run, "epochs", found)
    recipe = recipes.values(task, int(found["epochs"]))
    found = defaults | {name: str(value) for name, value in recipe.items()} | given
    for name, least in WHOLE_NUMBERS.items():
        _check(values.whole_number(least, 10**9), run, name, found)
    return found


def _check(kind: Callable[[str], object], run: Run, name: str, flags: dict[str, str]) -> None:
    try:
        kind(flags[name])
    except ValueError as error:
        raise ValueError(f"{run.flags[0]}, --{name}: {error}") from error


def _sum(hours: Iterable[float | None]) -> float | None:
    known = list(hours)
    return None if None in known else sum(known)


def _hours(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"
