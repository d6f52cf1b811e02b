"""Every command and every flag that the pages and the flag files' comments name.

A command is run on miniature data where it can be, and otherwise its own program's parser reads it.
One that neither table below knows fails.
"""

import importlib.metadata
import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow_datasets as tfds
from packaging.requirements import Requirement

from studies import plan
from studies.cost import estimate
from tests import documented, forked
from tests.documented import ROOT, Written
from tests.pictures import write_labelled_folder
from tests.studies import synthetic

PAGES = documented.pages()
COMMENTED = sorted([*ROOT.glob("configs/**/*.cfg"), *ROOT.glob("configs/**/*.sh")])
PROGRAMS = (
    *("train.py", "eval.py", "explore.py", "study.py"),
    *("-m data.prepare", "-m pretext.preview", "examples/finetune.py"),
)
BENCHMARKS = tuple(
    f"-m benchmarks.{file.stem}"
    for file in sorted((ROOT / "benchmarks").glob("*.py"))
    if "parse_args()" in file.read_text()
)
# Placeholders that a parser would not take.
VALUES = {r"\bN\b": "2", "HOST:PORT": "localhost:5050"}

# What is run, in this order, each by how it begins, and what makes it small. {} stand for the data.
PRETRAINING = (
    "--architecture=vgg19_bn --widening_factor=1 --resize_size=36 --crop_size=32 --epochs=1 "
    "--warmup_epochs=0 --batch_size=16"
)
RUN = {
    "train.py --workdir=runs/rotation --task=rotation": PRETRAINING,
    "train.py --flagfile=runs/rotation/flags.cfg": "",
    "-m pretext.preview --task=jigsaw": "--resize_size=40 --crop_size=36 --patch_size=10",
    "-m pretext.preview --flagfile=runs/rotation/flags.cfg": "--images=8",
    "eval.py --saved_model=runs/rotation/saved_model --workdir=runs/rotation_probe": (
        "--layers=block4,pre_logits --l2=1e-3"
    ),
    "eval.py --compare runs/a_probe runs/b_probe": "",
    "eval.py --compare runs/a runs/b runs/c": "",
    "explore.py --saved_model=runs/rotation/saved_model --workdir=runs/rotation_explored": (
        "--layers=block4,pre_logits --baseline=none"
    ),
    "examples/finetune.py --saved_model=runs": "--epochs=1",
    "study.py --plan=configs/study/tasks.cfg": "--list",
    "study.py --plan=configs/study/scenes.cfg": "--list",
    "study.py --plan=configs/study/imagenet.cfg": "",
    "study.py --plan=PLAN": "--plan=configs/study/tasks.cfg",
    "study.py --report=runs/tasks": "",
    "study.py --report=runs/scenes": "",
    "-m tensorflow.python.tools.saved_model_cli show": "",
    "-m tensorflow.python.tools.saved_model_cli run": "",
}

# What is parsed by its program only, by how it begins, and why it is not run.
PARSED = {
    "train.py --flagfile=configs/imagenet/": "needs ImageNet and accelerators",
    "train.py --flagfile=configs/demo/": "takes minutes; configs/demo/run.sh is `make demo`",
    "eval.py --flagfile=configs/": "needs ImageNet, Places205 or the whole of scenes",
    "eval.py --saved_model=DIR --workdir=runs/sgd": "tests/evaluate runs that probe",
    "examples/finetune.py --saved_model=…": "the command of docs/exports.md is run",
    "-m data.prepare NAME": "tests/data/test_prepare.py runs it",
    "-m data.prepare imagenet2012": "tests/data/test_prepare.py runs it on archives in miniature",
    "-m data.prepare places205": "tests/data/test_prepare.py runs it on archives in miniature",
    "train.py --strategy=multi_worker": "two machines: tests/pretext/test_machines.py",
    "eval.py --strategy=multi_worker": "several machines: tests/evaluate/test_workers.py",
    "train.py … --profile": "named for its flag",
    "train.py --initial_weights=": "named for its flag",
    "train.py --monitor_every_epochs=": "named for its flag",
    "train.py --workdir=runs/mine": "tests/pretext/test_initial_weights.py runs it",
    "train.py --export_keras": "named for its flag",
    "train.py --augmentation=crop": "named for its flag",
    "-m tests.bad_inputs": "minutes; tests/test_bad_inputs.py runs a part",
    "eval.py --probe=sgd": "named for its flag",
    "eval.py --compare": "named for its flag, in front of directories",
    "-m benchmarks": "takes minutes, and some the peers of benchmarks/requirements.txt",
    "-m tests.soak": "takes minutes",
    "-m data.prepare scenes": "draws 12 000 images: tests/data/test_scenes.py draws some",
}


