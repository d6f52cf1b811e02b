"""ImageNet's two official archives, verified before TFDS converts them to records.

TFDS carries on without a missing archive, and takes a truncated one for a small one: from then on
what it prepared passes for the data set.
"""

from etils import epath
from tqdm import tqdm

from data import archives
from data.imagenet_names import CLASS_ARCHIVE, TRAINING, VALIDATION

TRAINING_ARCHIVE = "ILSVRC2012_img_train.tar"
VALIDATION_ARCHIVE = "ILSVRC2012_img_val.tar"
WEBSITE = "https://image-net.org/download-images"


def check(manual_dir: epath.Path) -> None:
    """Reads both archives to their ends.

    Args:
        manual_dir: their directory.

    Raises:
        ValueError: one is missing, damaged or not the archive that its name says; names it.
    """
    for name in (TRAINING_ARCHIVE, VALIDATION_ARCHIVE):
        if not (manual_dir / name).exists():
            raise ValueError(
                f"{name} is missing: put it into {manual_dir}; it is offered on {WEBSITE}"
            )
    with tqdm(desc="checking the archives", unit=" images", delay=2) as bar:
        _check_validation(manual_dir / VALIDATION_ARCHIVE, bar)
        _check_training(manual_dir / TRAINING_ARCHIVE, bar)


def _check_validation(archive: epath.Path, bar: tqdm) -> None:
    images = 0
    for name, _ in archives.files(archive):
        if not VALIDATION.match(name.removeprefix("./")):
            raise _wrong_archive(archive, name, "ILSVRC2012_val_00000001.JPEG and the like")
        images += 1
        bar.update()
    if not images:
        raise ValueError(f"{archive} holds no image: download it again")


def _check_training(archive: epath.Path, bar: tqdm) -> None:
    classes = 0
    for name, content in archives.files(archive):
        wordnet_id = CLASS_ARCHIVE.match(name.removeprefix("./"))
        if not wordnet_id:
            raise _wrong_archive(archive, name, "n01440764.tar and the like")
        images = 0
        for image, _ in archives.files_of_member(content, archive, name):
            found = TRAINING.match(image.removeprefix("./"))
            if not found or found[1] != wordnet_id[1]:
                raise _wrong_archive(
                    archive, f"{name}/{image}", f"{wordnet_id[1]}_1.JPEG and the like"
                )
            images += 1
            bar.update()
        if not images:
            raise ValueError(f"{archive}: {name} in it holds no image: download it again")
        classes += 1
    if not classes:
        raise ValueError(f"{archive} holds no image: download it again")


def _wrong_archive(archive: epath.Path, found: str, expected: str) -> ValueError:
    return ValueError(
        f"{archive} is not the archive that its name says: it holds {found!r} where "
        f"{expected} is expected"
    )
