"""Several runs of `eval.py` side by side."""

import csv
import io
import os

from absl import logging
from etils import epath

from evaluate.report import aligned, layers_of, percent, plot
from evaluate.results_file import Results, load_results
from training.run_directory import write_whole

# What a row of the CSV says about its run, and about its layer.
OF_RUN = (
    "saved_model",
    "dataset",
    "train_split",
    "val_split",
    "train_fraction",
    "train_examples",
    "val_examples",
    "overlap",
    "untrained_examples",
    "probe",
    "seed",
)
OF_LAYER = ("features", "top1", "top5", "loss", "l2", "effective_rank", "first_ten_variance")


def compare(paths: list[str], directory: epath.Path) -> None:
    """Prints a line per run, and leaves comparison.csv and comparison.png in a directory.

    Args:
        paths: as for `load`.
        directory: made if it is not there.

    Raises:
        ValueError: one of the paths holds no results of `eval.py`.
    """
    runs = load(paths)
    print(table(runs))
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / "comparison.csv", csv_text(runs))
    plot(runs, directory / "comparison.png")
    print(f"\n{directory / 'comparison.csv'}\n{directory / 'comparison.png'}")


def load(paths: list[str]) -> dict[str, Results]:
    """The results of several runs, by the end of their path that tells them apart.

    Args:
        paths: directories that `eval.py` wrote, or `results.json` files; one named twice counts
            once.

    Raises:
        ValueError: one of them holds no results of `eval.py`.
    """
    runs = {}
    for path in paths:
        directory = path.removesuffix("results.json").rstrip("/") or "."
        if "://" not in directory:
            directory = os.path.abspath(directory)
        if directory in runs:
            logging.warning("--compare: %s is given twice and counts once", directory)
        runs[directory] = load_results(path)
    return dict(zip(_names(list(runs)), runs.values(), strict=True))


def table(runs: dict[str, Results]) -> str:
    """A line per run: what it was measured on, and the top-1 accuracy of every layer."""
    layers = layers_of(runs)
    rows = [
        [
            name,
            _measured_on(results),
            *(
                percent(results["layers"][layer]["top1"]) if layer in results["layers"] else ""
                for layer in layers
            ),
        ]
        for name, results in runs.items()
    ]
    return aligned(["run", "top-1 of", *layers], rows, texts=2)


def csv_text(runs: dict[str, Results]) -> str:
    """A row per run and layer, with accuracies from 0 to 1; what a run lacks stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *OF_RUN, "layer", *OF_LAYER])
    for name, results in runs.items():
        for layer, values in results["layers"].items():
            of_run = [results.get(key, "") for key in OF_RUN]
            writer.writerow([name, *of_run, layer, *(values.get(key, "") for key in OF_LAYER)])
    return text.getvalue()


def _measured_on(results: Results) -> str:
    """Probe, data set, split and share of the labels, in few words."""
    fraction = results.get("train_fraction", 1)
    labels = f", {100 * fraction:g} % of the labels" if fraction < 1 else ""
    overlap = ", not held out" if results.get("overlap") else ""
    return (
        f"{results.get('probe', '')} {results['dataset']} {results['val_split']}{labels}{overlap}"
    )


def _names(directories: list[str]) -> list[str]:
    """The last parts of every path, as few as make them different."""
    parts = [directory.split("/") for directory in directories]
    for count in range(1, max(len(each) for each in parts) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return directories
