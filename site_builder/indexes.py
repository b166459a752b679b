"""Writes the lists of the decisions and of the results, and the page of the rooms, from the files that they list."""

import pathlib
import re

from site_builder.places import DOCS, PAGES_OUTSIDE_DOCS, ROOT

_INTRODUCTIONS = {
    "decisions": "# Decisions\n\nWhy the project is as it is: each page is one decision, with its reasons.\n",
    "results": (
        "# Results\n\nWhat was measured. Each page names the command, the kind of machine, the date and the commit.\n"
    ),
}


def title_of(path: pathlib.Path) -> str:
    """Returns the first heading of a Markdown file."""
    return re.search(r"^# (.+)$", path.read_text(), re.M)[1].strip()  # type: ignore[index]


def pages_in(folder: str) -> list[pathlib.Path]:
    """Returns the Markdown files of a folder of docs/, in the order of their names."""
    return sorted((DOCS / folder).glob("*.md"))


def index_page(folder: str) -> str:
    """Returns a page that lists the pages of a folder of docs/, as Markdown."""
    rows = "".join(f"- [{title_of(path)}]({path.name})\n" for path in pages_in(folder))
    return f"{_INTRODUCTIONS[folder]}\n{rows}"


def rooms_page() -> str:
    """Returns a page that lists what the rooms of the package say of themselves, as Markdown."""
    text = "# The rooms of the package\n\nA room is a folder of `simsiam_tf` with one subject ([why](../decisions/"
    text += "0011-rooms.md)). These have a page of their own:\n\n| folder | page |\n|---|---|\n"
    for path, page in PAGES_OUTSIDE_DOCS.items():
        if page.startswith("rooms/"):
            text += f"| `{pathlib.PurePosixPath(path).parent}` | [{title_of(ROOT / path)}]({page.split('/')[1]}) |\n"
    return text
