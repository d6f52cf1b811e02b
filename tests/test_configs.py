"""Every flag file must parse with its program's flags."""

import subprocess
import sys
from pathlib import Path

import pytest

from studies import plan

ROOT = Path(__file__).parent.parent
FILES = sorted(
    file.relative_to(ROOT)
    for room in ("imagenet", "places205")
    for file in ROOT.glob(f"configs/{room}/*.cfg")
)

PARSE = """
import importlib, sys
from absl import flags
importlib.import_module(sys.argv[1])
for file in sys.argv[2:]:
    flags.FLAGS.unparse_flags()
    flags.FLAGS(["program", f"--flagfile={file}"])
    print(file)
"""


@pytest.mark.parametrize("program", ["train", "eval"])
def test_flag_files_parse(program, monkeypatch):
    monkeypatch.chdir(ROOT)
    files = [
        str(file)
        for file in FILES
        if f"python {program}.py --flagfile={file}" in (ROOT / file).read_text()
    ]
    files += sorted(
        {
            run.flags[0].removeprefix("--flagfile=")
            for path in ROOT.glob("configs/study/*.cfg")
            if "\n--grid=" in path.read_text()
            for job in plan.jobs(plan.read(str(path)))
            for run in job.runs
            if run.program == f"{program}.py"
        }
    )
    assert files
    # Both programs define the same flags, so each needs a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", PARSE, program, *files], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == files


def test_every_flag_file_belongs_to_a_program():
    for file in FILES:
        comment = (ROOT / file).read_text().split("\n--")[0]
        assert all(line[:1] in ("#", "") for line in comment.splitlines()), file
        assert f".py --flagfile={file}" in comment, file