def cleaned(words: tuple[str, ...]) -> list[str]:
    """Without dots that stand for more, and the brackets of what may be left out."""
    return [word.strip("[]") for word in words if word not in ("…", "...")]


def as_python(words: tuple[str, ...]) -> list[str] | None:
    """A command's words behind `python`, or None if it is none of Python's."""
    if words[0] == "python":
        return list(words[1:])
    if words[0].endswith(".py"):
        return list(words)
    if words[0] == "saved_model_cli":
        return ["-m", "tensorflow.python.tools.saved_model_cli", *words[1:]]
    return None


def rule(table: dict[str, str], words: list[str]) -> str | None:
    """The first beginning of a table that a command has."""
    text = " ".join(words)
    return next((key for key in table if text == key or text.startswith(key)), None)


def all_commands() -> list[Written]:
    """Of all pages and comments, each once."""
    found = [command for page in PAGES for command in documented.commands(page)]
    found += [command for file in COMMENTED for command in documented.comment_commands(file)[0]]
    return list({command.words: command for command in found}.values())


def all_flags() -> list[Written]:
    """Of all pages and comments, each set of flags once."""
    found = [flags for page in PAGES for flags in documented.flags(page)]
    found += [flags for file in COMMENTED for flags in documented.comment_commands(file)[1]]
    return list({flags.words: flags for flags in found}.values())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> pathlib.Path:
    """A directory with the data that the pages speak of, in miniature."""
    root = tmp_path_factory.mktemp("first_hour")
    (root / "configs").symlink_to(ROOT / "configs")
    write_labelled_folder(root / "labelled_photos")
    shutil.copytree(root / "labelled_photos", root / "photos")
    shutil.copy(root / "photos" / "above" / "000.jpg", root / "photo.jpg")
    np.save(root / "images.npy", np.random.default_rng(0).random((2, 32, 32, 3), np.float32))
    write_cifar10(root / "tensorflow_datasets")
    for name in ("tasks", "scenes", "a", "b", "c", "a_probe", "b_probe"):
        (root / "runs").mkdir(exist_ok=True)
        probe = synthetic.probe(synthetic.network(root / "runs" / name), 0.5)
        if name not in ("tasks", "scenes"):
            shutil.copy(probe / "results.json", root / "runs" / name)
    return root


