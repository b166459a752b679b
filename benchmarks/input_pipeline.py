"""Times the input pipeline on generated images: from encoded files or uint8 arrays to two augmented views.

python benchmarks/input_pipeline.py --kind=imagenet --cores=1 --json=FILE

--kind=imagenet has 500x375 JPEG files, two 224x224 views, and the policy simsiam. --kind=cifar has 32x32 arrays in
memory, two 32x32 views, and the policy simsiam_cifar. Rates count source images, by the clock; `..._per_cpu_second`
counts the processor time of all threads instead, which other work on the machine does not change.
  host     what the host of an accelerator does by default: for imagenet, decode images and lay them on canvases
  crops    the same with --crop_on=host: decode, crop and resize (imagenet)
  all      everything on the host
  decode   JPEG decoding alone (imagenet)
  shards_host, shards_crops, shards_all   the same from prepared shards, by TensorFlow ops alone (imagenet)
"""

import argparse
import json
import os
import pathlib
import statistics
import tempfile
import time

import harness

VIEW_SIZE = {"imagenet": 224, "cifar": 32}
POLICY = {"imagenet": "simsiam", "cifar": "simsiam_cifar"}
BATCH = {"imagenet": 32, "cifar": 256}


def parse_arguments() -> argparse.Namespace:
    """Parses the command line, and restricts the process to the number of cores that it asks for."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--kind", choices=sorted(VIEW_SIZE), default="imagenet")
    parser.add_argument("--cores", type=int, default=1, help="CPU cores that the process may use")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round; the best of --rounds counts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure one way alone, such as all or shards_host")
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    if not 1 <= options.cores <= len(available):
        parser.error(f"--cores must be from 1 to {len(available)}, the cores of this process. Got {options.cores}.")
    os.sched_setaffinity(0, available[: options.cores])  # before TensorFlow counts the cores
    return options


def make_photographs(folder: pathlib.Path, count: int = 64) -> None:
    """Writes 500x375 JPEG files with smooth areas, edges and grain, of about 75 kB each, like many in ImageNet."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        image = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.float32)
        image = np.clip(image + rng.normal(0, 8, (375, 500, 1)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{number:03}.jpg", quality=90)


def measure(dataset, batch: int, options: argparse.Namespace) -> dict[str, float]:
    """Measures images per second of the best and of the median round, and per second of processor time."""
    iterator = iter(dataset)
    for _ in range(3):  # the first batches trace, compile and fill the buffers
        next(iterator)
    rates, of_processor = [], []
    for _ in range(options.rounds):
        start, processor, batches = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - start < options.seconds:
            next(iterator)
            batches += 1
        rates.append(batches * batch / (time.perf_counter() - start))
        of_processor.append(batches * batch / (time.process_time() - processor))
    return {
        "images_per_second": max(rates),
        "median_images_per_second": statistics.median(rates),
        "images_per_cpu_second": statistics.median(of_processor),
    }


def open_images(kind: str, folder: pathlib.Path):
    """Makes the images, in memory or as files in a folder, and opens them as a source."""
    import numpy as np

    from simsiam_tf.config.data import DataConfig
    from simsiam_tf.data.sources import memory_source, open_source

    if kind == "cifar":
        images = np.random.default_rng(0).integers(0, 256, (4096, 32, 32, 3), np.uint8)
        return memory_source("made", images, None)
    make_photographs(folder)
    return open_source(DataConfig(dataset="folder", data_dir=str(folder)), "train")


def open_shards(folder: pathlib.Path):
    """Prepares the images of a folder as shards, and opens them as a source."""
    from simsiam_tf.config.data import DataConfig
    from simsiam_tf.config.preparation import PrepareConfig
    from simsiam_tf.data.dataset import DataSet
    from simsiam_tf.preparation.prepare import prepare

    prepare(DataSet(DataConfig(dataset="folder", data_dir=str(folder))), PrepareConfig(out=f"{folder}-shards"))
    return DataSet(DataConfig(dataset="shards", data_dir=f"{folder}-shards")).training


def decoding_alone(source):
    """Makes a data set that decodes the JPEG files of a source and does nothing else."""
    import tensorflow as tf

    from simsiam_tf.data import decoding

    def decode(index):
        image = decoding.open_image(source.files.load(index))
        image.load()
        return image.height

    indices = tf.data.Dataset.range(source.num_examples).repeat()
    decoded = indices.map(lambda i: tf.numpy_function(decode, [i], tf.int64), tf.data.AUTOTUNE)
    return decoded.batch(32).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Runs the benchmark."""
    options = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with tempfile.TemporaryDirectory() as folder:
        images = pathlib.Path(folder) / "images"
        images.mkdir()
        result = {
            f"{way}_{name}": value
            for way, (dataset, batch) in ways(options.kind, images).items()
            if options.only in ("", way)
            for name, value in measure(dataset(), batch, options).items()
        }
    result |= {name: value for name, value in vars(options).items() if name != "json"}
    print(json.dumps(result))
    harness.write_result(result, options.json)


def ways(kind: str, folder: pathlib.Path):
    """Returns the ways to read a kind of images: a function that makes batches, and the size of a batch, by name."""
    import functools

    from simsiam_tf.augment.policies import POLICIES
    from simsiam_tf.data.block_order import BlockOrder
    from simsiam_tf.data.order import ShuffledOrder
    from simsiam_tf.data.pipeline import pretraining_dataset, with_views
    from simsiam_tf.data.shards import shards_of
    from simsiam_tf.distribute.input import Share

    size, views, batch = VIEW_SIZE[kind], POLICIES[POLICY[kind]], BATCH[kind]

    def reader(source, order, later=False, whole=False):
        dataset = pretraining_dataset(source, order, views, size, Share(batch), crops_later=later)
        return with_views(dataset, views, size) if whole else dataset

    source = open_images(kind, folder)
    read = functools.partial(reader, source, ShuffledOrder(source.num_examples, batch, 0))
    every = {"host": functools.partial(read, later=True), "all": functools.partial(read, whole=True)}
    if kind == "imagenet":
        shards = open_shards(folder)
        order = BlockOrder(shards.num_examples, batch, 0, shards=shards_of(shards.images))
        read_shards = functools.partial(reader, shards, order)
        every |= {
            "crops": read,
            "decode": functools.partial(decoding_alone, source),
            "shards_host": functools.partial(read_shards, later=True),
            "shards_crops": read_shards,
            "shards_all": functools.partial(read_shards, whole=True),
        }
    return {way: (dataset, 32 if way == "decode" else batch) for way, dataset in every.items()}


if __name__ == "__main__":
    main()
