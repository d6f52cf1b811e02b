"""What finished runs left, as rows."""

import math
import shutil

import pytest

from studies import read
from tests.studies import synthetic


def test_a_probe_is_joined_with_its_network(tmp_path):
    run = synthetic.network(
        tmp_path, task="exemplar", widening_factor=2, representation_size=64, seed=3, pretext=0.7
    )
    synthetic.probe(run, lambda layer: 0.4 if layer == "block4" else 0.3, train_fraction=0.1)
    study = read.read(str(tmp_path))
    (network,) = study.networks.itertuples()
    assert (network.task, network.architecture) == ("exemplar", "resnet50_v2")
    assert (network.widening_factor, network.representation_size, network.seed) == (2, 64, 3)
    assert network.pretext == 0.7, "of the last epoch, whatever its rows are called"
    by_layer = {score.layer: score for score in study.scores.itertuples()}
    assert list(by_layer) == list(synthetic.LAYERS)
    assert by_layer["block4"].top1 == 0.4
    assert by_layer["block4"].train_fraction == 0.1
    assert by_layer["block4"].network == network.name
    assert by_layer["block4"].images == "scenes test"
    assert study.missing == study.notes == ()


def test_no_epochs_are_an_untrained_network(tmp_path):
    synthetic.network(tmp_path, epochs=0)
    (network,) = read.read(str(tmp_path)).networks.itertuples()
    assert network.task == "untrained"
    assert math.isnan(network.pretext)


def test_paths_may_be_relative_and_the_study_moved(tmp_path):
    for seed in (0, 1):
        run = synthetic.network(tmp_path / "old", seed=seed, name=f"seed{seed}")
        synthetic.probe(run, 0.5 + seed / 10, saved_model=f"runs/old/seed{seed}/saved_model")
    shutil.move(tmp_path / "old", tmp_path / "new")
    study = read.read(str(tmp_path / "new"))
    assert dict(zip(study.scores.seed, study.scores.top1, strict=True)) == {0: 0.5, 1: 0.6}


def test_a_probe_may_lie_anywhere(tmp_path):
    run = synthetic.network(tmp_path / "networks")
    directory = synthetic.probe(run, 0.5)
    (tmp_path / "probes").mkdir()
    shutil.move(directory, tmp_path / "probes" / "of_it")
    assert read.read(str(tmp_path)).scores.run[0] == "probes/of_it"


def test_a_probe_of_somebody_elses_network_is_noted(tmp_path):
    run = synthetic.network(tmp_path)
    synthetic.probe(run, 0.5, saved_model="/elsewhere/model/export")
    study = read.read(str(tmp_path))
    assert study.scores.empty
    assert "its network /elsewhere/model/export is not here" in study.notes[0]


def test_what_is_not_finished_is_missing(tmp_path):
    done = synthetic.network(tmp_path, seed=0)
    begun = synthetic.network(tmp_path, seed=1)
    shutil.rmtree(begun / "saved_model")
    (synthetic.probe(done, 0.5) / "results.json").unlink()
    synthetic.record(tmp_path, runs=[done.name, "never"], skipped=["big: skipped"])
    study = read.read(str(tmp_path))
    assert set(study.missing) == {begun.name, f"{done.name}/probes/lbfgs-scenes-test-1-0", "never"}
    assert study.notes == ("big: skipped",)
    assert study.commands == ("study",)
    assert list(study.networks.seed) == [0]


def test_seeds_are_not_averaged_over_other_recipes(tmp_path):
    for seed, rate in ((0, 0.1), (1, 0.1), (2, 0.3)):
        run = synthetic.network(tmp_path, seed=seed, learning_rate=rate)
        synthetic.probe(run, 0.5, l2=1e-3 if seed else 1e-2)
    study = read.read(str(tmp_path))
    assert list(study.networks.seed) == [0, 1]
    assert len(set(study.scores.run)) == 1
    assert any("trained with other flags" in note for note in study.notes)
    assert any("probed with other flags" in note for note in study.notes)


def test_the_same_network_on_other_images_is_another_one(tmp_path):
    """As the supervised baseline is, for own validation images and for the official ones."""
    for split, place in (("train", "val"), ("trainval", "test")):
        for seed in (0, 1):
            name = f"{split}{seed}"
            run = synthetic.network(
                tmp_path, task="supervised", seed=seed, name=name, train_split=split
            )
            synthetic.probe(run, 0.5, val_split=place, layers=("pre_logits",))
    study = read.read(str(tmp_path))
    assert len(study.networks) == len(study.scores) == 4
    assert study.notes == ()
    assert set(study.networks.train_split) == {"train", "trainval"}
    # At one place they are not averaged.
    run = synthetic.network(tmp_path, task="supervised", seed=2, name="odd", train_split="train")
    synthetic.probe(run, 0.9, val_split="test", layers=("pre_logits",))
    study = read.read(str(tmp_path))
    assert len(study.scores) == 4
    assert "odd/probes/lbfgs-scenes-test-1-0: probed with other flags" in study.notes[0]


