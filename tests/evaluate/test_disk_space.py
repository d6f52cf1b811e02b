"""The size of representations is told before they are made, and must fit the disk."""

import shutil

import numpy as np
import pytest
from etils import epath

from evaluate import disk_space
from evaluate.representation_files import RepresentationFiles
from evaluate.split_parts import SplitPart

FEATURES = {"block1": 100, "block2": 50}


def files(root, split: str, size: int, dtype: str = "float32", **changes) -> RepresentationFiles:
    return RepresentationFiles(
        epath.Path(root / split),
        {"split": split} | changes,
        tuple(FEATURES),
        dtype,
        SplitPart(0, size),
    )


def write(made: RepresentationFiles, count: int) -> None:
    rows = {layer: np.ones((count, size), made.dtype) for layer, size in FEATURES.items()}
    with made.locked(), made:
        made.append(rows | {"labels": np.zeros(count, int), "valid": np.ones(count)}, count)


@pytest.fixture
def disk(monkeypatch) -> list[int]:
    """The free bytes, as the system tells them."""
    free = [10**9]
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=free[0]))
    return free


def both(root, **changes) -> dict[str, RepresentationFiles]:
    return {"val": files(root, "val", 10, **changes), "train": files(root, "train", 90, **changes)}


def test_the_size_is_printed_unless_all_is_there(tmp_path, disk, capsys) -> None:
    # 150 numbers a row, and its label and position: 616 bytes, or 316 as float16.
    disk_space.announce(both(tmp_path), FEATURES)
    assert capsys.readouterr().out == (
        "representations: 61.6 kB (val 6.16 kB, train 55.4 kB); 1 GB are free\n"
    )
    disk_space.announce(both(tmp_path, dtype="float16"), FEATURES)
    assert "representations: 31.6 kB" in capsys.readouterr().out
    assert not list(tmp_path.iterdir()), "nothing is written"
    write(files(tmp_path, "val", 10), 10)
    disk_space.announce(both(tmp_path), FEATURES)
    assert "61.6 kB (val 6.16 kB, train 55.4 kB), 6.16 kB of them there already; " in (
        capsys.readouterr().out
    )
    write(files(tmp_path, "train", 90), 90)
    disk_space.announce(both(tmp_path), FEATURES)
    assert not capsys.readouterr().out


def test_a_disk_that_is_too_small_is_a_line(tmp_path, disk) -> None:
    disk[0] = 61_599
    with pytest.raises(ValueError, match=r"another 61\.6 kB") as raised:
        disk_space.announce(both(tmp_path), FEATURES)
    assert "61.6 kB free: use --dtype=float16 (half of it), fewer --layers" in str(raised.value)
    assert "\n" not in str(raised.value)
    disk_space.announce(both(tmp_path, dtype="float16"), FEATURES)
    write(files(tmp_path, "val", 10), 10)
    disk_space.announce(both(tmp_path), FEATURES)  # The rest fits.
    disk[0] = 100
    with pytest.raises(ValueError, match="use fewer --layers"):
        disk_space.announce(both(tmp_path, dtype="float16"), FEATURES)


def test_what_will_be_replaced_counts_as_free(tmp_path, disk) -> None:
    write(files(tmp_path, "train", 90), 90)
    disk[0] = 61_600 - 55_440
    disk_space.announce(both(tmp_path, saved_model="another"), FEATURES)
    disk[0] -= 1
    with pytest.raises(ValueError, match="use --dtype=float16"):
        disk_space.announce(both(tmp_path, saved_model="another"), FEATURES)
