"""The header of the model card, as the hub's own client reads it, and `eval.py`'s results in it."""

import dataclasses

import pytest
from huggingface_hub import EvalResult, ModelCard

import pretext
from data import hub_datasets
from evaluate import model_card as evaluated
from pretext import model_card
from pretext.model_card import Run
from tests.evaluate import test_model_card
from tests.pretext import tiny
from training import front_matter

FLAGS = {
    "dataset": "cifar10",
    "data_dir": "/home/somebody/private photos",
    "monitor_data_dir": "/home/somebody/labels",
    "initial_weights": "/home/somebody/saved_model",
    "train_split": "train",
    "val_split": "val",
}
TRAINED = Run(FLAGS, 7, 60, {"val_accuracy": 0.43218, "val_loss": 1.25}, validation_images=6)


def written(run: Run | None, task: str = "rotation") -> str:
    options = pretext.TaskOptions(40, 32, "crop", patch_size=8, permutations=20)
    network = tiny.network(name="resnet50_v2")
    built = pretext.build(task, options)
    return model_card.write(built, network, measurement={}, precision="float32", run=run)


def results(top1: float, **settings) -> dict:
    return test_model_card.results(
        "somewhere", top1, **{"dataset": "folder", "train_fraction": 1.0} | settings
    )


def measured(card: str) -> list[EvalResult]:
    return ModelCard(card).data.eval_results


def test_what_hubs_read():
    data = ModelCard(written(TRAINED)).data
    assert data.license == "unknown", "the code's licence is not that of the weights"
    assert data.library_name == "tensorflow"
    assert data.pipeline_tag == "image-feature-extraction"
    assert {"rotation", "resnet50-v2", "self-supervised-learning"} <= set(data.tags)
    assert data.datasets == ["uoft-cs/cifar10"]
    assert data.metrics == ["accuracy"]
    assert data.model_name == "resnet50_v2, rotation on cifar10"
    accuracy, loss = data.eval_results
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", 0.4322)
    assert (accuracy.dataset_type, accuracy.dataset_split) == ("uoft-cs/cifar10", "val")
    assert (loss.metric_type, loss.metric_value) == ("loss", 1.25)


def test_nothing_is_claimed_that_was_not_measured():
    untrained = written(Run(FLAGS))
    assert not measured(untrained)
    assert ModelCard(untrained).data.datasets is None
    assert "untrained" in ModelCard(untrained).data.tags
    assert not measured(written(None, "jigsaw"))
    assert not measured(written(dataclasses.replace(TRAINED, shared_images=2))), "trained on them"
    started = Run(FLAGS | {"initial_weights_fingerprint": "1/2"})
    assert "untrained" not in ModelCard(written(started)).data.tags
    assert "supervised-learning" in ModelCard(written(TRAINED, "supervised")).data.tags


def test_a_folder_is_not_named():
    card = written(dataclasses.replace(TRAINED, flags=FLAGS | {"dataset": "folder"}))
    assert "somebody" not in card
    data = ModelCard(card).data
    assert data.datasets is None
    assert data.eval_results[0].dataset_type == "imagefolder"


def test_results_replace_those_of_the_same_settings():
    card = written(TRAINED)
    once = evaluated.with_results(card, results(0.5))
    found = measured(once)
    assert [each.metric_value for each in found] == [0.4322, 1.25, 0.5, 0.5]
    assert [each.metric_name for each in found[2:]] == [
        "top-1 accuracy on block3",
        "top-1 accuracy on pre_logits",
    ]
    assert found[2].dataset_args["probe"] == "lbfgs"
    several = evaluated.with_results(once, results(0.6, probe="knn"))
    again = evaluated.with_results(several, results(0.75))
    values = [each.metric_value for each in measured(again)]
    assert sorted(values[2:]) == [0.6, 0.6, 0.75, 0.75]
    assert evaluated.with_results(again, results(0.75)).count("0.75") == again.count("0.75")
    assert again.count("## Evaluation\n") == 1


@pytest.mark.parametrize(
    "edit",
    [
        ('license: "unknown"', "license: cc-by-4.0\nlicense_name: ours"),
        ("model-index: ", "# model-index: "),
        ("model-index: ", "model-index:\n- name: ours\n  results: []\nx: "),
    ],
)
def test_a_header_that_people_have_edited_stays(edit):
    card = written(TRAINED).replace(*edit)
    after = evaluated.with_results(card, results(0.5))
    assert edit[1] in after
    assert ("top-1 accuracy on block3" in after) == ("license" in edit[0])
    assert "### lbfgs on folder" in after


def test_a_header_is_read_line_by_line():
    card = front_matter.header({"a": ["é", "--- x"], "b": None}) + "text\n---\nc: 1\n---\n"
    assert front_matter.value_of(card, "a") == ["é", "--- x"]
    assert front_matter.value_of(card, "c") is None
    assert front_matter.value_of("a: 1\n", "a") is None
    assert front_matter.with_value(card, "b", 2) == card.replace("b: null", "b: 2")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("imagenet2012:5.1.0", "ILSVRC/imagenet-1k"),
        ("eurosat/rgb:2.0.0", "timm/eurosat-rgb"),
        ("folder", None),
        ("scenes", None),
        ("places205", None),
    ],
)
def test_ids_of_data_sets(dataset, expected):
    assert hub_datasets.identifier(dataset) == expected
