"""Options: from fields to flags and back, and what is refused."""

import dataclasses

import pytest
from absl import flags

from pretext import TASKS, recipes
from training import command_line, options
from training.options import option


@dataclasses.dataclass(frozen=True)
class Example:
    """One flag of each kind."""

    example_text: str | None = option(None, "A text.", may_differ=True)
    example_count: int = option(3, "A whole number.", minimum=1, maximum=9, auto=True)
    example_share: float = option(0.5, "A number.", minimum=0, only_for=("jigsaw",))
    example_list: tuple[str, ...] = option(("a", "b"), "A list.", check=tuple)
    example_choice: str = option("left", "One of two.", choices=("left", "right"))
    example_switch: bool = option(False, "A switch.", only_for=("jigsaw", "exemplar"))
    filled_in: int = 7


@pytest.fixture(autouse=True)
def _parsed():
    before = set(flags.FLAGS)
    options.define(Example)
    yield
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


def parse(*arguments: str) -> Example:
    command_line.parse(["program", *arguments])
    return options.read(Example, {"example_count": 5}, filled_in=8)


def test_defaults_and_what_is_given():
    assert parse() == Example(example_count=5, filled_in=8)
    given = parse(
        "--example_text=x",
        "--example_count=9",
        "--example_share=1e-3",
        "--example_list=c, d",
        "--example_choice=right",
        "--example_switch",
    )
    assert given == Example("x", 9, 1e-3, ("c", "d"), "right", True, 8)
    assert options.texts(given) == {
        "example_text": "x",
        "example_count": "9",
        "example_share": "0.001",
        "example_list": "c,d",
        "example_choice": "right",
        "example_switch": "True",
    }
    # What was read can be given again.
    lines = [f"--{name}={text}" for name, text in options.texts(given).items()]
    assert parse(*lines) == given


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--example_count=0", "--example_count=0: use a whole number from 1 to 9, or auto"),
        ("--example_count=1e3", "use a whole number from 1 to 9"),
        ("--example_count=", "use a whole number from 1 to 9"),
        ("--example_count=" + "9" * 5000, "use a whole number from 1 to 9"),
        ("--example_share=nan", "--example_share=nan: use a number of at least 0"),
        ("--example_share=inf", "use a number of at least 0"),
        ("--example_share=auto", "use a number of at least 0"),
        ("--example_choice=up", "--example_choice=up: value should be one of <left|right>"),
        ("--example_text=a\nb", "leave out the line break"),
        ("--example_switch=perhaps", "--example_switch=perhaps: "),
        ("--exampel_list=a", "Did you mean: example_list"),
    ],
)
def test_one_line_for_what_is_out_of_range(argument, message):
    with pytest.raises(ValueError, match=r"^.+$") as error:
        parse(argument)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_flags_that_say_nothing_to_a_task_are_named_and_may_change():
    parse("--example_share=0.7", "--example_switch", "--example_text=x")
    assert options.inapplicable(Example, chosen="rotation") == ["example_share", "example_switch"]
    assert options.inapplicable(Example, chosen="exemplar") == ["example_share"]
    assert options.inapplicable(Example, chosen="jigsaw") == []
    assert options.may_differ(Example, chosen="jigsaw") == ("example_text",)
    assert options.may_differ(Example, chosen="exemplar") == ("example_text", "example_share")
    # A complete flag file of a run holds the defaults of all tasks.
    parse("--example_share=0.5", "--noexample_switch")
    assert options.inapplicable(Example, chosen="rotation") == []


def test_flag_files_that_would_never_end_are_refused(tmp_path):
    for path in ("/dev/zero", str(tmp_path)):
        with pytest.raises(ValueError, match="is not a file of flags"):
            command_line.parse(["program", f"--flagfile={path}"])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="binary is not a text file"):
        command_line.parse(["program", "--flagfile", str(tmp_path / "binary")])
    (tmp_path / "loop").write_text(f"--flagfile={tmp_path}/loop\n")
    with pytest.raises(ValueError, match="loop includes itself"):
        command_line.parse(["program", f"--flagfile={tmp_path}/loop"])
    with pytest.raises(ValueError, match="nowhere"):
        command_line.parse(["program", "--flagfile=nowhere"])


def test_every_task_has_a_recipe_that_keeps_its_proportions():
    assert set(recipes.RECIPES) == set(TASKS)
    paper = recipes.values("jigsaw", 35)
    assert (paper["resize_size"], paper["crop_size"], paper["batch_size"]) == (292, 255, 1024)
    assert (paper["decay_epochs"], paper["warmup_epochs"]) == ((15, 25), 5)
    short = recipes.values("rotation", 7)
    assert (short["decay_epochs"], short["warmup_epochs"]) == ((3, 5), 1)
    assert recipes.values("supervised", 90)["decay_epochs"] == (30, 60, 80)
    assert recipes.values("rotation", 0)["decay_epochs"] == (0, 0)
