"""`eval.py`'s results on the model card in an export's directory: its text and its header."""

import hashlib
import json
import os

import tensorflow as tf
from absl import logging
from etils import epath

from data import hub_datasets
from evaluate import coverage, report
from evaluate.results_file import Results
from training import front_matter
from training.run_directory import write_whole

HEADING = "## Evaluation"
INDEX = "model-index"
DECIMALS = 4
# Of the results, what is not a setting: it says which weights, or what came out.
MEASURED = ("saved_model", "fingerprint", "unreadable")


def append(results: Results) -> None:
    """Appends a table of results to the card of the model they are of.

    Results of the same settings replace those that are there, so that the card holds a section for
    every way in which the model was evaluated. A model without a card, or with one that cannot be
    written, gets a warning.

    Args:
        results: as `eval.py` writes them to results.json.
    """
    card = epath.Path(results["saved_model"]) / "README.md"
    try:
        if not card.exists() or not ("://" in os.fspath(card) or os.path.isfile(card)):
            logging.warning("%s is not there: the results are not added to a model card", card)
            return
        before = card.read_text()
        after = with_results(before, results)
        if after != before:
            write_whole(card, after)
    except (OSError, UnicodeDecodeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        logging.warning("the results are not added to the model card: %s", reason)


def with_results(card: str, results: Results) -> str:
    """The card with a section for the results, and their accuracies in its header.

    Those of the same settings are replaced. A header is left as it is if there is none as
    `training.front_matter` writes them.
    """
    key = _key(results)
    return _with_section(_with_index(card, results, key), results, key)


def _key(results: Results) -> str:
    """What is the same for results of the same settings."""
    settings = {
        name: value
        for name, value in results.items()
        if name not in MEASURED and "seconds" not in name
    }
    settings["layers"] = list(results["layers"])
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def _with_index(card: str, results: Results, key: str) -> str:
    """The card with the results among those of its header's model index."""
    index = front_matter.value_of(card, INDEX)
    try:
        (model,) = index
        others = [each for each in model["results"] if _settings(each).get("eval.py") != key]
    except (TypeError, ValueError, KeyError, AttributeError):
        return card
    model = {**model, "results": [*others, _result(results, key)]}
    return front_matter.with_value(card, INDEX, [model])


def _settings(result: dict) -> dict:
    return result["dataset"].get("args", {})


def _result(results: Results, key: str) -> dict[str, object]:
    """The layers' accuracies as a result of the model index."""
    said = ("train_split", "train_fraction", "probe", "l2", "resize_size", "crop_size", "pooling")
    settings = {name: results[name] for name in said if name in results}
    dataset = hub_datasets.described(results["dataset"], results["val_split"])
    return {
        "task": {"type": "image-classification", "name": f"{results['probe']} probe of each layer"},
        "dataset": {**dataset, "args": {"eval.py": key, **settings}},
        "metrics": [
            {
                "type": "accuracy",
                "name": f"top-1 accuracy on {layer}",
                "value": round(row["top1"], DECIMALS),
            }
            for layer, row in results["layers"].items()
        ],
    }


def _with_section(card: str, results: Results, key: str) -> str:
    begin, end = f"<!-- eval.py {key} -->\n", f"<!-- end {key} -->\n"
    section = f"{begin}\n{_section(results)}\n{end}"
    head, found, rest = card.partition(begin)
    if found:
        _, found, tail = rest.partition(end)
        if found:
            return head + section + tail
    if not card.endswith("\n"):
        card += "\n"
    if HEADING not in card.splitlines():
        card += f"\n{HEADING}\n"
    return f"{card}\n{section}"


def _section(results: Results) -> str:
    said = ("dataset", "train_split", "val_split", "probe", "train_examples", "val_examples")
    others = {
        name: value
        for name, value in results.items()
        if isinstance(value, str | int | float)
        and name not in (*said, *MEASURED)
        and "seconds" not in name
    }
    settings = ", ".join(f"{name} {value}" for name, value in others.items())
    return (
        f"### {results['probe']} on {results['dataset']}\n\n"
        f"Fitted to {results['train_examples']:,} images of split {results['train_split']}, "
        f"measured on {results['val_examples']:,} of split {results['val_split']}; {settings}.\n\n"
        + "".join(f"**Note:** {line}.\n\n" for line in coverage.remarks(results))
        + f"```\n{report.table(results)}\n```\n"
    )
