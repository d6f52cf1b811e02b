"""Whether scores that need no labels order networks as a linear probe does.

    python -m benchmarks.label_free --workdir=runs/label_free [--tasks=rotation] [--epochs=1,2,3,5]

pretrains each task of configs/demo on scenes with `--monitor_every_epochs=1`, and stops after these
epochs: a longer run goes on from the checkpoint of the one before it, as that run's own restart
would (every task's schedule is stated in epochs, so the weights are those of one long run). Every
export is probed as in the demo. `untrained` is a network that is trained for an epoch at a rate of
0: its statistics are adapted, its weights are the initial ones.

Left are WORKDIR/label_free.csv, a row for every task, epoch and layer, and a table of Spearman's ρ
between each score and the probe's accuracy: over the checkpoints of a task (the mean over tasks
and layers), and over the tasks at their last epoch (the mean over layers). The intervals are 95 %
of bootstraps, of tasks and layers for the one and of tasks for the other. Stopped and started
again, it resumes.
"""

import argparse
import csv
import itertools
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from scipy import stats

ROOT = pathlib.Path(__file__).parents[1]
TASKS = ("rotation", "exemplar", "jigsaw", "relative_patch_location", "supervised", "untrained")
LAYERS = ("block1", "block2", "block3", "block4", "pre_logits")
SCORES = ("effective_rank", "neighbour_stability")
RESAMPLES = 10_000

# By task, epochs and layer: the scores and `top1`.
Rows = dict[tuple[str, int, str], dict[str, float]]


def program(name: str, *flags: str) -> None:
    """Runs a program of the project; ends this one if it fails."""
    status = subprocess.run([sys.executable, str(ROOT / name), *flags], cwd=ROOT).returncode
    if status:
        sys.exit(status)


def pretrain(task: str, epochs: int, before: pathlib.Path | None, run: pathlib.Path, flags) -> None:
    """Trains a run, from the checkpoint of a shorter one if there is one."""
    if before and not run.exists():
        # Without the shorter run's flags, so that it is taken for this run's.
        for name in ("checkpoints", "metrics.csv"):
            copy = shutil.copytree if (before / name).is_dir() else shutil.copy
            run.mkdir(parents=True, exist_ok=True)
            copy(before / name, run / name)
    untrained = ("--learning_rate=0",) if task == "untrained" else ()
    config = "rotation" if task == "untrained" else task
    program(
        "train.py",
        f"--flagfile=configs/demo/{config}.cfg",
        f"--epochs={epochs}",
        "--monitor_every_epochs=1",
        f"--workdir={run}",
        *untrained,
        *flags,
    )


def measured(task: str, epochs: int, run: pathlib.Path, probe: pathlib.Path) -> Rows:
    """The last scores of a run and its probe's accuracies."""
    with (run / "metrics.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    results = json.loads((probe / "results.json").read_text())
    return {
        (task, epochs, layer): {
            **{score: float(last[f"monitor/{layer}/{score}"]) for score in SCORES},
            "top1": results["layers"][layer]["top1"],
        }
        for layer in LAYERS
    }


def rho(rows: list[dict[str, float]], score: str) -> float:
    """Spearman's ρ of a score with the accuracy; NaN of fewer than three or of equal values."""
    values = np.array([[row[score], row["top1"]] for row in rows])
    if len(values) < 3 or np.ptp(values, axis=0).min() == 0:
        return np.nan
    return float(stats.spearmanr(*values.T).statistic)


def of_checkpoints(rows: Rows, score: str) -> str:
    """ρ over the checkpoints of a task: its mean over tasks and layers, and the interval."""
    groups = [
        rho([row for (name, _, where), row in rows.items() if (name, where) == group], score)
        for group in itertools.product({task for task, _, _ in rows}, LAYERS)
    ]
    groups = np.array(groups)[np.isfinite(groups)]
    if not len(groups):
        return "too few checkpoints"
    random = np.random.default_rng(0)
    means = groups[random.integers(0, len(groups), (RESAMPLES, len(groups)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{groups.mean():.2f} [{low:.2f}, {high:.2f}], {len(groups)} tasks and layers"


def of_tasks(rows: Rows, score: str) -> str:
    """ρ over the tasks at their last epoch: its mean over layers, and the interval."""
    last = {task: max(epochs for name, epochs, _ in rows if name == task) for task, _, _ in rows}
    tasks = list(last)
    if len(tasks) < 3:
        return "too few tasks"

    def mean(chosen: list[str]) -> float:
        by_layer = [
            rho([rows[task, last[task], layer] for task in chosen], score) for layer in LAYERS
        ]
        finite = [value for value in by_layer if np.isfinite(value)]
        return float(np.mean(finite)) if finite else np.nan

    random = np.random.default_rng(0)
    drawn = [mean(list(random.choice(tasks, len(tasks)))) for _ in range(RESAMPLES // 10)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{mean(tasks):.2f} [{low:.2f}, {high:.2f}], {len(tasks)} tasks"


def table(rows: Rows) -> str:
    """Both kinds of ρ for each score, Markdown."""
    lines = ["| score | checkpoints of a task | tasks |", "| --- | --- | --- |"]
    for score in SCORES:
        lines.append(f"| {score} | {of_checkpoints(rows, score)} | {of_tasks(rows, score)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_free", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="for all runs")
    parser.add_argument("--data_dir", default="datasets", help="where scenes is, or is drawn to")
    parser.add_argument("--tasks", default=",".join(TASKS), help="some of them")
    parser.add_argument("--epochs", default="1,2,3,5", help="when to probe")
    parser.add_argument("--train_split", default="trainval", help="to pretrain on")
    parser.add_argument("--probe_split", default="train[:4000]", help="to fit the probes to")
    parser.add_argument("--l2", default="auto", help="the probes' penalty: a number is faster")
    arguments = parser.parse_args()
    workdir, data_dir = arguments.workdir.absolute(), pathlib.Path(arguments.data_dir).absolute()
    rows: Rows = {}
    for task in arguments.tasks.split(","):
        before = None
        epochs = [1] if task == "untrained" else sorted(map(int, arguments.epochs.split(",")))
        for count in epochs:
            run, probe = (workdir / f"{task}_{count}{end}" for end in ("", "_probe"))
            data = f"--data_dir={data_dir}"
            pretrain(task, count, before, run, (data, f"--train_split={arguments.train_split}"))
            program(
                "eval.py",
                "--flagfile=configs/demo/probe.cfg",
                f"--train_split={arguments.probe_split}",
                f"--l2={arguments.l2}",
                f"--saved_model={run / 'saved_model'}",
                f"--workdir={probe}",
                data,
            )
            rows |= measured(task, count, run, probe)
            before = run
    with (workdir / "label_free.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["task", "epochs", "layer", *SCORES, "top1"])
        writer.writerows([*key, *row.values()] for key, row in rows.items())
    print(table(rows))


if __name__ == "__main__":
    main()
