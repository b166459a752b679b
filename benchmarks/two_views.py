"""Times `TwoViews` in a data set of one's own: source images per second on all cores, after the first batches.

python benchmarks/two_views.py --json=FILE
"""

import json
import os
import time
from collections.abc import Iterator

import harness


def data_sets() -> dict[str, tuple]:
    """Returns, for each way to map images to views, an endless data set and the number of batches to time."""
    import numpy as np
    import tensorflow as tf

    from simsiam_tf import TwoViews

    rng, parallel = np.random.default_rng(0), tf.data.AUTOTUNE
    small = tf.data.Dataset.from_tensor_slices(rng.integers(0, 256, [4096, 32, 32, 3]).astype("uint8")).repeat()
    large = rng.integers(0, 256, [32, 375, 500, 3]).astype("uint8")
    two_views, of_imagenet = TwoViews("simsiam_cifar", size=32), TwoViews("simsiam", size=224)

    def of_any_size() -> Iterator[np.ndarray]:
        while True:
            for i, image in enumerate(large):
                yield image[:, : 500 - i]

    any_size = tf.data.Dataset.from_generator(of_any_size, output_signature=tf.TensorSpec([None, None, 3], tf.uint8))
    one_size = tf.data.Dataset.from_tensor_slices(large).repeat()
    return {
        "32x32, map, then batch": (small.map(two_views, parallel).batch(128), 32),
        "32x32, batch, then map": (small.batch(128).map(two_views, parallel), 32),
        "375x500 to 224, map, then batch": (one_size.map(of_imagenet, parallel).batch(8), 40),
        "any size to 224, map, then batch": (any_size.map(of_imagenet, parallel).batch(8), 40),
    }


def main() -> None:
    """Runs the benchmark."""
    options = harness.make_parser(__doc__).parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    result = {}
    for name, (dataset, batches) in data_sets().items():
        views = iter(dataset.prefetch(2))
        for _ in range(batches // 2):  # compiles, and lets tf.data find its number of threads
            next(views)
        start, count = time.perf_counter(), 0
        for _ in range(batches):
            count += len(next(views)[0])
        result[name] = count / (time.perf_counter() - start)
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
