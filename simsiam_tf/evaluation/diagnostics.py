"""Measures representations without labels: alignment, uniformity, spectrum, effective rank and dead channels."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import Source
from simsiam_tf.errors import check
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.features import metrics
from simsiam_tf.files import write_json
from simsiam_tf.methods.collapse import scaled_std
from simsiam_tf.progress import Progress

_log = logging.getLogger(__name__)

FILE = "diagnostics.json"


def run_diagnostics(run: LoadedRun, config: ImagesConfig) -> None:
    """Measures features and z without labels, and adds the numbers to summary.json.

    Two views of each image are drawn as in pre-training, and the network runs in eval mode. The images are those of the
    test split, or of the training split if there is no test split. The singular values of the features and of z go into
    `diagnostics.json` in the workdir.

    Args:
        run: the run to evaluate.
        config: the settings, of which `diagnostics_max_examples` limits the number of images.

    Raises:
        UsageError: if there are fewer than two images.
        FloatingPointError: if a feature or z is not finite.
    """
    start = time.monotonic()
    source = diagnosed_source(run, config)
    features = features_of_two_views(run, source)
    views_by_kind = {"features": features, "z": [run.project(x) for x in features]}
    spectra = {kind: metrics.spectrum(x1) for kind, (x1, _) in views_by_kind.items()}
    values = {kind: diagnose(x1, x2, spectra[kind]) for kind, (x1, x2) in views_by_kind.items()}
    seconds = time.monotonic() - start
    images = {"images": source.name, "images_size": len(features[0])}
    for kind, numbers in values.items():
        run.add_records(
            {f"diagnostics_{kind}_{name}": number for name, number in numbers.items()},
            seconds,
            protocol=f"diagnostics of {kind} [N, {views_by_kind[kind][0].shape[1]}] of random views, eval mode",
            **images,
            augmentation=run.config.augment.augmentation,
        )
    _write_spectra(run, images, spectra)


def diagnosed_source(run: LoadedRun, config: ImagesConfig) -> Source:
    """Returns the images to measure on: those of the test split, or of the training split if there is no test split.

    Args:
        run: the run to evaluate.
        config: the settings, of which `diagnostics_max_examples` limits the number of images.

    Raises:
        UsageError: if there are fewer than two images.
    """
    source = (run.test_source or run.train_source).first(config.diagnostics_max_examples)
    check(
        source.num_examples >= 2,
        "Diagnostics need at least two images; raise --diagnostics_max_examples or use a larger data set.",
        f"{source.num_examples} of {source.name}",
    )
    return source


def features_of_two_views(run: LoadedRun, source: Source) -> list[np.ndarray]:
    """Computes the features of two views of each image, `[N, D]` each. The views are those of the first epoch.

    Args:
        run: the run whose backbone computes the features, and whose settings say how views are drawn.
        source: the images.

    Raises:
        FloatingPointError: if a feature is not finite.
    """
    _log.info(f"Embedding two views of {source.name}")
    return [np.concatenate(column) for column in zip(*_batches_of_two_views(run, source), strict=True)]


def _batches_of_two_views(run: LoadedRun, source: Source) -> Iterator[Sequence[np.ndarray]]:
    """Yields the features of two views of each image, `[B, D]` each, batch by batch."""
    views = policies.resolve(run.config.augment)[:2]
    count = source.num_examples
    size = min(run.batch_size, count)
    with Progress(f"Embedding two views of {source.name}", count, "image") as progress:
        for first in range(0, count, size):
            new = min(size, count - first)
            # The first images fill up the last batch: a batch of another size would be compiled anew.
            index = [(first + i) % count for i in range(size)]
            both = views_of(source, views, run.image_size, run.config.run.seed, epoch=0, index=index)
            x1, x2 = (tf.cast(run.backbone(x, training=False), tf.float32).numpy()[:new] for x in both)
            yield metrics.finite(x1, "feature"), metrics.finite(x2, "feature")
            progress.add(new)


def diagnose(x1: np.ndarray, x2: np.ndarray, spectrum: np.ndarray) -> dict[str, float]:
    """Computes the metrics of two views' representations. All but the alignment are those of the first view.

    Args:
        x1: the representations of the first view, `[N, d]`.
        x2: those of the second view, `[N, d]`.
        spectrum: the singular values of the first view, `[d]`, as from `metrics.spectrum`.
    """
    return {
        "alignment": metrics.alignment(x1, x2),
        "uniformity": metrics.uniformity(x1),
        "effective_rank": metrics.effective_rank(spectrum),
        "std_scaled": float(scaled_std(tf.constant(x1))),
        "dead_channels": metrics.dead_channels(x1),
    }


def _write_spectra(run: LoadedRun, images: dict[str, Any], spectra: dict[str, np.ndarray]) -> None:
    path = run.workdir.root / f"{FILE.removesuffix('.json')}{run.suffix}.json"
    singular_values = {f"{kind}_singular_values": spectrum.tolist() for kind, spectrum in spectra.items()}
    write_json(path, {"checkpoint": run.checkpoint, **images, **singular_values})
    _log.info(f"Spectra written to {path}")
