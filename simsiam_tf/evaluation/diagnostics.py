"""What a representation is like, without labels: alignment, uniformity, spectrum, effective rank, dead channels."""

import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import Source
from simsiam_tf.errors import check
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.features import metrics
from simsiam_tf.files import write_json
from simsiam_tf.methods.collapse import scaled_std
from simsiam_tf.progress import progress_bar

FILE = "diagnostics.json"


def run_diagnostics(subject: Subject, config: ImagesConfig) -> None:
    """Records the diagnostics of the features and of z, in eval mode, and writes their spectra.

    Args:
        subject: what is judged.
        config: how many images to look at.

    Raises:
        UsageError: if there are fewer than two.
    """
    start = time.monotonic()
    source = (subject.test_source or subject.train_source).first(config.diagnostics_max_examples)
    check(
        source.num_examples >= 2,
        "Diagnostics compare images with each other, so they need at least two; raise --diagnostics_max_examples or "
        "name more images.",
        f"{source.num_examples} of {source.name}",
    )
    views = policies.resolve(subject.run.augment)[:2]
    print(f"Embedding two views of {source.name}")
    pairs = list(_two_views(subject, source, views))
    features = [np.concatenate(column) for column in zip(*pairs, strict=True)]
    spectra, values, widths = {}, {}, {}
    for of, (x1, x2) in {"features": features, "z": [subject.project(x) for x in features]}.items():
        spectra[of] = metrics.spectrum(x1)
        widths[of] = x1.shape[1]
        values[of] = {
            f"diagnostics_{of}_alignment": metrics.alignment(x1, x2),
            f"diagnostics_{of}_uniformity": metrics.uniformity(x1),
            f"diagnostics_{of}_effective_rank": metrics.effective_rank(spectra[of]),
            f"diagnostics_{of}_std_scaled": float(scaled_std(tf.constant(x1))),
            f"diagnostics_{of}_dead_channels": metrics.dead_channels(x1),
        }
    seconds = time.monotonic() - start
    for of, numbers in values.items():
        subject.add_records(
            numbers,
            seconds,
            protocol=f"diagnostics of {of} [N, {widths[of]}] of random views, eval mode",
            images=source.name,
            images_size=len(features[0]),
            augmentation=subject.run.augment.augmentation,
        )
    path = subject.workdir.root / f"{FILE.removesuffix('.json')}{subject.suffix}.json"
    content = {"checkpoint": subject.checkpoint, "images": source.name, "images_size": len(features[0])}
    write_json(path, content | {f"{of}_singular_values": s.tolist() for of, s in spectra.items()})
    print(f"Spectra written to {path}")


def _two_views(subject: Subject, source: Source, views) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features of two views of each image, as pre-training would draw them, batch by batch."""
    count = source.num_examples
    bar, size = progress_bar(count, "image"), min(subject.batch_size, count)
    for first in range(0, count, size):
        new = min(size, count - first)
        index = [(first + i) % count for i in range(size)]  # as many each time, so that the views are compiled once
        both = views_of(source, views, subject.image_size, subject.run.run.seed, 0, index)
        x1, x2 = (tf.cast(subject.backbone(x, training=False), tf.float32).numpy()[:new] for x in both)
        yield metrics.finite(x1, "feature"), metrics.finite(x2, "feature")
        bar.add(new)
