"""The cheap linear probe: many learning rates and weight decays at once, on features embedded once."""

import itertools
import time

import numpy as np
import rich.console
import rich.table

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.evaluation.label_subsets import held_out
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.evaluation.probes.on_crops import ProbeState, batches_of, shuffled_batches
from simsiam_tf.features.embed import Features
from simsiam_tf.optim import scaled_learning_rate
from simsiam_tf.progress import progress_bar

_BATCH_SIZE = 1024


def run_sweep(subject: Subject, config: ProbeConfig) -> None:
    """Chooses learning rate and weight decay on held-out training images, then trains once on all and tests.

    The test images take no part in the choice.

    Args:
        subject: what is judged.
        config: the grid.

    Raises:
        UsageError: if labels are lacking.
    """
    train_source, test_source = subject.labelled_sources("A linear probe")
    train, test = subject.features(train_source), subject.features(test_source)
    classes = train_source.num_classes
    batch = min(config.probe_batch_size or _BATCH_SIZE, len(train))
    grid = list(itertools.product(config.sweep_learning_rates, config.sweep_weight_decays))
    if config.probe_base_learning_rate:
        grid = [(config.probe_base_learning_rate, decay) for decay in config.sweep_weight_decays]
    kept = held_out(train.known_labels, config.sweep_holdout, seed=0)
    learned = np.setdiff1d(np.arange(len(train)), kept)
    print(f"Sweep of {len(grid)} heads: {len(learned)} images of {train_source.name}, {len(kept)} held out to choose")
    state = subject.workdir.root / "probes"
    key = subject.key(grid, batch, config.probe_epochs, config.sweep_holdout, train_source.fingerprint)
    sweep, sweep_seconds = _fit(
        train, classes, learned, grid, batch, config.probe_epochs, state / f"linear_cached_sweep-{key}.npz"
    )
    scores = sweep.accuracy(shuffled_batches(train, kept, 4096, 0))[0]
    if np.isnan(scores).all():
        raise FloatingPointError("Every head of the sweep diverged; give lower --sweep_learning_rates.")
    best = int(np.nanargmax(scores))
    _print_table(grid, scores, best)
    _warn_at_the_edge(grid, best)
    rate, decay = grid[best]
    key = subject.key(grid[best], batch, config.probe_epochs, train_source.fingerprint)
    probe, seconds = _fit(
        train,
        classes,
        np.arange(len(train)),
        [grid[best]],
        batch,
        config.probe_epochs,
        state / f"linear_cached-{key}.npz",
    )
    top1, top5 = probe.accuracy_of_one(batches_of(test), "Give lower --sweep_learning_rates.")
    subject.add_records(
        {"linear_cached_top1": top1, "linear_cached_top5": top5},
        sweep_seconds + seconds + subject.store.seconds(train_source) + subject.store.seconds(test_source),
        unit="percent",
        protocol="linear probe 'cached' on frozen features of the centre crop, offline",
        optimizer="sgd",
        base_learning_rate=rate,
        learning_rate=scaled_learning_rate(rate, batch),
        weight_decay=decay,
        chosen_among=len(grid),
        chosen_by=f"accuracy on {len(kept)} held-out training images ({scores[best]:.2f} %)",
        batch_size=batch,
        epochs=config.probe_epochs,
        augmentation="linear_eval",
        train=train_source.name,
        train_size=len(train),
        test=test_source.name,
    )


def _fit(features: Features, classes: int, rows: np.ndarray, grid, batch, epochs, file) -> tuple[LinearProbe, float]:
    """A head for each pair of base learning rate and weight decay, trained from where it was stopped; the seconds."""
    batch = min(batch, len(rows))
    steps = len(rows) // batch
    rates = [scaled_learning_rate(rate, batch) for rate, _ in grid]
    probe = LinearProbe(features.dim, classes, "sgd", rates, epochs * steps, [decay for _, decay in grid])
    state = ProbeState(file, probe.variables)
    done, seconds = state.restore()
    bar, start = progress_bar(epochs, "epoch"), time.monotonic()
    bar.add(done)
    for epoch in range(done, epochs):
        for step in itertools.islice(shuffled_batches(features, rows, batch, epoch), steps):
            losses = probe.step(*step).numpy()
        finite = losses[np.isfinite(losses)]
        bar.add(1, [("best_loss", float(finite.min()))] if len(finite) else [])
        state.save(epoch + 1, seconds + time.monotonic() - start)
    return probe, state.restore()[1]


def _print_table(grid, scores, best):
    rates, decays = sorted({rate for rate, _ in grid}), sorted({decay for _, decay in grid})
    table = rich.table.Table(title="held-out top-1, %")
    table.add_column("base learning rate", justify="right")
    for decay in decays:
        table.add_column(f"decay {decay:g}", justify="right")
    for rate in rates:
        cells = [grid.index((rate, decay)) for decay in decays]
        marked = ["diverged" if np.isnan(scores[i]) else f"{scores[i]:.2f}{' *' if i == best else ''}" for i in cells]
        table.add_row(f"{rate:g}", *marked)
    rich.console.Console(width=max(80, 14 * (len(decays) + 2))).print(table)


def _warn_at_the_edge(grid, best):
    """A grid whose best is at its edge has not shown the best; no weight decay at all is no edge."""
    for name, number in (("learning rate", 0), ("weight decay", 1)):
        values, chosen = sorted({pair[number] for pair in grid}), grid[best][number]
        if len(values) > 1 and chosen in (values[0], values[-1]) and chosen > 0:
            flag = "--sweep_learning_rates" if number == 0 else "--sweep_weight_decays"
            where = "smallest" if chosen == values[0] else "largest"
            print(f"warning: the best {name}, {chosen:g}, is the {where} of the grid; widen it by {flag}.")
