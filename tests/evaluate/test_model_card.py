"""Results of eval.py in the model card of the export that they are of."""

import logging

import pytest

from evaluate import model_card

CARD = "# A network\n\nIts text.\n"


def results(path, top1: float = 0.5, **settings) -> dict:
    layer = {"features": 512, "top1": top1, "top5": 0.9, "seconds": 1.0, "l2": 1e-4, "updates": 9}
    return {
        "saved_model": str(path),
        "fingerprint": "1",
        "dataset": "scenes",
        "train_split": "train",
        "val_split": "test",
        "train_examples": 4000,
        "val_examples": 2000,
        "unreadable": 0,
        "probe": "lbfgs",
        "l2": "auto",
        "layers": {"block3": layer, "pre_logits": layer},
    } | settings


@pytest.fixture
def saved_model(tmp_path):
    (tmp_path / "README.md").write_text(CARD)
    return tmp_path


def test_a_section_for_every_way_of_evaluating(saved_model):
    card = saved_model / "README.md"
    model_card.append(results(saved_model))
    once = card.read_text()
    assert once.startswith(CARD)
    for text in ("## Evaluation", "### lbfgs on scenes", "4,000 images of split train", "50.0 %"):
        assert text in once
    model_card.append(results(saved_model))
    assert card.read_text() == once

    model_card.append(results(saved_model, probe="knn"))
    model_card.append(results(saved_model, l2="paper"))
    several = card.read_text()
    assert several.startswith(once)
    assert several.count("## Evaluation\n") == 1
    assert several.count("### lbfgs on scenes") == 2
    assert several.count("### knn on scenes") == 1
    # The same again with another outcome, such as after a change of the probe: in its place.
    model_card.append(results(saved_model, top1=0.75))
    assert card.read_text() == several.replace("50.0 %", "75.0 %", 2)


def test_a_layer_alone_does_not_replace_all(saved_model):
    whole = results(saved_model)
    model_card.append(whole)
    alone = whole | {"layers": {"block3": whole["layers"]["block3"]}}
    model_card.append(alone)
    assert (saved_model / "README.md").read_text().count("### lbfgs on scenes") == 2


def test_a_model_without_a_card_or_with_one_that_cannot_be_written(saved_model, caplog):
    with caplog.at_level(logging.WARNING):
        model_card.append(results(saved_model / "foreign"))
        assert "is not there" in caplog.text
        assert not (saved_model / "foreign").exists()
        # Writing beside the card fails, as it does where all is read-only.
        (saved_model / "README.md.incomplete" / "full").mkdir(parents=True)
        model_card.append(results(saved_model))
    assert "not added to the model card" in caplog.text
    assert (saved_model / "README.md").read_text() == CARD
