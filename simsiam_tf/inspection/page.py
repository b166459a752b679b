"""Writes the findings of an inspection as one HTML page, which asks no other host."""

import datetime
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from simsiam_tf.files import printable
from simsiam_tf.inspection.contact_sheet import Tile
from simsiam_tf.inspection.findings import Findings, Group, Odd
from simsiam_tf.inspection.text import described, reason_in_words

# Browsers are slow with more lines; inspect.json beside the page has all names.
_MOST_LINES = 2000
_MOST_NAMES = 50


def page_of(findings: Findings, tiles: Sequence[Tile], command: str, generator: str) -> str:
    """Renders the page as HTML.

    Args:
        findings: the findings.
        tiles: small pictures of the odd images.
        command: the settings that the findings are about, for the head of the page.
        generator: the name and version of the program.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_in_a_line,
    )
    return environment.get_template("inspect.html.j2").render(
        title=f"Inspection of {findings.splits[0].name}",
        generator=generator,
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        command=command,
        findings=findings,
        left_out=[_list(reason_in_words(kind), names) for kind, names in findings.left_out.items()],
        warnings=[
            _groups("Equal images in an evaluation split and another", findings.identical_between),
            _groups("Near-duplicates in an evaluation split and another", findings.near_between),
        ],
        duplicates=[
            *(_groups(f"Equal {role} images", groups) for role, groups in findings.identical.items()),
            *(_groups(f"Near-duplicates among the {role} images", groups) for role, groups in findings.near.items()),
        ],
        odd=[_odd(kind, odd, tiles) for kind, odd in findings.odd.items()],
    )


def _in_a_line(value: Any) -> Any:
    """Returns a text with escapes for control characters and bytes that are not UTF-8; other values as they are."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _list(title: str, lines: Sequence[str]) -> dict[str, Any]:
    return {"title": title, "count": len(lines), "lines": lines[:_MOST_LINES]}


def _groups(title: str, groups: Sequence[Group]) -> dict[str, Any]:
    shown = _list(title, [described(group, _MOST_NAMES) for group in groups[:_MOST_LINES]])
    return shown | {"count": len(groups)}


def _odd(kind: str, odd: Sequence[Odd], tiles: Sequence[Tile]) -> Mapping[str, Any]:
    pictures = [
        {"src": tile.data_uri, "title": f"{tile.odd.name} ({tile.odd.why})", "name": tile.odd.name}
        for tile in tiles
        if tile.kind == kind
    ]
    return _list(kind, [f"{one.role}: {one.name} ({one.why})" for one in odd[:_MOST_LINES]]) | {
        "count": len(odd),
        "pictures": pictures,
    }
