"""Trains linear probes with many learning rates and weight decays at once, on features that are embedded once."""

import dataclasses
import itertools
import logging
import pathlib
import time

import numpy as np
import rich.console
import rich.table

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.label_subsets import held_out
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.probes.batches import batches_of, shuffled_batches
from simsiam_tf.evaluation.probes.classifiers import keep_classifier
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.evaluation.probes.state import ProbeState
from simsiam_tf.features.embed import Features
from simsiam_tf.optim import scaled_learning_rate
from simsiam_tf.progress import Progress

_log = logging.getLogger(__name__)

# The number of images in a step by default.
BATCH_SIZE = 1024

# Pairs of a base learning rate and a weight decay, one pair for each head.
Grid = list[tuple[float, float]]
EmbeddedSource = tuple[Source, Features]

_ADVICE = "Give lower --sweep_learning_rates."


def run_sweep(run: LoadedRun, config: ProbeConfig) -> None:
    """Chooses a linear probe's learning rate and weight decay, trains the probe, and records its test accuracy.

    One head is trained for each pair of the grid, without the held-out training images. The pair that is best on those
    is then trained again on all training images. The test images play no part in the choice.

    Args:
        run: the run to evaluate.
        config: the grid, and the other hyperparameters.

    Raises:
        UsageError: if labels are missing.
        FloatingPointError: if every head diverged, or the chosen one did when trained again.
    """
    task = prepare(run, config)
    fitted = fit(run, config, task)
    top1, top5 = score(task, fitted)
    record(run, config, task, fitted, top1, top5)


@dataclasses.dataclass(frozen=True)
class SweepTask:
    """Holds the grid of settings, and the features to try them on.

    Attributes:
        train_source: the labelled training images.
        test_source: the labelled test images.
        train: the features of the training images.
        test: the features of the test images.
        grid: the settings to try.
        batch_size: the number of images in a step.
        held_out: the rows of `train` that the choice is made on.
    """

    train_source: Source
    test_source: Source
    train: Features
    test: Features
    grid: Grid
    batch_size: int
    held_out: np.ndarray


@dataclasses.dataclass(frozen=True)
class FittedProbe:
    """Holds the probe that was trained on all training images, with the chosen settings.

    Attributes:
        probe: the trained classifier.
        base_learning_rate: the chosen learning rate per 256 images.
        weight_decay: the chosen weight decay.
        held_out_top1: the top-1 accuracy of these settings on the held-out images, percent.
        seconds: the seconds of all training, that of the sweep included.
    """

    probe: LinearProbe
    base_learning_rate: float
    weight_decay: float
    held_out_top1: float
    seconds: float


def prepare(run: LoadedRun, config: ProbeConfig) -> SweepTask:
    """Embeds the images, makes the grid of settings, and draws the images to hold out.

    Args:
        run: the run to evaluate.
        config: the grid, and the other hyperparameters.

    Raises:
        UsageError: if labels are missing.
    """
    train, test = run.labelled_sources("A linear probe")
    return task_on(config, (train, run.features(train)), (test, run.features(test)))


def task_on(config: ProbeConfig, train: EmbeddedSource, test: EmbeddedSource) -> SweepTask:
    """Makes the grid of settings for features that are there, and draws the images to hold out.

    Args:
        config: the grid, and the other hyperparameters.
        train: the labelled training images, and their features.
        test: the labelled test images, and their features.

    Raises:
        UsageError: if no class has two training images, so that none can be held out.
    """
    (train_source, learned), (test_source, judged) = train, test
    rates = (config.probe_base_learning_rate,) if config.probe_base_learning_rate else config.sweep_learning_rates
    return SweepTask(
        train_source=train_source,
        test_source=test_source,
        train=learned,
        test=judged,
        grid=list(itertools.product(rates, config.sweep_weight_decays)),
        batch_size=min(config.probe_batch_size or BATCH_SIZE, len(learned)),
        held_out=held_out(learned.known_labels, config.sweep_holdout, seed=0),
    )


def fit(run: LoadedRun, config: ProbeConfig, task: SweepTask, with_table: bool = True) -> FittedProbe:
    """Trains all heads without the held-out images, chooses the best on those, and trains it again on all images.

    Args:
        run: the run to evaluate.
        config: the hyperparameters besides the grid.
        task: the grid and the features.
        with_table: whether to print the held-out accuracies of the grid.

    Raises:
        FloatingPointError: if every head diverged.
    """
    folder, epochs, images = run.workdir.root / "probes", config.probe_epochs, task.train_source.fingerprint
    learned = np.setdiff1d(np.arange(len(task.train)), task.held_out)
    _log.info(
        f"Sweep of {len(task.grid)} heads: {len(learned)} images of {task.train_source.name}, "
        f"{len(task.held_out)} held out to choose"
    )
    key = run.key(task.grid, task.batch_size, epochs, config.sweep_holdout, images)
    heads, sweep_seconds = _train(task, task.grid, learned, epochs, folder / f"linear_cached_sweep-{key}.npz")
    best, held_out_top1 = _choose(task, heads, with_table)
    key = run.key(best, task.batch_size, epochs, images)
    probe, seconds = _train(task, [best], np.arange(len(task.train)), epochs, folder / f"linear_cached-{key}.npz")
    return FittedProbe(
        probe=probe,
        base_learning_rate=best[0],
        weight_decay=best[1],
        held_out_top1=held_out_top1,
        seconds=sweep_seconds + seconds,
    )


