"""The size of representations: printed, and checked against the disk, before they are extracted."""

from etils import epath

from evaluate.representation_files import RepresentationFiles
from training import between_workers, devices
from training.between_workers import Workers


def announce(
    files: dict[str, RepresentationFiles],
    features: dict[str, int],
    workers: Workers = between_workers.ALONE,
) -> None:
    """Prints what the representations of all splits will take, unless all of them are there.

    Args:
        files: by split; all below one directory.
        features: the number of features of every layer that is wanted.
        workers: what is printed is for all of them; the free space is this one's.

    Raises:
        ValueError: what is missing does not fit the free space.
    """
    for each in files.values():
        each.expect(features)
    missing = {split: each.bytes_of(each.part.size - each.records) for split, each in files.items()}
    sizes = {split: workers.total(each.bytes_of(each.part.size)) for split, each in files.items()}
    missing_everywhere = workers.total(sum(missing.values()))
    if not missing_everywhere:
        return
    directory = _existing(next(iter(files.values())).directory)
    free = devices.free_space(directory)
    if workers.is_first:
        each_split = ", ".join(f"{split} {devices.size(size)}" for split, size in sizes.items())
        there = sum(sizes.values()) - missing_everywhere
        print(
            f"representations: {devices.size(sum(sizes.values()))} ({each_split})"
            + (f", {devices.size(there)} of them there already" if there else "")
            + (f", of {workers.count} workers" if workers.count > 1 else "")
            + f"; {devices.size(free)} are free",
            flush=True,
        )
    needed = sum(missing.values()) - sum(each.bytes_to_replace() for each in files.values())
    if needed > free:
        half = (
            "--dtype=float16 (half of it), "
            if any(each.dtype == "float32" for each in files.values())
            else ""
        )
        raise ValueError(
            f"the representations take another {devices.size(needed)}, and {directory} has "
            f"{devices.size(free)} free: use {half}fewer --layers, a smaller --max_features, or a "
            "larger disk with --representations_dir"
        )


def _existing(directory: epath.Path) -> epath.Path:
    """The directory, or the nearest one above that exists."""
    while not directory.exists():
        directory = directory.parent
    return directory
