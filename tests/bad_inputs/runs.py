"""Run directories that hold something else than a run, or a damaged one."""

from tests.bad_inputs.damage import cut, directory, fifo, flip, link, then, write
from tests.bad_inputs.stock import TRAIN, images, trained
from tests.bad_inputs.trial import Prepare, Trial

# Things in a new run's directory that are no run: it begins, or says what is in its way.
IN_THE_WAY: dict[str, Prepare] = {
    "empty saved_model": directory("run/saved_model"),
    "saved_model.pb of no bytes": write("run/saved_model/saved_model.pb", b""),
    "saved_model.pb of noise": write("run/saved_model/saved_model.pb", bytes(range(256))),
    "flags alone": write("run/flags.cfg", "--task=jigsaw\n"),
    "binary flags": write("run/flags.cfg", b"\xff\xfe"),
    "empty checkpoints": directory("run/checkpoints"),
}
BLOCKED: dict[str, Prepare] = {
    "lock fifo": fifo("run/lock"),
    "lock directory": directory("run/lock"),
    "flags fifo": fifo("run/flags.cfg"),
    "flags directory": directory("run/flags.cfg"),
    "flags device": link("run/flags.cfg", "/dev/zero"),
    "metrics fifo": fifo("run/metrics.csv"),
    "metrics directory": directory("run/metrics.csv"),
    "metrics binary": write("run/metrics.csv", b"\xff\xfe\x00"),
    "metrics of another kind": write("run/metrics.csv", "a,b\n1,2\n"),
    "checkpoints a file": write("run/checkpoints", "no directory"),
    "checkpoint names fifo": fifo("run/checkpoints/checkpoint"),
    "workdir a fifo": fifo("run"),
    "workdir a file": write("run", "no directory"),
}
# Damage to a finished run whose training goes on for another epoch is told or mended.
DAMAGED: dict[str, Prepare] = {
    "index cut": cut("run/checkpoints/*.index"),
    "data cut": cut("run/checkpoints/*.data-*"),
    "data flipped": flip("run/checkpoints/*.data-*"),
    "names of nothing": write("run/checkpoints/checkpoint", "nothing"),
    "metrics cut": cut("run/metrics.csv"),
    "metrics with text": write("run/metrics.csv", "step,epoch\nx,y\n"),
    "flags cut": cut("run/flags.cfg"),
}
PERMUTATIONS: dict[str, Prepare] = {
    "nowhere": images,
    "fifo": fifo("permutations"),
    "device": link("permutations", "/dev/zero"),
    "directory": directory("permutations"),
    "empty": write("permutations", b""),
    "text": write("permutations", "1 2 3"),
    "too many": write("permutations", b"\xff\xff\xff\x7f\x09\0\0\0"),
    "negative": write("permutations", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
}


def trials() -> list[Trial]:
    """What is no run blocks nobody; what cannot be read is told in a line or made again."""
    found = [
        Trial(
            f"workdir with {name}",
            "train",
            (*TRAIN, "--epochs=0"),
            refused=False,
            prepare=then(images, make),
        )
        for name, make in IN_THE_WAY.items()
    ]
    found += [
        Trial(f"workdir with {name}", "train", TRAIN, refused=None, prepare=then(images, make))
        for name, make in BLOCKED.items()
    ]
    found += [
        Trial(
            f"finished run with {name}",
            "train",
            TRAIN,
            refused=None,
            prepare=then(trained, make),
        )
        for name, make in DAMAGED.items()
    ]
    jigsaw = ("--task=jigsaw", "--crop_size=102", "--resize_size=108", "--patch_size=32")
    found += [
        Trial(
            f"permutations_file: {name}",
            "train",
            (*TRAIN, *jigsaw, "--permutations_file=permutations"),
            says="permutations",
            prepare=then(images, make),
            absent=("run/saved_model",),
        )
        for name, make in PERMUTATIONS.items()
    ]
    found += [
        Trial(
            "finished run, another batch",
            "train",
            (*TRAIN, "--batch_size=4"),
            says="--batch_size",
            prepare=trained,
        ),
        Trial(
            "finished run, a flag of another task",
            "train",
            (*TRAIN, "--margin=0.7"),
            refused=False,
            says="--margin",
            prepare=trained,
        ),
    ]
    return found
