"""Times each step of making a 224x224 view on one core, in milliseconds.

python benchmarks/input_steps.py [--json=FILE]

Files are generated. The time of an op is the time of a compiled loop over 32 images that applies only this op to each
image, minus the time of the loop itself. `whole view` is a view by the policy simsiam, where each image takes only the
ops that it needs.
"""

import os
import pathlib
import tempfile
import time

import harness

SIZE, BATCH, ROUNDS = 224, 32, 20


def best_ms(function, arguments: list) -> float:
    """Measures the fastest of several rounds over the arguments, in milliseconds per argument."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for argument in arguments:
            function(argument)
        rounds.append((time.perf_counter() - start) / len(arguments))
    return 1000.0 * min(rounds)


def file_steps(folder: pathlib.Path) -> dict[str, float]:
    """Times decoding a file, and cropping one view out of the decoded image."""
    import numpy as np
    from input_pipeline import make_photographs

    from simsiam_tf.augment import ops
    from simsiam_tf.data import decoding

    make_photographs(folder, BATCH)
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    draws = np.random.default_rng(0).random((BATCH, ops.CROP_DRAWS)).tolist()
    boxes = [ops.crop_box(d, 375, 500, (0.2, 1.0)) for d in draws]
    images = [decoding.open_image(data) for data in files]
    for image in images:
        image.load()
    return {
        "decode": best_ms(lambda data: decoding.open_image(data).load(), files),
        "draw a box": best_ms(lambda d: ops.crop_box(d, 375, 500, (0.2, 1.0)), draws),
        "crop and resize": best_ms(
            lambda pair: decoding.crop_views(pair[0], [pair[1]], [SIZE], [True]), list(zip(images, boxes, strict=True))
        ),
    }


def op_steps() -> dict[str, float]:
    """Times each op alone, and all ops together."""
    import numpy as np
    import tensorflow as tf

    from simsiam_tf.augment import ops, policies
    from simsiam_tf.augment import views as augment_views

    images = tf.constant(np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8))
    one = tf.constant([1.1])
    factors, order = tf.constant([[1.1, 0.9, 1.2, 0.05]]), tf.constant([[0, 3, 1, 2]])
    view = policies.POLICIES["simsiam"][:1]
    parameters = augment_views.sample_views(view, 0, tf.constant(0), tf.range(BATCH))
    steps = {
        "flip": lambda x: ops.apply_flip(tf.cast(x, tf.float32), tf.constant([True])),
        "brightness": lambda x: ops.apply_brightness(x, one),
        "contrast": lambda x: ops.apply_contrast(x, one),
        "saturation": lambda x: ops.apply_saturation(x, one),
        "hue": lambda x: ops.apply_hue(x, one),
        "jitter, all four": lambda x: ops.apply_jitter(x, factors, order),
        "grayscale": lambda x: ops.apply_grayscale(x, tf.constant([True])),
        "blur": lambda x: ops.apply_blur(x, one),
        "solarize": lambda x: ops.apply_solarize(x, tf.constant([True])),
        "normalize": ops.normalize,
    }

    def loop(step):
        def run(images):
            return tf.map_fn(lambda x: step(x[tf.newaxis])[0], images, fn_output_signature=tf.float32)

        return tf.function(run, jit_compile=True, autograph=False)

    def cost(function, argument):
        function(argument)
        return best_ms(function, [argument]) / BATCH

    empty = cost(loop(lambda x: tf.cast(x, tf.float32)), images)
    costs = {name: cost(loop(step), images) - empty for name, step in steps.items()}
    batch = {"images": (images,), "parameters": parameters}

    def whole(batch):
        return augment_views.make_views_one_by_one(view, SIZE, batch)["views"]

    costs["the loop itself"] = empty
    costs["whole view"] = cost(tf.function(whole, jit_compile=True, autograph=False), batch)
    costs["whole view, op by op without XLA"] = cost(
        tf.function(lambda batch: augment_views.make_views(view, SIZE, batch)["views"], autograph=False), batch
    )
    return costs


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with tempfile.TemporaryDirectory() as folder:
        costs = {**file_steps(pathlib.Path(folder)), **op_steps()}
    for name, milliseconds in costs.items():
        print(f"{name:<34} {milliseconds:.3f} ms")
    harness.write_result(costs, options.json, indent=1)


if __name__ == "__main__":
    main()
