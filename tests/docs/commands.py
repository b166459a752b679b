"""Finds the shell commands of the pages, and what each page says of them."""

import dataclasses
import pathlib
import re
import shlex

from tests.conftest import ROOT

# Records of what was done (docs/results, docs/decisions) are left out.
_AT_THE_TOP = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "launch" / "README.md")
PAGES = sorted([*_AT_THE_TOP, *ROOT.glob("docs/*.md"), *ROOT.glob("docs/adding/*.md")])
_PROGRAMS = "python|make|pip|srun|sbatch|kubectl|docker|gcloud|launch/\\S+|simsiam-\\w+|shellcheck|git"
_BEGINS = re.compile(rf"^(?:\w+='[^']*' |\w+=\S+ )*(?:{_PROGRAMS})(?= )")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_NEEDS = re.compile(r"^(?:<!-- needs: (.+) -->|needs: (.+))$")


@dataclasses.dataclass(frozen=True)
class Command:
    """Holds a command as a page shows it.

    Attributes:
        page: the path of the page, relative to the root.
        text: the command on one line, without variables of the environment before it and without a comment.
        needs: what the page says that it needs; empty if nothing.
    """

    page: str
    text: str
    needs: str

    @property
    def words(self) -> list[str]:
        """Returns the words of the command, as a shell splits them."""
        return shlex.split(self.text)

    @property
    def program(self) -> str:
        """Returns what is run: `train.py`, `simsiam_tf.cli.doctor`, `simsiam-train`, `make`, ..."""
        if self.words[0] != "python":
            return self.words[0]
        return self.words[2] if self.words[1] == "-m" else self.words[1]

    @property
    def arguments(self) -> list[str]:
        """Returns the arguments of what is run."""
        first = {"python": 2}.get(self.words[0], 1)
        return self.words[first + (self.words[:2] == ["python", "-m"]) :]


def commands_of(page: pathlib.Path) -> list[Command]:
    """Returns the commands of a page: of its blocks without a language, and of the cells of its tables."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    found = []
    for block in _BLOCK.finditer(text):
        if block[1] in ("", "bash", "sh"):
            before, after = text[: block.start()].rstrip().rpartition("\n")[2], text[block.end() :].lstrip("\n")
            marks = [_NEEDS.match(before), _NEEDS.match(after.partition("\n")[0])]
            needs = next((mark[1] or mark[2] for mark in marks if mark), "")
            lines = re.sub(r"\\\n\s*", "", block[2]).splitlines()
            found += [Command(name, _plain(line), needs) for line in lines if _BEGINS.match(line)]
    for row in re.findall(r"^\|.*$", _BLOCK.sub("", text), re.M):
        cells = re.findall(r"`([^`]+)`", row)
        mark = re.search(r"needs: ([^|]+?) *\|", row)
        found += [Command(name, _plain(cell), mark[1] if mark else "") for cell in cells if _BEGINS.match(cell)]
    return found


def _plain(line: str) -> str:
    line = re.sub(r"\s+#.*$", "", line.strip())
    return re.sub(r"^(?:\w+='[^']*' +|\w+=\S+ +)*", "", line)
