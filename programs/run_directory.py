"""What a run leaves in its directory, and how a second start finds its way in it.

WORKDIR/flags.cfg      the run's flags; `train.py --flagfile=WORKDIR/flags.cfg` repeats it
WORKDIR/metrics.csv    a row for every logged step
WORKDIR/checkpoints/   weights, optimiser and step
WORKDIR/tensorboard/   the same metrics for TensorBoard
WORKDIR/saved_model/   the export; there once the run is finished, and whole
WORKDIR/backbone.keras the backbone as Keras' own file, with --export_keras
"""

import tensorflow as tf
from etils import epath


def claim(workdir: str, flags: dict[str, str], may_differ: tuple[str, ...] = ()) -> epath.Path:
    """Makes the run's directory, or checks that the one there belongs to the same run.

    Args:
        workdir: the directory.
        flags: value by flag name, all that the run depends on.
        may_differ: flags that may change between two starts of one run.

    Returns:
        The directory's path.

    Raises:
        ValueError: the directory holds a run with other flags; names those that differ.
    """
    if not workdir:
        raise ValueError("--workdir is missing: name a directory for the run's files")
    root = epath.Path(workdir)
    file = root / "flags.cfg"
    if file.exists():
        lines = [
            line[2:].split("=", 1) for line in file.read_text().splitlines() if line[:2] == "--"
        ]
        before = dict(lines)
        names = sorted(set(before) | set(flags))
        differ = [
            f"--{name} (there {before.get(name, 'unset')}, now {flags.get(name, 'unset')})"
            for name in names
            if name not in may_differ and before.get(name) != flags.get(name)
        ]
        if differ:
            raise ValueError(
                f"{workdir} holds a run with other flags: {', '.join(differ)}; "
                "use another --workdir, or the same flags to continue that run"
            )
    root.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"--{name}={value}\n" for name, value in sorted(flags.items())))
    return root


def write_whole(path: epath.Path, text: str) -> None:
    """Writes a file so that it is never seen half written."""
    beside = path.with_name(path.name + ".incomplete")
    beside.write_text(text)
    tf.io.gfile.rename(str(beside), str(path), overwrite=True)
