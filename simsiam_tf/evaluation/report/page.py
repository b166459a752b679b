"""Renders the pages of reports, and writes them without harm to other files."""

import datetime
import logging
import pathlib
from typing import Any

import jinja2

import simsiam_tf
from simsiam_tf.config.messages import RESULT
from simsiam_tf.errors import UsageError
from simsiam_tf.files import check_output, exists, is_file, is_folder, read_regular, user_path, write_text

_log = logging.getLogger(__name__)

_GENERATOR = "simsiam_tf"


def report_path(out: str, root: pathlib.Path) -> pathlib.Path:
    """Returns the path of a report, once it is known that the page can be written there.

    Args:
        out: the path that the user gave; if empty, `report.html` in the folder of the run.
        root: the folder of the run.

    Raises:
        UsageError: if the path is a folder, holds a file that is not a report, or cannot be written.
    """
    path = user_path(out) if out else root / "report.html"
    check_report_path(path)
    return path


def check_report_path(out: pathlib.Path) -> None:
    """Checks that a report can be written to a path.

    Args:
        out: the path of the page.

    Raises:
        UsageError: if the path is a folder, holds a file that is not a report, or cannot be written.
    """
    if is_folder(out):
        raise UsageError(f"--out must be a file. Received: the folder {out}.")
    check_output(out)
    if exists(out) and not (is_file(out) and f'name="generator" content="{_GENERATOR}' in _beginning(out)):
        raise UsageError(
            "The path holds a file that is not a report of simsiam_tf; move it away or give another --out. "
            f"Received: {out}."
        )


def _beginning(path: pathlib.Path) -> str:
    return read_regular(path)[:4000].decode(errors="replace")[:2000]


def render(template: str, **values: Any) -> str:
    """Renders a page as HTML, with the program and the date in its head.

    Args:
        template: the name of a template in this folder that extends base.html.j2.
        **values: the values that the template shows. All of them are text, unless the template says otherwise.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(
        generator=f"{_GENERATOR} {simsiam_tf.__version__}",
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        **values,
    )


def write_page(out: pathlib.Path, page: str, names: str) -> None:
    """Writes a page, and says so.

    Args:
        out: the path of the page, from `report_path`.
        page: the page as HTML.
        names: what the page is about, for the message.
    """
    write_text(out, page.encode("utf-8", "backslashreplace").decode())  # file names need not be valid UTF-8
    _log.log(RESULT, f"Wrote {out} ({len(page) / 2**20:.1f} MiB): {names}.")
