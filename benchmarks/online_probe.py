"""Measures what the online probe adds to the time of a training step.

python benchmarks/online_probe.py [--rounds=15] [--json=FILE]

Steps with and without the probe run in turn, in one process. The size is that of flags/recipes/cifar10_small.flags:
ResNet-18 at a quarter of its width, batch 128, float32.
"""

import json
import statistics
import time

import harness
import tensorflow as tf

from simsiam_tf import SGD, SimSiam, resnet18

_BATCH, _CLASSES = 128, 10


def make_step(classes):
    """Makes a training step; with 0 classes it has no online probe."""
    backbone = resnet18(cifar_stem=True, width=0.25)
    model = SimSiam(backbone, 512, projector_layers=2, predictor_dim=128, online_probe_classes=classes)
    model.compile(SGD(0.1))
    model.optimizer.build(model.trainable_variables)
    return tf.function(model.train_step, autograph=False)


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    views = tuple(tf.random.normal([_BATCH, 32, 32, 3]) for _ in range(2))
    batch = {"views": views, "labels": tf.random.uniform([_BATCH], 0, _CLASSES, tf.int64)}
    steps = {"without": make_step(0), "with": make_step(_CLASSES)}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.rounds + 2):
        # The two take turns to be the first.
        for name in sorted(steps, reverse=bool(number % 2)):
            start = time.perf_counter()
            steps[name](batch)["loss"].numpy()
            seconds[name].append(time.perf_counter() - start)
    paired = [a / b - 1 for a, b in zip(seconds["with"][2:], seconds["without"][2:], strict=True)]
    result = {
        "seconds_without": statistics.median(seconds["without"][2:]),
        "seconds_with": statistics.median(seconds["with"][2:]),
        "percent_more": 100 * statistics.median(paired),
        "rounds": options.rounds,
    }
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
