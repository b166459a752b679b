"""Measures kNN of one finished run in several ways, of which evaluate.py takes the first.

python benchmarks/knn_variants.py WORKDIR [--batch=256]

The ways differ in what is embedded (features or z), how (with moving statistics, or with those of the batch), what of
the image (its centre, or a random view as in pre-training), and how the neighbours vote.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.features.embed import Features
from simsiam_tf.features.knn import knn_scores
from simsiam_tf.networks.normalization import keeping_moving_statistics


def embedded(run: LoadedRun, source: Source, policy: policies.Policy, training: bool, batch: int) -> np.ndarray:
    """Returns the features of all images of a source, `[N, D]`, in the order of the source."""
    found = np.zeros((source.num_examples, run.backbone.feature_dim), np.float32)
    shuffled = 0 if training else None  # statistics of a batch of neighbours in the set would be odd
    for images, index in evaluation_dataset(source, run.image_size, batch, policy, shuffle_seed=shuffled):
        with keeping_moving_statistics():
            found[index.numpy()] = tf.cast(run.backbone(images, training=training), tf.float32).numpy()
    return found


def variants(run: LoadedRun, batch: int) -> Iterator[tuple[str, int, float, float]]:
    """Yields what is embedded, k, the temperature, and the accuracy in percent."""
    train, test = run.labelled_sources("kNN")
    view = policies.resolve(run.config.augment)[0]
    ways = {
        "features, centre": (policies.EVALUATION_CROP, False),
        "features, a random view": (view, False),
        "features, centre, statistics of the batch": (policies.EVALUATION_CROP, True),
    }
    arrays = {
        name: [embedded(run, source, policy, training, batch) for source in (train, test)]
        for name, (policy, training) in ways.items()
    }
    arrays["z, centre"] = [np.asarray(run.project(x)) for x in arrays["features, centre"]]
    for name, (bank, queries) in arrays.items():
        voters, asked = Features.from_array(bank, train.labels), Features.from_array(queries, test.labels)
        scores = knn_scores(voters, asked, train.num_classes, (200, 20, 1), (0.1, 0.07))
        for (k, temperature), score in scores.items():
            yield name, k, temperature, score.top1


def main() -> None:
    """Prints a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", help="folder of a run whose data set has labels")
    parser.add_argument("--batch", type=int, default=256, help="images that are embedded at a time")
    arguments = parser.parse_args()
    run = LoadedRun.load(arguments.workdir, "", {}, ONE_DEVICE, arguments.batch)
    print("| embedded | k | T | kNN top-1 % |\n|---|---|---|---|")
    for name, k, temperature, top1 in variants(run, arguments.batch):
        print(f"| {name} | {k} | {temperature:g} | {top1:.2f} |", flush=True)


if __name__ == "__main__":
    main()
