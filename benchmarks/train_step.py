"""Times the training step on random images: both views forward and backward, and the update.

python benchmarks/train_step.py --arch=resnet18 --image_size=32 --batch_size=64 --dtype=float32 --json=FILE
"""

import argparse
import json
import os
import statistics
import time

import harness


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--batch_size", type=int, default=64, help="source images; each has two views")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--jit", action="store_true", help="compile the step by XLA")
    parser.add_argument("--steps", type=int, default=9, help="timed steps; the median counts")
    return parser.parse_args()


def time_steps(options: argparse.Namespace) -> list[float]:
    """Measures the seconds of each step, without the first two."""
    import keras
    import tensorflow as tf

    from simsiam_tf import SGD, SimSiam
    from simsiam_tf.networks import BACKBONES

    if options.dtype == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    small = options.image_size <= 64
    model = SimSiam(BACKBONES[options.arch](cifar_stem=small), projector_layers=2 if small else 3)
    model.compile(SGD(0.03), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    shape = (options.batch_size, options.image_size, options.image_size, 3)
    views = tf.random.normal(shape), tf.random.normal(shape)
    step = tf.function(model.train_step, jit_compile=options.jit)
    seconds = []
    for _ in range(2 + options.steps):
        start = time.perf_counter()
        float(step(views)["loss"])
        seconds.append(time.perf_counter() - start)
    return seconds[2:]  # the first traces, the second warms the allocator


def main() -> None:
    """Runs the benchmark."""
    options = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    seconds = time_steps(options)
    result = {
        "images_per_second": options.batch_size / statistics.median(seconds),
        "median_step_seconds": statistics.median(seconds),
        "fastest_step_seconds": min(seconds),
        **{k: v for k, v in vars(options).items() if k != "json"},
    }
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
