"""What is measured while a network trains: the export's representations, disturbing nothing."""

import dataclasses
import logging
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import data
import pretext
from data.records import drawn
from evaluate import representations, saved_models
from evaluate.representations import ExtractOptions
from pretext.export import LAYERS, export
from pretext.monitor import Monitor, MonitorOptions
from pretext.monitored_images import MonitoredImages, Whole, in_memory, whole_and_two_cuts
from pretext.trainer import PretextTrainer
from tests.pretext import small_run, tiny
from tests.pretext.small_run import Case
from training.metrics import MetricsFile

ONE_DEVICE = tf.distribute.OneDeviceStrategy("CPU:0")
MONITORED = Case(monitor_every_epochs=1)


def trainer_of(task: str, strategy: tf.distribute.Strategy = ONE_DEVICE) -> PretextTrainer:
    options = pretext.TaskOptions(
        36, 32, "crop", patch_size=8, embedding_size=16, permutations=10, permutations_per_image=4
    )
    keras.utils.set_random_seed(0)
    with strategy.scope():
        return PretextTrainer(pretext.build(task, options), tiny.network())


@pytest.fixture(scope="module")
def started(photos, labelled_folder) -> tuple[Monitor, PretextTrainer, dict[str, float]]:
    """A monitor of an untrained network, and its first scores."""
    trainer = trainer_of("rotation")
    images = data.load("folder", "all", photos)
    monitor = Monitor(MonitorOptions(1, labelled_folder), trainer.task, images, 0, epochs=6)
    monitor.start(trainer, ONE_DEVICE, 60)
    return monitor, trainer, monitor.measure(1, {"val_accuracy": 0.25}, lambda: None)


@pytest.fixture(scope="module")
def monitored(photos, tmp_path_factory) -> tuple[epath.Path, dict[str, np.ndarray]]:
    workdir = epath.Path(tmp_path_factory.mktemp("runs") / "monitored")
    return workdir, small_run.train(MONITORED, ONE_DEVICE, photos, workdir)


def test_nothing_that_is_trained_depends_on_it(monitored, photos, tmp_path):
    """An epoch without it, then a restart with it: the whole run's weights and last row."""
    workdir, whole = monitored
    small_run.train(Case(epochs=1), ONE_DEVICE, photos, epath.Path(tmp_path))
    parts = small_run.train(MONITORED, ONE_DEVICE, photos, epath.Path(tmp_path))
    for name, values in whole.items():
        if not name.startswith("monitor/"):
            np.testing.assert_array_equal(values, parts[name], err_msg=name)
    ends = [(each / "metrics.csv").read_text().splitlines()[-1] for each in (workdir, tmp_path)]
    assert ends[0] == ends[1]


def test_the_scores_of_every_layer(monitored):
    for layer in LAYERS:
        for score, low, high in (("effective_rank", 1, 23), ("neighbour_stability", 0, 1)):
            values = monitored[1][f"monitor/{layer}/{score}"]
            assert len(values) == 2
            assert np.all((values >= low) & (values <= high))


def test_columns_of_an_earlier_start_stay(tmp_path):
    path = epath.Path(tmp_path) / "metrics.csv"
    MetricsFile(path, ["step", "loss", "monitor/block1/effective_rank"], 0).append(
        {"step": 3, "loss": 2.0, "monitor/block1/effective_rank": 7.0}
    )
    MetricsFile(path, ["step", "loss"], 3).append({"step": 6, "loss": 1.0})
    assert path.read_text().splitlines()[1:] == ["3,2.0,7.0", "6,1.0,"]
    MetricsFile(path, ["step", "loss"], 0)
    assert path.read_text() == "step,loss\n"


def test_the_representation_is_the_export_s(photos, tmp_path):
    trainer = trainer_of("jigsaw")
    path = epath.Path(tmp_path) / "saved_model"
    export(trainer.task, trainer.backbone, trainer.head, path)
    records = data.load("folder", "all", photos)
    images = MonitoredImages(trainer, ONE_DEVICE, records, Whole(trainer.task.eval_view), 9)
    found, labels = images.represented(lambda: None)
    assert labels.tolist() == [-1] * 24
    view = trainer.task.eval_view
    files = [entry["image"] for entry in records.entries()]
    pixels = tf.stack([view(records.read(file), None) for file in files])
    options = ExtractOptions(layers=list(LAYERS), resize_size=0, crop_size=view.crop_size)
    expected = representations.represent(saved_models.load(str(path)), pixels, options)
    for layer in LAYERS:
        np.testing.assert_allclose(found[layer][0], expected[layer], 1e-4, 1e-5, err_msg=layer)


