"""Measures what dividing a step among replicas costs: its time, all-reduces, and bytes exchanged.

python benchmarks/scaling.py [--arch=resnet18 --image_size=32 --global_batch_size=64] [--replicas=1,2,4] [--json=FILE]

Replicas are logical devices of one CPU and share its cores. The global batch, and so the work, is the same for any
number of replicas. Any additional time is the cost of dividing the step. All-reduces and bytes are those of the step as
lowered for a TPU. The bytes are compared with the least possible: one number for each trainable weight, and, for each
batch-norm channel and view, two statistics forward and two gradients backward.
"""

import argparse
import json
import math
import re
import statistics
import sys
import time

import harness

STEPS = 9


def make_flags(options, replicas: int) -> list[str]:
    """Makes the flags of train.py for a run with the given number of replicas."""
    flags = [f"--{name}={getattr(options, name)}" for name in ("arch", "image_size", "global_batch_size", "precision")]
    layers = 2 if options.image_size <= 64 else 3
    return [*flags, f"--projector_layers={layers}", f"--cpu_devices={replicas}", "--workdir=unused"]


def measure(options, replicas: int) -> dict:
    """Measures the step time and what is exchanged, for one number of replicas. It needs a fresh process."""
    import stablehlo
    import tensorflow as tf

    from simsiam_tf.cli import flags as definitions
    from simsiam_tf.distribute.input import per_replica_batch_size
    from simsiam_tf.distribute.strategy import make_strategy
    from simsiam_tf.networks.normalization import BatchNormalization
    from simsiam_tf.training import factory

    config = definitions.training_config_of(make_flags(options, replicas))
    strategy = make_strategy(config.devices)
    factory.set_precision(config.devices.precision)
    with strategy.scope():
        model = factory.make_compiled_model(config, 1000)
    batch = per_replica_batch_size(options.global_batch_size, replicas)
    shape = (batch, options.image_size, options.image_size, 3)
    views = [strategy.experimental_distribute_values_from_function(lambda _: tf.random.normal(shape)) for _ in "12"]
    step = tf.function(lambda *views: strategy.run(model.train_step, args=(views,)), autograph=False)
    seconds = []
    for _ in range(2 + STEPS):
        start = time.perf_counter()
        logs = step(*views)
        float(strategy.experimental_local_results(logs["loss"])[0])
        seconds.append(time.perf_counter() - start)

    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        alone, variables = stablehlo.make_trainer(config, 1000)
    inputs = [tuple(tf.TensorSpec(shape) for _ in "12")]
    text = stablehlo.lower(alone.train_step, inputs, variables, replicas).text
    # An all-reduce is an operation with a region; its type comes after the region.
    found = re.findall(r'"stablehlo\.all_reduce".*?\}\) : \(tensor<([^>]*)>', text, re.DOTALL)
    bits = {"f32": 32, "f64": 64, "bf16": 16, "f16": 16}
    sizes = [math.prod(int(n) for n in kind.split("x")[:-1]) * bits[kind.split("x")[-1]] // 8 for kind in found]
    norms = [layer for layer in alone._flatten_layers() if isinstance(layer, BatchNormalization)]
    channels = sum(layer.moving_mean.shape[0] for layer in norms)
    size = model.trainable_variables[0].dtype  # gradients and statistics have this type too, even in mixed precision
    least = (8 if size == "float64" else 4) * (
        sum(math.prod(v.shape) for v in alone.trainable_variables) + 2 * 2 * 2 * channels
    )
    return {
        "replicas": replicas,
        "step_seconds": statistics.median(seconds[2:]),
        "all_reduces": len(sizes),
        "batch_norm_layers": len(norms),
        "bytes": sum(sizes),
        "least_bytes": least if replicas > 1 else 0,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__, "write the results to this file")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--global_batch_size", type=int, default=64)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--replicas", default="1,2,4")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # set in the process of one measurement
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options, int(options.replicas))))
        return
    results = []
    given = [f"--{name}={value}" for name, value in vars(options).items() if name not in ("one", "json", "replicas")]
    for replicas in options.replicas.split(","):
        command = [sys.executable, __file__, *given, "--one", f"--replicas={replicas}"]
        one = harness.measure_apart(command)
        results.append(one)
        times = f", {one['bytes'] / one['least_bytes']:.4f} times the least" if one["least_bytes"] else ""
        slower = one["step_seconds"] / results[0]["step_seconds"]
        print(
            f"{replicas} replicas: {one['step_seconds']:.3f} s a step ({slower:.2f} times the first's), "
            f"{one['all_reduces']} all-reduces of {one['bytes'] / 1e6:.2f} MB{times}",
            flush=True,
        )
    harness.write_result(results, options.json, indent=2)


if __name__ == "__main__":
    main()
