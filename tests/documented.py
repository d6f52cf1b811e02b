"""The commands and flags that pages and comments name."""

import dataclasses
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parents[1]
SPAN = re.compile(r"`([^`]+)`")
FLAG = re.compile(r"--[a-z][a-z0-9_-]*(?:=[^\s;]*[^\s;.,:])?")
# What spans and comments begin commands with; other spans are names and files.
BEGINNINGS = ("python", "bash", "make", "pip", "train.py", "eval.py", "explore.py", "study.py")


@dataclasses.dataclass(frozen=True)
class Written:
    """A command's words, or one flag, and the page that it stands on."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def pages() -> list[pathlib.Path]:
    """The README, the other pages that people read, and the tests' page."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "docs" / "study" / "index.md",
        ROOT / "tests" / "README.md",
    ]


def blocks(page: str, language: str) -> list[str]:
    """A page's fenced blocks in a language (`""`: that name none)."""
    return [
        text
        for found, text in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.M | re.S)
        if found == language
    ]


def commands(page: pathlib.Path) -> list[Written]:
    """All commands of a page: of its blocks, its indented lines and its code spans."""
    text = page.read_text()
    name = str(page.relative_to(ROOT))
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    lines = [*blocks(text, "bash"), *re.findall(r"^    (python .*)$", prose, re.M)]
    found = [words for line in lines for words in simple_commands(line)]
    for span in SPAN.findall(prose):
        if begins(span) and len(span.split()) > 1:
            found += simple_commands(" ".join(span.split()))
    return [Written(name, tuple(words)) for words in found]


def flags(page: pathlib.Path) -> list[Written]:
    """The flags of a page's code spans that are no commands; spans of several stay together."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    name = str(page.relative_to(ROOT))
    return [
        Written(name, tuple(FLAG.findall(span)))
        for span in SPAN.findall(prose)
        if FLAG.search(span) and not begins(span)
    ]


def bare_flags(page: pathlib.Path) -> list[str]:
    """Flags in a page's prose that are not marked as code, which no test would see."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    text = re.sub(r"^    .*$", "", text, flags=re.M)
    return re.findall(r"(?<![-:|])--[a-z]\w+", SPAN.sub("", text))


def comment_commands(file: pathlib.Path) -> tuple[list[Written], list[Written]]:
    """The commands in a flag file's or script's comments, and the flags beside them."""
    name = str(file.relative_to(ROOT))
    comment = "\n".join(
        line[1:].strip() for line in file.read_text().splitlines() if line.startswith("#")
    ).replace("\\\n", " ")
    found, rest = [], []
    for line in comment.splitlines():
        command = re.search(r"\bpython (?:\S+\.py|-m \S+).*", line)
        if command:
            text = re.split(r" \(|&$", command.group())[0]
            found += simple_commands(text.rstrip("."))
        rest += FLAG.findall(line[: command.start()] if command else line)
    return (
        [Written(name, tuple(words)) for words in found],
        [Written(name, (flag,)) for flag in rest],
    )


def begins(span: str) -> bool:
    """Whether a code span is a command."""
    words = [word for word in span.split() if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    return bool(words) and words[0] in BEGINNINGS


def simple_commands(text: str) -> list[list[str]]:
    """The words of every command of a shell text: without comments, redirections and settings."""
    found = []
    for line in whole_lines(text):
        words: list[str] = []
        tokens = iter(split(line))
        for token in tokens:
            if set(token) <= set("<>"):
                next(tokens)
            elif set(token) <= set("&|;"):
                found.append(words)
                words = []
            elif words or not re.fullmatch(r"[A-Z_]+=.*", token, re.S):
                words.append(token)
        found.append(words)
    return [words for words in found if words]


def split(line: str) -> list[str]:
    """A shell line's words and operators, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="<>&|;")
    lexer.whitespace_split = True
    return list(lexer)


def whole_lines(text: str) -> list[str]:
    """Lines joined where they end in a backslash or within quotes."""
    found = []
    begun = ""
    for line in text.replace("\\\n", " ").splitlines():
        begun = f"{begun}\n{line}" if begun else line
        try:
            split(begun)
        except ValueError:
            continue
        found.append(begun)
        begun = ""
    if begun:
        raise ValueError(f"a quotation that does not end: {begun}")
    return found
