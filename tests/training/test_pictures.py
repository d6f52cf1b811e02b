import numpy as np
import pytest
import tensorflow as tf
from etils import epath
from PIL import Image

from tests.full_disk import no_files_larger_than
from training.pictures import PictureFiles

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_a_picture_is_a_file_and_in_tensorboard(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path / "tensorboard"))
    PictureFiles(epath.Path(tmp_path), writer).leave("task", lambda: PICTURE, step=7)
    writer.close()
    np.testing.assert_array_equal(Image.open(tmp_path / "task.png"), PICTURE)
    (events,) = map(str, (tmp_path / "tensorboard").iterdir())
    tags = [
        (v.tag, e.step)
        for e in tf.compat.v1.train.summary_iterator(events)
        for v in e.summary.value
    ]
    assert tags == [("task", 7)]


def test_an_error_in_drawing_is_one_warning(tmp_path, caplog):
    def fail() -> np.ndarray:
        raise RuntimeError("no font")

    files = PictureFiles(epath.Path(tmp_path))
    files.leave("training", lambda: PICTURE, step=0)
    before = (tmp_path / "training.png").read_bytes()
    for step in (1, 2):
        files.leave("training", fail, step)
    assert (tmp_path / "training.png").read_bytes() == before
    (record,) = caplog.records
    assert record.getMessage() == f"{tmp_path}/training.png was not drawn: no font"


def test_a_full_disk_is_told_as_that_of_any_file(tmp_path):
    files = PictureFiles(epath.Path(tmp_path))
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    with (
        no_files_larger_than(1000),
        pytest.raises(OSError, match=r"task.png could not be written: .*; what was written before"),
    ):
        files.leave("task", lambda: noise, step=0)
    assert not list(tmp_path.iterdir())