@pytest.mark.parametrize("task", ["rotation", "exemplar", "relative_patch_location"])
def test_views_of_every_task(task, photos):
    options = pretext.TaskOptions(36, 32, "inception", patch_size=8)
    built = pretext.build(task, options)
    view = whole_and_two_cuts(built)
    encoded = tf.io.read_file(str(sorted(pathlib.Path(photos).iterdir())[0]))
    whole, first, second = view(encoded, tf.constant([1, 2]))
    np.testing.assert_array_equal(whole, built.eval_view(encoded, None))
    assert np.abs(first - second).mean() > 1
    np.testing.assert_array_equal(view(encoded, tf.constant([1, 2]))[2], second)
    assert view.cut.colours == (task != "relative_patch_location")


def test_several_devices_represent_the_same_images_alike(mirrored, photos):
    """Nine images a batch on one device; eight on two, of which the last batch is filled up."""
    records = in_memory(drawn(data.load("folder", "all", photos), 21, seed=3)[0])
    assert records.size == 21
    found = []
    for strategy, batch_size in ((ONE_DEVICE, 9), (mirrored, 8)):
        trainer = trainer_of("rotation", strategy)
        view = Whole(trainer.task.eval_view)
        images = MonitoredImages(trainer, strategy, records, view, batch_size)
        found.append(images.represented(lambda: None)[0])
    for layer in LAYERS:
        assert len(found[0][layer][0]) == 21
        np.testing.assert_allclose(found[0][layer], found[1][layer], 1e-4, 1e-5)


def test_nearest_neighbours_among_labelled_images(started):
    monitor, _, scores = started
    assert [records.size for records in monitor.labelled] == [109, 12]
    assert list(scores) == monitor.columns
    # Which half is bright any network sees in its first maps; an image of the other class has
    # nothing in common with it.
    assert scores["monitor/block1/knn_top1"] == 1.0


def test_a_task_at_chance_and_layers_that_have_collapsed_are_told_once(started, caplog):
    monitor, trainer, scores = started
    assert all(scores[f"monitor/{layer}/effective_rank"] > 1.5 for layer in LAYERS)
    with caplog.at_level(logging.WARNING):
        assert monitor.measure(2, {"val_accuracy": 0.9}, lambda: None) == scores, "the same images"
        assert not caplog.records
        monitor.measure(3, {"val_accuracy": 0.3}, lambda: None)
        normalisation = trainer.backbone.get_layer("block3_normalisation")
        normalisation.gamma.assign(tf.zeros(16))
        normalisation.beta.assign(tf.ones(16))
        for epoch in (4, 5):
            scores = monitor.measure(epoch, {"val_accuracy": 0.3}, lambda: None)
    at_chance, collapsed = (record.getMessage() for record in caplog.records)
    assert (
        "after epoch 3 of 6, accuracy on held-out images is 0.3, where guessing gives 0.25 and up "
        "to 0.515 by chance on 24 images: rotation is not learnt; try a lower --learning_rate"
    ) in at_chance
    assert "after epoch 4, block3, block4, pre_logits are nearly the same" in collapsed
    for layer in ("block3", "block4", "pre_logits"):
        assert scores[f"monitor/{layer}/effective_rank"] < 1.5
        assert scores[f"monitor/{layer}/neighbour_stability"] == 0
    assert scores["monitor/block2/effective_rank"] > 1.5


def test_chance_of_every_task():
    options = pretext.TaskOptions(
        crop_size=32, patch_size=8, permutations=10, class_names=tuple("abcd")
    )
    options = dataclasses.replace(options, permutations_per_image=4)
    assert {task: pretext.build(task, options).chance for task in pretext.TASKS} == {
        "rotation": 1 / 4,
        "exemplar": 1 / 64,
        "jigsaw": 1 / 10,
        "relative_patch_location": 1 / 8,
        "supervised": 1 / 4,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((1, "nowhere"), "--monitor_data_dir=nowhere is not a directory"),
        ((1, "PHOTOS"), "has no labels, not two or more: it needs a sub-folder per class"),
        ((0, "PHOTOS"), "needs --monitor_every_epochs=N"),
    ],
)
def test_what_is_refused(options, message, photos):
    every, folder = options
    task = pretext.build("rotation", pretext.TaskOptions(36, 32, "crop"))
    images = data.load("folder", "all", photos)
    with pytest.raises(ValueError, match=message):
        Monitor(MonitorOptions(every, folder.replace("PHOTOS", photos)), task, images, 0, 6)


def test_epochs_that_are_looked_at(photos):
    task = pretext.build("rotation", pretext.TaskOptions(36, 32, "crop"))
    images = data.load("folder", "all", photos)
    monitor = Monitor(MonitorOptions(3), task, images, 0, 7)
    assert [epoch for epoch in range(1, 8) if monitor.is_due(epoch)] == [3, 6, 7]
