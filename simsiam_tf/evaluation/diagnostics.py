"""What a representation is like, without labels: alignment, uniformity, spectrum, effective rank, dead channels."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation import metrics
from simsiam_tf.evaluation.config import ImagesConfig
from simsiam_tf.evaluation.subject import Subject
from simsiam_tf.progress import progress_bar
from simsiam_tf.workdir import write_json

FILE = "diagnostics.json"


def run_diagnostics(subject: Subject, config: ImagesConfig) -> None:
    """Records the diagnostics of the features and of z, in eval mode, and writes their spectra.

    Args:
        subject: what is judged.
        config: how many images to look at.
    """
    start = time.monotonic()
    train, test = subject.sources
    source = (test or train).first(config.diagnostics_max_examples)
    views = policies.resolve(subject.run.augment)
    print(f"Embedding two views of {source.name}")
    pairs = list(_two_views(subject, source, views))
    features = [np.concatenate(column) for column in zip(*pairs, strict=True)]
    spectra = {}
    for of, (x1, x2) in {"features": features, "z": [subject.project(x) for x in features]}.items():
        spectra[of] = metrics.spectrum(x1)
        values = {
            f"diagnostics_{of}_alignment": metrics.alignment(x1, x2),
            f"diagnostics_{of}_uniformity": metrics.uniformity(x1),
            f"diagnostics_{of}_effective_rank": metrics.effective_rank(spectra[of]),
            f"diagnostics_{of}_std_scaled": float(metrics.scaled_std(tf.constant(x1))),
            f"diagnostics_{of}_dead_channels": metrics.dead_channels(x1),
        }
        details: dict[str, Any] = {"protocol": f"diagnostics of {of} [N, {x1.shape[1]}] of random views, eval mode"}
        details |= {"images": source.name, "images_size": len(x1), "augmentation": subject.run.augment.augmentation}
        subject.add_records(values, time.monotonic() - start, **details)
    path = subject.workdir.root / f"{FILE.removesuffix('.json')}{subject.suffix}.json"
    content = {"checkpoint": subject.checkpoint, "images": source.name, "images_size": len(features[0])}
    write_json(path, content | {f"{of}_singular_values": s.tolist() for of, s in spectra.items()})
    print(f"Spectra written to {path}")


def _two_views(subject: Subject, source: Source, views) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features of two views of each image, as pre-training would draw them, batch by batch."""
    bar, size = progress_bar(source.num_examples, "image"), subject.batch_size
    for first in range(0, source.num_examples, size):
        index = list(range(first, min(first + size, source.num_examples)))
        x1, x2 = views_of(source, views, subject.image_size, subject.run.run.seed, 0, index)
        yield tuple(tf.cast(subject.backbone(x, training=False), tf.float32).numpy() for x in (x1, x2))
        bar.add(len(index))
