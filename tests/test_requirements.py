"""What the project says that it needs, against what it imports and what was tested."""

import ast
import importlib.metadata
import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from setuptools import find_packages

ROOT = pathlib.Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
(PROMISED,) = re.findall(r'requires-python = "(.*)"', PYPROJECT)
PYTHONS = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in SpecifierSet(PROMISED)]
# Distributions whose modules have other names.
DISTRIBUTIONS = {"absl": "absl-py", "PIL": "pillow", "grpc": "grpcio", "sklearn": "scikit-learn"}


def requirements(name: str) -> list[Requirement]:
    """Those of a list, and of the lists that it includes."""
    found = []
    for line in (ROOT / name).read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            found += requirements(line.removeprefix("-r "))
        elif line:
            found.append(Requirement(line))
    return found


def names(found: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in found}


def imported(folders: list[str]) -> dict[str, str]:
    """Distributions that Python files import from elsewhere, each with one of the files."""
    own = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    found = {}
    for folder in folders:
        path = ROOT / folder
        for file in [path] if path.suffix else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                modules = (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )
                if isinstance(node, ast.ImportFrom) and not node.level:
                    modules = [node.module]
                for module in {module.split(".")[0] for module in modules}:
                    if module not in sys.stdlib_module_names and module not in own:
                        name = canonicalize_name(DISTRIBUTIONS.get(module, module))
                        found[name] = str(file.relative_to(ROOT))
    return found


def rooms() -> list[str]:
    """The packages that an installation has, as pyproject.toml finds them."""
    (exclude,) = re.findall(r"^exclude = (\[.*\])$", PYPROJECT, re.M)
    return find_packages(str(ROOT), exclude=ast.literal_eval(exclude))


def test_an_installation_has_the_rooms_and_nothing_else():
    tops = {room.split(".")[0] for room in rooms()}
    others = {"tests", "benchmarks", "examples", "configs", "docs", "constraints"}
    assert not tops & others
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert tops == packages - others
    assert "data.places205" in rooms()


def test_what_is_imported_is_required():
    programs = ["train.py", "eval.py", "explore.py", "study.py"]
    tops = sorted({room.split(".")[0] for room in rooms()})
    for folders, lists in (
        ([*tops, *programs, "examples"], ["requirements.txt"]),
        (["tests", "benchmarks"], ["requirements-dev.txt", "benchmarks/requirements.txt"]),
    ):
        required = names([one for name in lists for one in requirements(name)])
        missing = {name: file for name, file in imported(folders).items() if name not in required}
        assert not missing


def test_next_major_versions_are_excluded():
    for requirement in requirements("requirements.txt"):
        if requirement.name not in ("importlib-resources", "pillow"):  # Major versions by the year.
            assert any(one.operator == "<" for one in requirement.specifier), requirement


def test_nothing_but_tensorflow_brings_tensorflow():
    """On a Cloud TPU VM what is installed must not replace the machine's own."""
    waiting = [one for one in requirements("requirements.txt") if one.name != "tensorflow"]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        assert name not in ("tensorflow", "tf-keras", "tensorflow-cpu"), "brought by another one"
        if name in seen:
            continue
        seen.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # Not for this system.
        for one in map(Requirement, lines):
            extras = [*requirement.extras, ""]
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(one)
    assert "keras" in seen


def test_every_promised_python_has_its_constraints():
    assert sorted(path.name for path in (ROOT / "constraints").iterdir()) == [
        f"python{version}.txt" for version in PYTHONS
    ]


@pytest.mark.parametrize("version", PYTHONS)
def test_constraints_are_versions_that_the_lists_allow(version):
    lines = (ROOT / "constraints" / f"python{version}.txt").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    versions = {
        canonicalize_name(name): text for name, text in (line.split("==") for line in lines)
    }
    for requirement in requirements("requirements-dev.txt"):
        environment = {"python_version": version, "python_full_version": f"{version}.0"}
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        name = canonicalize_name(requirement.name)
        if name == "setuptools" and name not in versions:  # Python 3.10 and 3.11 bring it.
            continue
        assert versions[name] in requirement.specifier, requirement