def write_cifar10(data_dir: pathlib.Path) -> None:
    """CIFAR-10 as TFDS prepares it, with 60 images."""
    with tfds.core.registered.skip_registration():

        class Cifar10(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("3.0.2")
            pkg_dir_path = pathlib.Path(__file__).parent

            def _info(self):
                features = {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(32, 32, 3)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=("image", "label"),
                )

            def _split_generators(self, dl_manager):
                return {"train": self._generate_examples(40), "test": self._generate_examples(20)}

            def _generate_examples(self, count):
                for number in range(count):
                    pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
                    yield number, {"id": f"{number}", "image": pixels, "label": number % 10}

    Cifar10(data_dir=data_dir).download_and_prepare()


def test_what_can_be_run_runs(place):
    commands = [
        (key, words)
        for key in RUN
        for command in all_commands()
        if (words := as_python(command.words)) and rule(RUN, words) == key
    ]
    small = [[*cleaned(tuple(words)), *RUN[key].split()] for key, words in commands]
    assert {key for key, _ in commands} == set(RUN), "a rule that no command follows"
    small.append(cifar_command(small[0]))
    for name in ("README.md", "docs/exports.md"):
        (code,) = documented.blocks((ROOT / name).read_text(), "python")
        script = f"import numpy\nimages = numpy.load('images.npy')\n{code}"
        (place / f"{pathlib.Path(name).stem}.py").write_text(script)
        small.append([f"{pathlib.Path(name).stem}.py"])
    for words, done in zip(small, forked.run(small, place), strict=True):
        assert done.status == 0, f"{' '.join(words)}\n{done.output[-3000:]}"
        assert "Traceback" not in done.output, f"{' '.join(words)}\n{done.output[-3000:]}"
    for left in ("rotation", "cifar10"):
        assert (place / "runs" / left / "saved_model" / "saved_model.pb").exists()
    for left in ("task.png", "runs/rotation/task.png", "runs/rotation/answers.png"):
        assert (place / left).read_bytes().startswith(b"\x89PNG")
    assert (place / "docs" / "study" / "index.html").exists()
    assert (place / "runs" / "rotation_explored" / "explore.html").exists()
    assert (place / "layers" / "pre_logits.npy").exists()


def cifar_command(pretraining: list[str]) -> list[str]:
    """The README's pretraining with what it says to add for CIFAR, of the README's network.

    It is built and exported, not trained.
    """
    (found,) = re.findall(
        r"`(--dataset=cifar10 --data_dir=DIR)`.*?: add `([^`]*)`",
        (ROOT / "README.md").read_text().replace("\n", " "),
    )
    without = ("--workdir", "--resize", "--crop", "--epochs", "--architecture=vgg")
    return [
        *(word for word in pretraining if not word.startswith(without)),
        *" ".join(found).replace("DIR", "tensorflow_datasets").split(),
        "--train_split=train",
        "--epochs=0",
        "--workdir=runs/cifar10",
    ]


def test_all_others_are_read_by_their_programs():
    lines: dict[str, list[tuple[Written, list[str]]]] = {}
    used = set()
    for command in all_commands():
        words = as_python(command.words)
        if words is None or rule(RUN, words):
            continue
        key = rule(PARSED, words)
        if words[:2] in (["-m", "pytest"], ["-m", "tests.parity"], ["-m", "tests.shortcuts"]):
            continue
        assert key, f"{command}: neither run nor read by a test"
        used.add(key)
        words = cleaned(tuple(words))
        if words[-1] == "--compare":
            words.append("directory")
        program = " ".join(words[:2]) if words[0] == "-m" else words[0]
        lines.setdefault(program, []).append((command, words[len(program.split()) :]))
    assert used == set(PARSED), "a rule that no command follows"
    # The scripts' own commands, as bash calls them.
    for script in ROOT.glob("configs/**/*.sh"):
        for words in commands_of_a_script(script):
            lines.setdefault(words[0], []).append((Written(script.name, tuple(words)), words[1:]))
    errors = forked.parse({name: [line for _, line in of] for name, of in lines.items()}, ROOT)
    wrong = [
        f"{command}: {error}"
        for name, of in lines.items()
        for (command, _), error in zip(of, errors[name], strict=True)
        if error
    ]
    assert not wrong, "\n".join(wrong)


def commands_of_a_script(script: pathlib.Path) -> list[list[str]]:
    """What a script calls Python with."""
    stub = 'python() { printf "%s\\\\0" "$@"; echo; }\ncd() { :; }\n'
    done = subprocess.run(
        ["bash", "-c", f"{stub} source {script}"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found = [line.split("\0")[:-1] for line in done.stdout.splitlines() if "\0" in line]
    assert found, f"{script} calls no program"
    return found


def test_flags_belong_to_a_program():
    plans = {f"--{name}" for name in plan.Grid.__annotations__} | {"--grid"}
    unknown = [
        written
        for written in all_flags()
        if not all(flag.partition("=")[0] in plans for flag in written.words)
    ]
    lines = [[with_values(flag) for flag in written.words] for written in unknown]
    errors = forked.parse(
        {
            program: [[*REQUIRED.get(program, []), *line] for line in lines]
            for program in PROGRAMS + BENCHMARKS
        },
        ROOT,
    )
    unknown = [
        written
        for place, written in enumerate(unknown)
        if not any(takes(errors[program][place], written.words) for program in errors)
    ]
    assert not unknown, "no program takes these:\n" + "\n".join(map(str, unknown))


# What examples/finetune.py does not begin without.
REQUIRED = {"examples/finetune.py": ["--saved_model=a", "--data=b"]}


def with_values(flag: str) -> str:
    """A flag with a value in the place of a placeholder that no parser would take."""
    for placeholder, value in VALUES.items():
        flag = re.sub(placeholder, value, flag)
    return flag


def takes(error: str, flags: tuple[str, ...]) -> bool:
    """Whether a program read the flags; one that stands without its value it only has to know."""
    named_only = len(flags) == 1 and "=" not in flags[0]
    return not error or (
        named_only and bool(re.search("Missing value for flag|expected .* argument", error))
    )


def test_no_flag_stands_outside_of_code():
    for page in PAGES:
        assert not documented.bare_flags(page), page


def test_other_commands():
    """Those of the shell and of other programs: what can be said of each without them."""
    for command in all_commands():
        words = list(command.words)
        if as_python(command.words) is not None:
            if words[1:3] == ["-m", "tests.parity"]:
                assert words[3] == "FILE" or list(ROOT.glob(words[3])), command
            elif words[1:3] == ["-m", "tests.shortcuts"]:
                assert len(words) == 3 or int(words[3]), command
        elif words[0] == "make":
            rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
            assert set(words[1:]) <= set(rules), command
        elif words[0] == "bash":
            assert pathlib.Path(words[1]) in [file.relative_to(ROOT) for file in COMMENTED], command
        elif words[0] == "pip":
            for word in words[2:]:
                if not word.startswith(("-", "/", ".")) and not (ROOT / word).exists():
                    check_requirement(word)
        elif words[0] == "export":
            assert json.loads(words[1].partition("=")[2])["task"]["type"] == "worker"
        elif words[0] == "curl":
            request = json.loads(words[-1])
            assert request["signature_name"].endswith("_bytes")
            assert list(request["instances"][0]) == ["b64"]
        else:
            assert words[0] in OTHERS, f"{command}: neither run nor read by a test"


# Of another's programs that are not here, or of the shell: the blocks' syntax is looked at.
OTHERS = ("gcloud", "git", "cd", "grep", "sed", "sh", "xargs", "tensorboard", "source")


def check_requirement(text: str) -> None:
    """A package to install, with extras that it has if it is here."""
    requirement = Requirement(text)
    try:
        metadata = importlib.metadata.metadata(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return
    assert requirement.extras <= set(metadata.get_all("Provides-Extra", []))


def test_blocks_are_right():
    for page in PAGES:
        text = page.read_text()
        for block in documented.blocks(text, "bash"):
            done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
            assert done.returncode == 0, f"{page}: {done.stderr}"
        for block in documented.blocks(text, "python"):
            compile(block, str(page), "exec")
    known = {"bash", "python", ""}
    languages = {
        found for page in PAGES for found in re.findall(r"^```(\w+)$", page.read_text(), re.M)
    }
    assert languages <= known


def test_example_files_of_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    grid, rates, csv = documented.blocks((ROOT / "docs" / "study.md").read_text(), "")
    for lines in (grid, f"{grid}\n{rates}"):
        (tmp_path / "plan.cfg").write_text(lines)
        assert len(plan.jobs(plan.read(str(tmp_path / "plan.cfg")))) == 2 * 2 * 2 * 3
    (tmp_path / "measured.csv").write_text(csv)
    assert estimate.read_images_per_second(str(tmp_path / "measured.csv"))
