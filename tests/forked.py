"""Many programs in processes that fork from one in which TensorFlow is imported already.

Importing it takes longer than most of what a test wants of a program.
"""

import argparse
import ast
import dataclasses
import importlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Done:
    """The exit status of a program, and all that it wrote."""

    status: int
    output: str


def run(commands: list[list[str]], directory: pathlib.Path) -> list[Done]:
    """Runs `python` commands, one after the other, in a directory.

    Each begins with a program of the project, a file in the directory, or `-m` and a module.
    """
    return [Done(**done) for done in _serve([{"words": words} for words in commands], directory)]


def parse(command_lines: dict[str, list[list[str]]], directory: pathlib.Path) -> dict:
    """Has each program's own parser read command lines: their errors, or `""`, by program."""
    jobs = [{"words": name.split(), "parse": lines} for name, lines in command_lines.items()]
    errors = {}
    for (name, lines), done in zip(command_lines.items(), _serve(jobs, directory), strict=True):
        last = done["output"].splitlines()[-1:]
        assert "".join(last).startswith("["), f"{name} did not come to its flags: {done}"
        errors[name] = json.loads(last[0])
        assert len(errors[name]) == len(lines)
    return errors


def _serve(jobs: list[dict], directory: pathlib.Path) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.forked"],
        input=json.dumps({"directory": str(directory), "jobs": jobs}),
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---------------------------------------------------------------- in the process that forks


def _main() -> None:
    request = json.load(sys.stdin)
    _import_what_programs_import()
    results = []
    for job in request["jobs"]:
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if not child:
                _become(job, request["directory"], output.fileno())
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            results.append({"status": status, "output": output.read()})
    json.dump(results, sys.stdout)


def _import_what_programs_import() -> None:
    from training import quiet  # noqa: F401 (before anything that imports TensorFlow)

    for program in ("train.py", "eval.py", "explore.py", "study.py"):
        for node in ast.parse((ROOT / program).read_text()).body:
            if isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)
            elif isinstance(node, ast.ImportFrom):
                exec(compile(ast.Module([node], []), program, "exec"), {})
    from tests import graphs

    graphs.leave_unoptimised()


def _become(job: dict, directory: str, output: int) -> None:
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin.close()
    status = 1
    try:
        os.chdir(directory)
        if "parse" in job:
            _only_parse(job["parse"])
        _run_python(job["words"])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_python(words: list[str]) -> None:
    if words[0] == "-m":
        sys.argv = [words[1], *words[2:]]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        path = ROOT / words[0] if (ROOT / words[0]).exists() else pathlib.Path(words[0])
        runpy.run_path(str(path), run_name="__main__")


def _only_parse(command_lines: list[list[str]]) -> None:
    """Where a program hands its command line to its parser, the parser gets these instead."""
    from absl import app, flags

    def absl_run(*_: object, **__: object) -> None:
        _end_with_errors(_absl_error(flags.FLAGS, line) for line in command_lines)

    def argparse_run(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        def error(message: str) -> None:
            raise ValueError(message)

        self.error = error
        _end_with_errors(_argparse_error(self, line) for line in command_lines)

    app.run = absl_run
    argparse.ArgumentParser.parse_args = argparse_run


def _end_with_errors(errors: object) -> None:
    print(json.dumps(list(errors)), flush=True)
    os._exit(0)


def _absl_error(values: object, line: list[str]) -> str:
    values.unparse_flags()
    for name in values:
        values[name].unparse()
    try:
        values(["program", *line])
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def _argparse_error(parser: argparse.ArgumentParser, line: list[str]) -> str:
    try:
        unknown = parser.parse_known_args(line)[1]
    except (ValueError, SystemExit) as error:
        return str(error)
    return f"unrecognized arguments: {' '.join(unknown)}" if unknown else ""


if __name__ == "__main__":
    _main()
