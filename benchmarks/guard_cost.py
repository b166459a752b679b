"""Times the training step with what the guard measures, and without, in turns.

python benchmarks/guard_cost.py [--width=0.125 --batch_size=64 --projector_dim=512 --steps=30 --json=FILE]

Both steps are those of one process, on the same random images. The step without the measures returns zeros in their
place. The ratio is that of the medians; its interval is that of the ratios of neighbouring steps, 25 to 75 %.
"""

import json
import os
import statistics
import time

import harness


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--projector_dim", type=int, default=512)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from simsiam_tf import SGD, SimSiam, resnet18

    class Unmeasured(SimSiam):
        """Leaves the measures of the guard out, and the length of the gradient."""

        def logs(self, batch, z):
            return dict.fromkeys(self.log_names, tf.zeros([]))

        def _gradient_norm(self, gradients):
            return tf.zeros([])

    shape = options.batch_size, 32, 32, 3
    views = tf.random.normal(shape), tf.random.normal(shape)
    steps = {}
    for name, kind in (("with", SimSiam), ("without", Unmeasured)):
        heads = {"projector_layers": 2, "projector_dim": options.projector_dim}
        model = kind(resnet18(cifar_stem=True, width=options.width), predictor_dim=options.projector_dim // 4, **heads)
        model.compile(SGD(0.03))
        model.optimizer.build(model.trainable_variables)
        steps[name] = tf.function(model.train_step, autograph=False)
    seconds = {name: [] for name in steps}
    for _ in range(options.steps + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            float(step(views)["loss"])
            seconds[name].append(time.perf_counter() - start)
    seconds = {name: of_step[2:] for name, of_step in seconds.items()}
    ratios = sorted(a / b for a, b in zip(seconds["with"], seconds["without"], strict=True))
    result = {
        "ratio_of_medians": statistics.median(seconds["with"]) / statistics.median(seconds["without"]),
        "ratio_of_fastest": min(seconds["with"]) / min(seconds["without"]),
        "ratios_25_to_75_percent": [ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]],
        "median_seconds": {name: statistics.median(of_step) for name, of_step in seconds.items()},
        **{k: v for k, v in vars(options).items() if k != "json"},
    }
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