def planned(name: str, network: str | None = None, **recipe: object) -> dict:
    """A run as `study.json` has it."""
    return {
        **{"name": name, "program": "eval.py" if network else "train.py"},
        **{"network": network or name},
        "recipe": {flag: str(value) for flag, value in recipe.items()},
    }


def test_which_network_a_probe_is_of_the_plan_tells(tmp_path):
    """And not where it says that its SavedModel was."""
    for name, seed in (("first", 0), ("second", 1)):
        run = synthetic.network(tmp_path, name=name, seed=seed)
        synthetic.probe(run, 0.5, saved_model="/scratch/first/saved_model", layers=("pre_logits",))
    guessed = read.read(str(tmp_path))
    assert list(guessed.scores.network) == ["first", "first"][: len(guessed.scores)]
    probes = [
        planned(f"{name}/probes/lbfgs-scenes-test-1-0", name, probe="lbfgs")
        for name in ("first", "second")
    ]
    synthetic.record(tmp_path, runs=["first", "second", *probes])
    assert list(read.read(str(tmp_path)).scores.network) == ["first", "second"]


def test_a_probe_whose_planned_network_is_gone_is_no_other_networks(tmp_path):
    for name in ("first", "second"):
        run = synthetic.network(tmp_path, name=name)
        synthetic.probe(run, 0.5, saved_model="/scratch/first/saved_model", layers=("pre_logits",))
    shutil.move(tmp_path / "second" / "probes", tmp_path / "probes")
    shutil.rmtree(tmp_path / "second")
    probe = planned("probes/lbfgs-scenes-test-1-0", "second", probe="lbfgs")
    synthetic.record(tmp_path, runs=["first", probe])
    study = read.read(str(tmp_path))
    assert list(study.scores.run) == ["first/probes/lbfgs-scenes-test-1-0"]
    assert any("its network /scratch/first/saved_model is not here" in n for n in study.notes)


def test_the_recipe_of_the_plan_counts_and_not_the_most_frequent(tmp_path):
    for seed, rate in ((0, 0.1), (1, 0.3), (2, 0.3)):
        run = synthetic.network(tmp_path, name=f"seed{seed}", seed=seed, learning_rate=rate)
        synthetic.probe(run, 0.5, l2=0.1 if seed == 2 else 0.2, layers=("pre_logits",))
    assert list(read.read(str(tmp_path)).networks.name) == ["seed1", "seed2"]
    synthetic.record(tmp_path, runs=[planned("seed0", learning_rate="1e-1")])
    study = read.read(str(tmp_path))
    assert list(study.networks.name) == ["seed0"], "in the plan's words or others"
    assert list(study.scores.network) == ["seed0"]
    # A run that was made before the plan said something else says nothing of the plan's recipe.
    synthetic.record(tmp_path, runs=[planned("seed0", learning_rate=0.5)])
    assert list(read.read(str(tmp_path)).networks.name) == ["seed1", "seed2"]


def test_a_layer_that_was_probed_twice_counts_once(tmp_path):
    run = synthetic.network(tmp_path)
    synthetic.probe(run, 0.5)
    shutil.copytree(run / "probes", run / "again")
    study = read.read(str(tmp_path))
    assert list(study.scores.layer) == list(synthetic.LAYERS)


def test_of_two_recipes_the_one_that_was_probed_counts(tmp_path):
    synthetic.network(tmp_path, name="a-first-trial", learning_rate=1.0)
    run = synthetic.network(tmp_path, name="the-real-one", learning_rate=0.1)
    synthetic.probe(run, 0.5, layers=("pre_logits",))
    study = read.read(str(tmp_path))
    assert list(study.networks.name) == ["the-real-one"]
    assert list(study.scores.top1) == [0.5]


def test_a_probe_of_a_network_that_was_left_out_is_not_anothers(tmp_path):
    for folder, rate in (("a", 0.1), ("b", 0.1), ("c", 9.0)):
        run = synthetic.network(
            tmp_path / folder, name="same", seed=ord(folder), learning_rate=rate
        )
        synthetic.probe(run, 0.9 if folder == "c" else 0.5, layers=("pre_logits",))
    study = read.read(str(tmp_path))
    assert [
        (run[0], top1) for run, top1 in zip(study.scores.run, study.scores.top1, strict=True)
    ] == [("a", 0.5), ("b", 0.5)]


def test_schedules_and_curves_of_sgd(tmp_path):
    run = synthetic.network(tmp_path)
    synthetic.probe(
        run, 0.4, probe="sgd", epochs=70, first_decay=30, curve=[0.1, 0.4], layers=("pre_logits",)
    )
    (score,) = read.read(str(tmp_path)).scores.itertuples()
    assert (score.epochs, score.first_decay) == (70, 30)
    assert score.curve == ((1.0, 0.1), (2.0, 0.4))


def test_damaged_results_are_noted(tmp_path):
    run = synthetic.network(tmp_path)
    (synthetic.probe(run, 0.5) / "results.json").write_text("{")
    study = read.read(str(tmp_path))
    assert study.scores.empty
    assert "results.json cannot be read" in study.notes[0]


def test_no_study(tmp_path):
    with pytest.raises(ValueError, match="is not a directory"):
        read.read(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="holds no run"):
        read.read(str(tmp_path))
