"""What can be wrong with the flags; tests/test_documented_commands.py draws both pictures."""

import numpy as np
import pytest
from PIL import Image

from tests import command_line

SMALL = ("--resize_size=36", "--crop_size=32")


@pytest.fixture(scope="module")
def place(tmp_path_factory, photos):
    root = tmp_path_factory.mktemp("preview")
    (root / "begun" / "checkpoints").mkdir(parents=True)
    (root / "other" / "checkpoints").mkdir(parents=True)
    (root / "other" / "checkpoints" / "ckpt-1.index").write_bytes(b"0")
    (root / "other" / "flags.cfg").write_text("--task=jigsaw\n--widening_factor=2\n")
    return root


def test_flags(place, photos):
    data = f"--data_dir={photos}"
    cases = {
        "OK": [data, *SMALL, f"--output={place / 'a' / 'sheet.png'}", "--seed=3"],
        "OK ": [data, *SMALL, f"--output={place / 'again.png'}", "--seed=3", "--batch_size=8"],
        "OK  ": [data, *SMALL, f"--output={place / 'other.png'}", "--seed=4"],
        "unexpected argument jigsaw": ["jigsaw", data],
        "unknown task jigsaws: use one of ": [data, "--task=jigsaws"],
        "sheet.png would become an image of the data set: give another path, --output=": [
            *(data, f"--output={photos}/sheet.png"),
        ],
        f"--output={place} cannot be written": [data, f"--output={place}"],
        "supervised needs labels": [data, "--task=supervised"],
        "begun has no checkpoint yet: wait for one, or leave out --workdir": [
            *(data, *SMALL, "--architecture=vgg19_bn", f"--workdir={place / 'begun'}"),
        ],
        "other holds a run with other flags: --task (there jigsaw, now rotation); read them with "
        f"--flagfile={place}/other/flags.cfg": [data, *SMALL, f"--workdir={place / 'other'}"],
    }
    endings = command_line.errors("pretext.preview", list(cases.values()))
    for expected, ending in zip(cases, endings, strict=True):
        assert expected.strip() in ending, f"{ending!r} should say {expected!r}"
    first, again, other = (
        np.asarray(Image.open(place / name)) for name in ("a/sheet.png", "again.png", "other.png")
    )
    np.testing.assert_array_equal(first, again, err_msg="the first images for any batch size")
    assert (first != other).any(), "the seed chooses them"
