import numpy as np
import pytest

from training import curves

COLUMNS = [
    "step",
    "epoch",
    "learning_rate",
    "loss",
    "weight_decay",
    "accuracy",
    "val_accuracy",
    "val_loss",
]
LINES = """2,0.5,0.05,1.5,0.2,0.25,,
4,1.0,0.1,1.2,0.2,0.375,0.5,1.1
6,1.5,0.01,1.0,0.2,0.5,,
8,2.0,0.001,0.8,0.2,0.625,0.75,0.9"""
ROWS = [dict(zip(COLUMNS, line.split(","), strict=True)) for line in LINES.split("\n")]


def drawn(rows: list[dict[str, str]], chance: dict[str, float]) -> dict[str, dict]:
    """By panel and line the points, (2, points)."""
    figure = curves.panels(rows, chance)
    return {
        axes.get_title(): {line.get_label(): line.get_xydata().T for line in axes.lines}
        for axes in figure.axes
        if axes.get_visible()
    }


def test_panels_hold_what_the_file_holds():
    found = drawn(ROWS, {"accuracy": 0.25})
    assert list(found) == ["accuracy", "loss", "learning rate"]
    accuracy = found["accuracy"]
    assert list(accuracy) == ["chance, 25 %", "training", "held out"]
    np.testing.assert_array_equal(accuracy["chance, 25 %"][1], [0.25, 0.25])
    np.testing.assert_array_equal(accuracy["training"][0], [0.5, 1, 1.5, 2])
    np.testing.assert_array_equal(accuracy["held out"], [[1, 2], [0.5, 0.75]])
    np.testing.assert_array_equal(found["loss"]["held out"], [[1, 2], [1.1, 0.9]])
    (rate,) = found["learning rate"].values()
    np.testing.assert_array_equal(rate[1], [0.05, 0.1, 0.01, 0.001])


def test_monitored_scores_have_panels_with_a_line_for_each_layer():
    layers = {"block4": ("", "10.5", "", "12.5"), "pre_logits": ("", "", "", "7.5")}
    rows = [
        row | {f"monitor/{layer}/effective_rank": values[n] for layer, values in layers.items()}
        for n, row in enumerate(ROWS)
    ]
    rows = [row | {"monitor/block4/knn_top1": ""} for row in rows]
    found = drawn(rows, {})
    assert list(found) == ["accuracy", "loss", "learning rate", "effective rank"]
    assert list(found["accuracy"]) == ["training", "held out"], "no chance level is known"
    np.testing.assert_array_equal(found["effective rank"]["block4"], [[1, 2], [10.5, 12.5]])
    np.testing.assert_array_equal(found["effective rank"]["pre_logits"], [[2], [7.5]])


def test_a_task_without_a_held_out_loss():
    rows = [{"step": "2", "epoch": "1", "learning_rate": "0", "loss": "1"}]
    rows[0] |= {"retrieval": "0.1", "val_retrieval": "0.2"}
    found = drawn(rows, {"retrieval": 1 / 64})
    assert list(found["retrieval"]) == ["chance, 1.56 %", "training", "held out"]
    assert list(found["loss"]) == ["training"]


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS])
def test_the_picture_has_the_panels_in_it(rows):
    picture = curves.draw(rows, {"accuracy": 0.25})
    assert picture.dtype == np.uint8
    assert picture.shape == (310, 1260, 3)
    for panel in np.split(picture, 3, axis=1):
        assert (panel < 128).any()
