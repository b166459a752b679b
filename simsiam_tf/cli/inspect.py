"""Looks at a data set before training: `python -m simsiam_tf.cli.inspect --dataset=folder --data_dir=DIR --out=OUT`.

It says what is left out and why, sizes and values, duplicates, and which images are odd. The pixels of a sample are
read (--sample), and the headers of all images of a folder. It takes the flags of train.py, and looks at the images that
such a run would use.
"""

import json
import logging
import pathlib

import simsiam_tf
from simsiam_tf.cli.console import leave_stdout_to_data
from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_inspect_flags, inspect_config
from simsiam_tf.cli.quiet import load_tensorflow_for, loading_tensorflow
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import (
    check_output,
    exists,
    expand_several,
    is_below,
    printable,
    replacing_folder,
    user_path,
    write_json,
    write_text,
)
from simsiam_tf.inspection.contact_sheet import contact_sheet, tiles_of
from simsiam_tf.inspection.findings import Findings
from simsiam_tf.inspection.inspect import inspect
from simsiam_tf.inspection.page import page_of
from simsiam_tf.inspection.splits import Split
from simsiam_tf.inspection.text import described, lines_of

_log = logging.getLogger("simsiam_tf.cli.inspect")  # __name__ is "__main__" where the command is run

_GENERATOR = f"simsiam_tf {simsiam_tf.__version__}"
# Pairs of images in two splits that a warning names; the findings have all.
_NAMED = 5


def main() -> None:
    """Runs the command."""
    run(define_inspect_flags, inspect_images, __doc__)


def inspect_images() -> None:
    """Inspects the data set that the flags name, and prints and writes what was found."""
    config, data = inspect_config()
    if config.json:
        leave_stdout_to_data()
    out = _free_path(config.out, data) if config.out else None
    if data.dataset != "folder":
        with loading_tensorflow():
            import tensorflow  # noqa: F401
    if data.dataset == "folder":
        _log.info(f"Looking for the images below {printable(data.data_dir or data.file_list)}.")
    findings, splits = inspect(DataSet(data), config)
    if config.json:
        print(json.dumps(findings.as_json(), indent=2, allow_nan=False))
    else:
        for line in lines_of(findings, config.max_names):
            _log.log(RESULT, line)
    _warn(findings)
    if out is not None:
        written = _write(out, findings, splits, config, data)
        _log.log(RESULT, f"Wrote {', '.join(written)} into {printable(str(out))}.")


def _free_path(name: str, data: DataConfig) -> pathlib.Path:
    """Returns the path of --out, at which nothing exists, and which is not among the images.

    Raises:
        UsageError: if it exists, is among the images, or cannot be written.
    """
    out = user_path(name)
    load_tensorflow_for(name)
    among = [root for root in expand_several(data.data_dir) if is_below(str(out), root)]
    check(
        data.dataset != "folder" or not among,
        "--out must not be below --data_dir, or a later run would train on its pictures.",
        printable(str(out)),
    )
    if exists(out):
        raise UsageError(
            "--out exists and is not overwritten; move it away or name another folder. "
            f"Received: {printable(str(out))}."
        )
    check_output(out)
    return out


def _warn(findings: Findings) -> None:
    """Warns of images that are in the evaluation split and in another, and of what must be decided."""
    for what, groups in (("equal", findings.identical_between), ("nearly equal", findings.near_between)):
        if groups:
            named = "; ".join(described(group, _NAMED) for group in groups[:_NAMED])
            more = f"; and {len(groups) - _NAMED:,} more groups" if len(groups) > _NAMED else ""
            _log.warning(printable(f"Images to evaluate on are {what} to images of another split: {named}{more}."))
    for question in findings.questions:
        _log.warning(printable(question))


def _write(
    out: pathlib.Path, findings: Findings, splits: list[Split], config: InspectConfig, data: DataConfig
) -> list[str]:
    """Writes the findings into a new folder, and returns the names of the files."""
    tiles = tiles_of(findings.odd, splits)
    given = {**data.values(), **config.values()}
    defaults = {setting.name: setting.default for group in (data, config) for setting in group.settings()}
    command = " ".join(f"--{name}={value}" for name, value in given.items() if value != defaults[name])
    with replacing_folder(out) as draft:
        write_text(draft / "inspect.html", page_of(findings, tiles, command, _GENERATOR))
        write_text(draft / "inspect.txt", "".join(f"{line}\n" for line in lines_of(findings)))
        write_json(draft / "inspect.json", findings.as_json())
        if tiles:
            contact_sheet(tiles).save(draft / "odd.png", "PNG")
        return sorted(path.name for path in draft.iterdir())


if __name__ == "__main__":
    main()
