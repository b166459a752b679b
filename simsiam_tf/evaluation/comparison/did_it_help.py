"""Answers whether a run helped: runs the protocol did_it_help, with labels or without."""

import dataclasses
import logging
import pathlib
import time

import rich.console
import rich.markup
import rich.table

from simsiam_tf.config.evaluation import EvaluationConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.evaluation.comparison.bootstrap import LEVEL, RESAMPLES
from simsiam_tf.evaluation.comparison.measures import LabelledTask, judge
from simsiam_tf.evaluation.comparison.networks import Network, networks_of
from simsiam_tf.evaluation.comparison.results import Result, result_of
from simsiam_tf.evaluation.comparison.verdicts import deciding_level
from simsiam_tf.evaluation.comparison.without_labels import compare_without_labels
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.outputs import free_path
from simsiam_tf.evaluation.report.plots import Ranges, draw_ranges
from simsiam_tf.files import make_folder, replacing, write_json
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)

FOLDER = "did_it_help"
_DARK = "#1c1f23"


def run_did_it_help(run: LoadedRun, options: EvaluationConfig) -> None:
    """Compares the run's features with those of the untrained network and of the baselines.

    With labels it takes the top-1 accuracy of kNN and of the cached probe with 1, 10 and 100 % of the labels, with 95 %
    intervals over the choice of test images. For each other network the answer is better, worse, or not to be told
    apart. Four differences decide: those of the probe with each share of the labels, and that of kNN with all labels.
    The run is better if the interval of at least one of them is above zero, and that of none is below. These intervals
    are paired: each resample draws the same images for both networks. They are at 98.75 % each, so that the four
    together err in at most 5 of 100 cases (Bonferroni). They say how far the answer hangs on the choice of test images,
    and nothing of other labelled images or of another seed of the run (docs/results/did_it_help.md).

    Without labels it draws the neighbours of each network side by side and measures label-free diagnostics. They
    prove less, and the sentence says so.

    The numbers go into summary.json, the details and a picture into the folder `did_it_help` of the workdir.

    Args:
        run: the run to evaluate.
        options: the settings of the comparison, of kNN, of the cached probe, and of images.

    Raises:
        UsageError: if a baseline cannot be opened, or no image can be judged on.
        FloatingPointError: if weights or features are not finite, or a probe diverged.
    """
    networks = networks_of(run, options.comparison.baseline)
    if run.lacks:
        compare_without_labels(run, networks, options.images, run.workdir.root / FOLDER)
        return
    start, task, judged = time.monotonic(), LabelledTask.from_run(run), []
    for measure, reason in task.left_out.items():
        _log.warning(f"{measure.title} is left out: {reason}.")
    for number, network in enumerate(networks, start=1):
        _log.info(f"Network {number} of {len(networks)}: {network.name}")
        judged.append(judge(network, task, options.knn, options.probe))
    result = result_of([network.name for network in networks], judged)
    _print_table(result)
    out = free_path(run.workdir.root / FOLDER / f"answer{run.suffix}.json")
    _record(run, task, result, judged[-1].details, time.monotonic() - start)
    details = {m.name: dict(zip(result.names, (one.details[m] for one in judged), strict=True)) for m in task.measures}
    _write(run, networks, result, details, out)
    _log.log(RESULT, f"{result.sentence} Written to {out}, with a picture beside it.")


def _record(run: LoadedRun, task: LabelledTask, result: Result, details: dict, seconds: float) -> None:
    """Adds the accuracies of the run, with those of the others, and the sentence to summary.json."""
    for measure in task.measures:
        how = "kNN, weighted vote" if measure.kind == "knn" else "linear probe 'cached'"
        run.add_records(
            {f"did_it_help_{measure.name}": result.accuracies[measure][result.names[-1]].top1},
            seconds,
            unit="percent",
            protocol=f"{how}, on frozen features of the centre crop, compared with other networks",
            title=measure.title,
            **result.values_of(measure),
            **details[measure],
            augmentation="linear_eval",
            train=task.train.name,
            test=task.test.name,
            test_size=result.num_images,
        )
    left_out = {f"did_it_help_{m.name}{run.suffix}": record(None, reason=why) for m, why in task.left_out.items()}
    count = sum(measure.decides for measure in task.measures)
    answer = record(
        result.sentence,
        protocol=f"the paired differences of {count} measures, at {100 * deciding_level(count):.4g} % each",
        verdicts={verdict.other: verdict.answer for verdict in result.verdicts},
        intervals=f"{100 * LEVEL:g} %, over {result.num_images:,} test images: accuracies by Wilson's score, "
        f"differences by the bootstrap, {RESAMPLES:,} resamples",
        checkpoint=run.checkpoint,
        seconds=round(seconds, 2),
    )
    run.workdir.add_to_summary({**left_out, f"did_it_help{run.suffix}": answer})


def _write(run: LoadedRun, networks: list[Network], result: Result, details: dict, out: pathlib.Path) -> None:
    """Writes the numbers as JSON, and a picture of the accuracies beside them."""
    make_folder(out.parent)
    content = {
        "sentence": result.sentence,
        "checkpoints": {network.name: network.run.checkpoint for network in networks},
        "weights_sha256": {network.name: network.run.store.weights_sha256 for network in networks},
        "verdicts": [dataclasses.asdict(verdict) for verdict in result.verdicts],
        "accuracies": {
            m.name: {name: dataclasses.asdict(one) for name, one in of_all.items()}
            for m, of_all in result.accuracies.items()
        },
        "differences": {
            m.name: {name: dataclasses.asdict(one) for name, one in of_all.items()}
            for m, of_all in result.differences.items()
        },
        "settings": details,
    }
    write_json(out, content)
    figure = draw_ranges(ranges_of(result), "top-1 accuracy, %, with 95 % intervals", _DARK)
    with replacing(free_path(out.with_suffix(".png"))) as draft, draft.open("wb") as file:
        figure.savefig(file, format="png", dpi=160)


def ranges_of(result: Result) -> list[Ranges]:
    """Returns the rows of the picture: the accuracies of all networks by each measure."""
    return [
        Ranges(measure.title, {name: dataclasses.astuple(one) for name, one in of_all.items()})
        for measure, of_all in result.accuracies.items()
    ]


def _print_table(result: Result) -> None:
    """Prints a row for each measure and network."""
    table = rich.table.Table(title="top-1, %, and this run less the others, points; with 95 % intervals")
    for name in ("measure", "network"):
        table.add_column(name)
    for name in ("top-1", "this run less it"):
        table.add_column(name, justify="right", no_wrap=True)
    for measure, of_networks in result.accuracies.items():
        for name, accuracy in of_networks.items():
            difference = result.differences[measure].get(name)
            gained = "" if difference is None else _signed(difference.points, difference.low, difference.high)
            shown = f"{accuracy.top1:.2f} ({accuracy.low:.2f} to {accuracy.high:.2f})"
            title = measure.title if name == result.names[0] else ""
            table.add_row(title, rich.markup.escape(name), shown, gained)
        table.add_section()
    if _log.isEnabledFor(RESULT):
        rich.console.Console(width=110).print(table)


def _signed(points: float, low: float, high: float) -> str:
    return f"{points:+.2f} ({low:+.2f} to {high:+.2f})"
