import subprocess
import sys

import pytest
from etils import epath

from tests.command_line import ROOT
from tests.full_disk import no_files_larger_than
from training import locks, run_directory
from training.metrics import MetricsFile, read_metrics

FLAGS = {"task": "rotation", "seed": "0", "workdir": "a"}


@pytest.fixture(autouse=True)
def _released():
    yield
    locks.released_at_the_end(lambda argv: None)([])


# Claims a directory, says so, and holds it until it is killed.
HOLDER = """
import sys, time
from training import run_directory
run_directory.claim(sys.argv[1], {"task": "rotation", "seed": "0", "workdir": "a"})
print("claimed", flush=True)
time.sleep(600)
"""


def test_a_directory_is_for_one_process_until_it_ends_however_it_does(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"claimed\n"
        with pytest.raises(ValueError, match="/run is in use by another run"):
            run_directory.claim(str(tmp_path / "run"), FLAGS)
        # By another name it is the same.
        (tmp_path / "link").symlink_to(tmp_path / "run")
        with pytest.raises(ValueError, match="/link is in use by another run"):
            run_directory.claim(str(tmp_path / "link"), FLAGS)
    finally:
        holder.kill()
        holder.wait()
    run_directory.claim(str(tmp_path / "run"), FLAGS)
    # The same process may come back to it.
    run_directory.claim(str(tmp_path / "run"), FLAGS)


def test_the_lock_ends_with_main_even_if_that_fails(tmp_path):
    @locks.released_at_the_end
    def main(argv: list[str]) -> None:
        run_directory.claim(str(tmp_path), FLAGS)
        with locks.locked(tmp_path / "lock", wait=False) as file:
            assert file is None, "it is held"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        main([])
    with locks.locked(tmp_path / "lock", wait=False) as file:
        assert file is not None


def test_flags_of_a_run_with_results_must_match(tmp_path):
    workdir = str(tmp_path / "run")
    run_directory.claim(workdir, FLAGS)
    # No result yet: anybody may take it over.
    (tmp_path / "run" / "tensorboard").mkdir()
    (tmp_path / "run" / "tensorboard" / "events").write_bytes(b"0")
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "incomplete-ckpt-3.index").write_bytes(b"0")
    (tmp_path / "run" / "checkpoints" / "source.json").write_text("{}")
    (tmp_path / "run" / "representations" / "val").mkdir(parents=True)
    (tmp_path / "run" / "representations" / "val" / "header.json").write_text("{}")
    metrics = MetricsFile(epath.Path(workdir) / "metrics.csv", ["step", "loss"], 0)
    run_directory.claim(workdir, FLAGS | {"seed": "1"})
    assert "--seed=1" in (tmp_path / "run" / "flags.cfg").read_text()
    metrics.append({"step": 2, "loss": 1.0})
    with pytest.raises(ValueError, match=r"other flags: --seed \(there 1, now 2\);"):
        run_directory.claim(workdir, FLAGS | {"seed": "2"})
    run_directory.claim(workdir, FLAGS | {"seed": "1", "workdir": "b"}, may_differ=("workdir",))
    (tmp_path / "run" / "flags.cfg").write_bytes(b"\x00" * 100)
    with pytest.raises(ValueError, match=r"flags.cfg is damaged"):
        run_directory.claim(workdir, FLAGS)


def test_what_holds_nothing_is_taken_over(tmp_path):
    run_directory.claim(str(tmp_path), FLAGS)
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "gone").symlink_to("nowhere")
    run_directory.claim(str(tmp_path), FLAGS | {"seed": "1"})
    (tmp_path / "representations").mkdir()
    (tmp_path / "representations" / "header.json").write_text("rows")
    assert not run_directory.has_begun(epath.Path(tmp_path))
    run_directory.claim(str(tmp_path), FLAGS | {"seed": "2"})
    (tmp_path / "results.json").write_text("1")
    with pytest.raises(ValueError, match="holds a run with other flags"):
        run_directory.claim(str(tmp_path), FLAGS | {"seed": "3"})


def test_an_address_of_a_kind_that_tensorflow_cannot_open(tmp_path):
    with pytest.raises(ValueError, match="--workdir=hdfs://host/run: the installed TensorFlow"):
        run_directory.claim("hdfs://host/run", FLAGS)
    assert run_directory.claim(f"file://{tmp_path}/run", FLAGS) == epath.Path(tmp_path) / "run"
    with pytest.raises(OSError, match=r"--workdir=/proc/run cannot be created: "):
        run_directory.claim("/proc/run", FLAGS)


@pytest.mark.parametrize("name", ["rate=[0.1]", "a*", "what?", "back\\slash"])
def test_a_name_in_which_tensorflow_finds_no_checkpoint(name, tmp_path):
    with pytest.raises(ValueError, match="would find no checkpoint there"):
        run_directory.claim(str(tmp_path / name), FLAGS)
    assert not (tmp_path / name).exists()


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; name a directory"):
        run_directory.claim(str(tmp_path / "file"), FLAGS)


def test_no_room_for_a_row_of_metrics(tmp_path):
    path = epath.Path(tmp_path) / "metrics.csv"
    metrics = MetricsFile(path, ["step", "loss"], 0)
    metrics.append({"step": 1, "loss": 1.0})
    before = path.read_text()
    with (
        no_files_larger_than(len(before) + 3),
        pytest.raises(OSError, match=r"metrics.csv could not be written: .*File too large"),
    ):
        metrics.append({"step": 2, "loss": 0.123456789})
    # What got into the file of the row does not count.
    assert [row["step"] for row in read_metrics(path)] == ["1"]
    with no_files_larger_than(3), pytest.raises(OSError, match=r"csv could not be written: File"):
        MetricsFile(path, ["step", "loss"], 1)
    MetricsFile(path, ["step", "loss"], 1)
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize(
    "content", [b"\xff\x00\n" * 3, b"step,loss\nten,0.5\n", b"step,loss\n1,0.5,3\n"]
)
def test_metrics_that_no_program_wrote(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"metrics.csv is damaged \(row 1 .*: move it away"):
        MetricsFile(epath.Path(tmp_path) / "metrics.csv", ["step", "loss"], 1)


def test_a_line_of_metrics_that_is_too_long(tmp_path):
    path = epath.Path(tmp_path) / "metrics.csv"
    path.write_text("step,loss\n1," + "1" * 200_000 + "\n")
    with pytest.raises(ValueError, match=r"metrics.csv is damaged \(field larger than .*: move"):
        read_metrics(path)
