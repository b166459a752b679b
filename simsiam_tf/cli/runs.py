"""Lists, compares and shows runs of train.py and transfer.py.

python -m simsiam_tf.cli.runs list runs                  a table of the runs in a folder
python -m simsiam_tf.cli.runs compare runs/a runs/b      the settings in which runs differ, and their results
python -m simsiam_tf.cli.runs show runs/a                the results of a run, and the places of its files
python -m simsiam_tf.cli.runs show runs/a runs/b         one report of several runs, as an HTML file

Each folder is that of a run, or one that holds runs, at most four levels below it. Only 'show' writes a file, its
report.
"""

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Sequence

from simsiam_tf.cli.console import leave_stdout_to_data
from simsiam_tf.cli.entry_point import run_with_words
from simsiam_tf.cli.flags import define_group, parsed_group
from simsiam_tf.cli.quiet import load_tensorflow_for, loading_tensorflow
from simsiam_tf.cli.show import show_run
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EvaluationConfig, ImagesConfig, TaskConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.runs import RunsConfig
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_in_bucket, user_path
from simsiam_tf.runs import differences, table
from simsiam_tf.runs.columns import columns_of
from simsiam_tf.runs.finding import Found, find_runs
from simsiam_tf.runs.known_run import KnownRun
from simsiam_tf.runs.text import compared

_log = logging.getLogger("simsiam_tf.cli.runs")  # __name__ is "__main__" where the command is run

_WORDS = ("list", "compare", "show")
# The report of several runs. The name differs from that of a run's own report, which it must not replace.
_REPORT = "comparison.html"


def main() -> None:
    """Runs the command."""
    run_with_words(lambda: define_group(RunsConfig), work, __doc__)


def work(words: Sequence[str]) -> None:
    """Does what the first word says with the runs in the folders that the others name."""
    what, folders, config = words[0] if words else "none", words[1:], parsed_group(RunsConfig)
    check(what in _WORDS, f"The first word must be one of {', '.join(_WORDS)}.", what)
    check(bool(folders), f"{what} needs the folder of a run, or one that holds runs.", "none")
    check(not config.out or what == "show", "--out goes with show, which writes a report.", what)
    check(not config.json or what != "show", "--json goes with list and compare.", what)
    if config.json:
        leave_stdout_to_data()
    for folder in folders:
        load_tensorflow_for(folder)
    found = find_runs(folders)
    if what == "list":
        _list(found, config)
        return
    _refuse_what_was_named(found, folders)
    if what == "compare":
        _compare(found, config)
    else:
        _show(found, config.out)


def _list(found: Found, config: RunsConfig) -> None:
    """Prints the table of runs."""
    runs = table.sorted_runs(found.runs, config.sort)
    if config.json:
        print(json.dumps(table.as_json(found, runs), indent=2, allow_nan=False))
        return
    headings, rows = table.rows_of(runs)
    for line in [*(columns_of(rows, headings) if rows else []), *table.remarks(found)]:
        _log.log(RESULT, line)


def _refuse_what_was_named(found: Found, folders: Sequence[str]) -> None:
    """Raises a UsageError if a folder that the user named cannot be opened, and warns of what was found below one."""
    named = {str(user_path(folder)) for folder in folders}
    for path, reason in found.refused:
        if str(path) in named:
            raise UsageError(reason)
    for line in table.remarks(found)[1:]:
        _log.warning(line)


def _compare(found: Found, config: RunsConfig) -> None:
    """Prints the differences between the runs, and their results."""
    check(len(found.runs) > 1, "compare needs two runs or more.", f"{len(found.runs)} in these folders")
    if config.json:
        content = table.without_broken_characters(differences.as_json(found.runs))
        print(json.dumps(content, indent=2, allow_nan=False))
        return
    for line in compared(found.runs):
        _log.log(RESULT, line)


def _show(found: Found, out: str) -> None:
    """Prints the results of one run; of several, or if a path is given, writes a report."""
    runs = found.runs
    check(bool(runs), "show needs a run.", "folders without one")
    if len(runs) == 1 and not out:
        show_run(str(runs[0].root))
        return
    of_transfer = [run.root for run in runs if run.is_transfer]
    rule = "A report of several runs is of train.py alone; a run of transfer.py has a report of its own."
    check(not of_transfer or len(runs) == 1, rule, of_transfer and of_transfer[0])
    out = out or str(_common_folder(runs) / _REPORT)
    # As in evaluate.py: by default TensorFlow does not use oneDNN on a CPU without AVX-512.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with loading_tensorflow():
        from simsiam_tf.evaluation.evaluate import evaluate

    options = EvaluationConfig(task=TaskConfig(protocol=("report",)))
    options = dataclasses.replace(options, images=ImagesConfig(out=out))
    evaluate([str(run.root) for run in runs], options, {}, DeviceConfig())


def _common_folder(runs: Sequence[KnownRun]) -> pathlib.Path:
    """Returns the folder that holds all runs, in which their report is written unless a path is given."""
    roots = [str(run.root) for run in runs]
    of_one_kind = len({is_in_bucket(root) for root in roots}) == 1
    common = os.path.commonpath(roots) if of_one_kind else ""
    whole = "gs:" if is_in_bucket(roots[0]) else pathlib.PurePath(roots[0]).anchor
    check(
        bool(common) and common != whole,
        "--out must name the file of the report, because the runs have no folder in common.",
        "no --out",
    )
    return user_path(common.replace("gs:/", "gs://", 1) if is_in_bucket(roots[0]) else common)


if __name__ == "__main__":
    main()
