"""Times the training step on random images: both views forward and backward, and the update.

python benchmarks/train_step.py --arch=resnet18 --width=1 --image_size=32 --batch_size=64 --dtype=float32 --json=FILE

--profile=FOLDER writes a profile of the timed steps for TensorBoard, and prints the kinds of operations that took the
most time of the CPU.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import time

import harness


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--width", type=float, default=1.0, help="multiplier of the number of channels")
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--batch_size", type=int, default=64, help="source images; each has two views")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--jit", action="store_true", help="compile the step by XLA")
    parser.add_argument("--steps", type=int, default=9, help="timed steps; the median counts")
    parser.add_argument("--profile", help="folder for a profile of the timed steps")
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
    model = SimSiam(BACKBONES[options.arch](cifar_stem=small, width=options.width), projector_layers=2 if small else 3)
    model.compile(SGD(0.03), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    shape = (options.batch_size, options.image_size, options.image_size, 3)
    views = tf.random.normal(shape), tf.random.normal(shape)
    step = tf.function(model.train_step, jit_compile=options.jit)
    seconds = []
    for i in range(2 + options.steps):
        if options.profile and i == 2:
            tf.profiler.experimental.start(options.profile)
        start = time.perf_counter()
        float(step(views)["loss"])
        seconds.append(time.perf_counter() - start)
    if options.profile:
        tf.profiler.experimental.stop()
        print_kinds(options.profile, options.steps)
    return seconds[2:]  # the first traces, the second warms the allocator


def print_kinds(folder: str, steps: int) -> None:
    """Prints the milliseconds of the CPU that each kind of operation took in a step, on all threads together."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space, spent = xplane_pb2.XSpace(), collections.Counter()
    space.ParseFromString(sorted(pathlib.Path(folder).rglob("*.xplane.pb"))[-1].read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events if line.name.startswith("tf_Compute") else ():
                name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if name and kind != "Process":  # an operation; others are the runtime's own
                    spent[kind.removeprefix("_MklNative")] += event.duration_ps / 1e9 / steps
    print(f"{sum(spent.values()):8.1f} all operations")
    for kind, milliseconds in spent.most_common(25):
        print(f"{milliseconds:8.1f} {kind}")


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