def score(task: SweepTask, fitted: FittedProbe) -> tuple[float, float]:
    """Measures the top-1 and top-5 accuracy of the probe on the test images, in percent."""
    return fitted.probe.accuracy_of_one(batches_of(task.test), _ADVICE)


def hits(task: SweepTask, fitted: FittedProbe) -> np.ndarray:
    """Computes which test images the probe classifies rightly, `[M] bool`."""
    return fitted.probe.hits_of_one(batches_of(task.test), _ADVICE)[0]


def record(run: LoadedRun, config: ProbeConfig, task: SweepTask, fitted: FittedProbe, top1: float, top5: float) -> None:
    """Adds the accuracies, in percent, to summary.json, with the settings and how they were chosen.

    The trained classifier is kept too.
    """
    keep_classifier(run, "cached", fitted.probe, task.train_source, top1)
    run.add_records(
        {"linear_cached_top1": top1, "linear_cached_top5": top5},
        fitted.seconds + run.store.seconds(task.train_source) + run.store.seconds(task.test_source),
        unit="percent",
        protocol="linear probe 'cached' on frozen features of the centre crop, offline",
        optimizer="sgd",
        base_learning_rate=fitted.base_learning_rate,
        learning_rate=scaled_learning_rate(fitted.base_learning_rate, task.batch_size),
        weight_decay=fitted.weight_decay,
        chosen_among=len(task.grid),
        chosen_by=f"accuracy on {len(task.held_out)} held-out training images ({fitted.held_out_top1:.2f} %)",
        batch_size=task.batch_size,
        epochs=config.probe_epochs,
        augmentation="linear_eval",
        train=task.train_source.name,
        train_size=len(task.train),
        test=task.test_source.name,
    )


def _train(task: SweepTask, grid: Grid, rows: np.ndarray, epochs: int, file: pathlib.Path) -> tuple[LinearProbe, float]:
    """Trains one head for each pair of a grid, for the epochs that are not saved yet.

    Args:
        task: the features.
        grid: the pairs of a base learning rate and a weight decay.
        rows: the rows of the training features to learn from.
        epochs: the number of passes over these rows.
        file: the path of the saved state.

    Returns:
        The probe, and the seconds of all epochs, those before an interruption included.
    """
    batch_size = min(task.batch_size, len(rows))
    steps = len(rows) // batch_size
    probe = LinearProbe(
        feature_dim=task.train.dim,
        num_classes=task.train_source.num_classes,
        optimizer="sgd",
        learning_rates=[scaled_learning_rate(rate, batch_size) for rate, _ in grid],
        total_steps=epochs * steps,
        weight_decays=[decay for _, decay in grid],
    )
    state = ProbeState(file, probe.variables)
    done, seconds = state.restore()
    start, heads = time.monotonic(), f"{len(grid)} head{'' if len(grid) == 1 else 's'}"
    with Progress(f"Training {heads}", epochs, "epoch", done) as progress:
        for epoch in range(done, epochs):
            for batch in itertools.islice(shuffled_batches(task.train, rows, batch_size, epoch), steps):
                losses = probe.step(*batch).numpy()
            finite = losses[np.isfinite(losses)]
            progress.add(1, [("best_loss", float(finite.min()))] if len(finite) else [])
            state.save(epoch + 1, seconds + time.monotonic() - start)
    return probe, state.restore()[1]


def _choose(task: SweepTask, heads: LinearProbe, with_table: bool) -> tuple[tuple[float, float], float]:
    """Returns the pair of settings that is best on the held-out images, and its top-1 accuracy there in percent."""
    scores = heads.accuracy(shuffled_batches(task.train, task.held_out, 4096, 0))[0]
    if np.isnan(scores).all():
        raise FloatingPointError("Every head of the sweep diverged; give lower --sweep_learning_rates.")
    best = int(np.nanargmax(scores))
    if with_table:
        _print_table(task.grid, scores, best)
    _warn_at_the_edge(task.grid, best)
    return task.grid[best], scores[best]


def _print_table(grid: Grid, scores: np.ndarray, best: int) -> None:
    """Prints the held-out accuracies as a table of learning rates by weight decays, with a star at the best."""
    rates, decays = sorted({rate for rate, _ in grid}), sorted({decay for _, decay in grid})
    table = rich.table.Table(title="held-out top-1, %")
    table.add_column("base learning rate", justify="right")
    for decay in decays:
        table.add_column(f"decay {decay:g}", justify="right")
    for rate in rates:
        cells = [grid.index((rate, decay)) for decay in decays]
        marked = ["diverged" if np.isnan(scores[i]) else f"{scores[i]:.2f}{' *' if i == best else ''}" for i in cells]
        table.add_row(f"{rate:g}", *marked)
    if _log.isEnabledFor(logging.INFO):
        rich.console.Console(width=max(80, 14 * (len(decays) + 2))).print(table)


def _warn_at_the_edge(grid: Grid, best: int) -> None:
    """Warns if the best pair is at the edge of the grid, because a better one may lie outside.

    A weight decay of 0 is not an edge, because no smaller one exists.
    """
    for name, number in (("learning rate", 0), ("weight decay", 1)):
        values, chosen = sorted({pair[number] for pair in grid}), grid[best][number]
        if len(values) > 1 and chosen in (values[0], values[-1]) and chosen > 0:
            flag = "--sweep_learning_rates" if number == 0 else "--sweep_weight_decays"
            where = "smallest" if chosen == values[0] else "largest"
            _log.warning(f"the best {name}, {chosen:g}, is the {where} value of the grid; widen the grid with {flag}.")
