"""Draws the report's figures: training curves, and spectra of the representations."""

from collections.abc import Sequence

import numpy as np

from simsiam_tf.evaluation.report import plots
from simsiam_tf.evaluation.report.plots import Line
from simsiam_tf.evaluation.report.reported_run import ReportedRun
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.guard.causes import State

# The three curves of Fig. 2, then two of our own. Each entry holds the name in metrics.jsonl, the label of the vertical
# axis, the height and label of a reference line, and the height at or below which the axis begins.
_CURVES: tuple[tuple[str, str, tuple[float, str] | None, float | None], ...] = (
    ("loss", "loss", (-1.0, "minimum"), None),
    ("z_std_scaled", "std of z/|z| times sqrt(d)", (1.0, "evenly spread"), 0.0),
    ("knn_top1", "kNN top-1, %", None, None),
    ("online_probe_top1", "online probe top-1, %", None, None),
    ("feature_effective_rank", "effective rank of the features", None, 0.0),
)
_SPECTRUM_ROWS = 10_000


def curves(runs: Sequence[ReportedRun]) -> list[dict[str, str]]:
    """Draws the training metrics over the epochs, in one figure for each metric that at least one run has.

    Under them, a band for each run shows its state in each epoch (simsiam_tf/guard).

    Args:
        runs: the runs, with one curve each.

    Returns:
        A dictionary for each figure, with the `svg` element and the `caption`.
    """
    figures = []
    for metric, label, guide, floor in _CURVES:
        lines = [line for run in runs if len((line := run.curve(metric)).x)]
        if lines:
            figures.append({"svg": plots.plot(lines, "epoch", label, guide, floor), "caption": label})
    bands = [band for run in runs if (band := run.states()).spans]
    if bands:
        figures.append({"svg": plots.plot_bands(bands, "epoch", list(State)), "caption": "state of the run"})
    return figures


def spectra(runs: Sequence[ReportedRun], features: Sequence[Features]) -> list[dict[str, str]]:
    """Draws the singular values of the features and of z, with a line for each run.

    Args:
        runs: the runs.
        features: the features of each run. If it is empty, nothing is drawn.

    Returns:
        A dictionary for each figure, with the `svg` element and the `caption`.
    """
    lines: dict[str, list[Line]] = {"features": [], "z": []}
    for run, own in zip(runs, features, strict=False):
        rows = own.take(np.arange(min(len(own), _SPECTRUM_ROWS)))
        lines["features"].append(_spectrum_line(run, rows))
        lines["z"].append(_spectrum_line(run, run.loaded.project(rows)))
    return [
        {"svg": plots.plot(of_kind, "rank", f"singular value of {kind}", logarithmic=True), "caption": kind}
        for kind, of_kind in lines.items()
        if of_kind
    ]


def _spectrum_line(run: ReportedRun, values: np.ndarray) -> Line:
    spectrum = metrics.spectrum(values)
    label = f"{run.name}, effective rank {metrics.effective_rank(spectrum):.1f} of {len(spectrum)}"
    visible = spectrum[spectrum > 1e-6 * spectrum[0]]  # smaller values are rounding errors
    return Line(label, range(1, len(visible) + 1), visible.tolist(), run.number)
