"""Measures how long train.py takes to its first step on as many images as ImageNet has, and on a thousand.

python benchmarks/startup.py --folder=DIR [--checkout=PATH] [--python=PATH] [--sets=folder,records,large,monitor]
    [--json=FILE]

It makes, below --folder, 1,281,167 files in 1,000 class folders (hard links to small JPEGs, at most 30,000 to each), a
TFDS data set of 1,281,167 records of 2 kB, one of 20,000 records of 110 kB, and of each the same with 1,000 images.
Then it starts the same tiny training on each set in fresh processes, which end with the first step. What lies beside
the data, indices above all, is deleted before the first start of a set, and kept for the second. `monitor` starts on
the records once more, with kNN of the untrained network before the first step: 50,000 images vote, and 50,000 are
judged. --checkout measures the code of another checkout, with the same data.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import harness

COUNT, CLASSES, LINKS, FEW = 1_281_167, 1000, 30_000, 1000
SETS = {"folder": (COUNT, 2_000), "records": (COUNT, 2_000), "large": (20_000, 110_000)}
MONITOR = ("--knn_every_epochs=1", "--knn_max_examples=50000", "--eval_split=train[:50000]")
COMMAND = (
    *("--arch=resnet18", "--width=0.25", "--image_size=32", "--global_batch_size=64", "--epochs=1"),
    *("--steps_per_execution=1", "--max_bad_fraction=0.5"),
)
# Runs train.py until the end of the first step, which every version reports to Keras' callbacks.
UNTIL_FIRST_STEP = """
import os, resource, sys, time
start = time.time()
sys.path.insert(0, sys.argv[1])
sys.argv = ["train.py", *sys.argv[2:]]
from keras.src.callbacks.callback_list import CallbackList

def end(self, batch, logs=None):
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'{{"seconds": {time.time() - start:.2f}, "mebibytes": {memory:.0f}}}', flush=True)
    os._exit(0)

CallbackList.on_train_batch_end = end
import runpy
runpy.run_path(os.path.join(sys.path[0], "train.py"), run_name="__main__")
"""


def small_jpegs(size: int, count: int) -> list[bytes]:
    """Makes JPEGs of about so many bytes, each of another picture."""
    import io

    import numpy as np
    from PIL import Image

    files = []
    side = 64 if size < 10_000 else 384
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        image, content = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC), io.BytesIO()
        image.save(content, "JPEG", quality=90)
        # A comment fills the file up to its size.
        data = content.getvalue()
        rest = max(0, size - len(data))
        while rest > 4:
            part = min(rest, 65_000)
            data = data[:2] + b"\xff\xfe" + (part - 2).to_bytes(2, "big") + bytes(part - 4) + data[2:]
            rest -= part
        files.append(data)
    return files


def make_folder(folder: pathlib.Path, count: int) -> None:
    """Makes a folder of class folders, of hard links to few files."""
    pictures = folder.with_name(f"{folder.name}-pictures")
    pictures.mkdir(parents=True)
    for number, data in enumerate(small_jpegs(2_000, -(-count // LINKS))):
        (pictures / f"{number}.jpg").write_bytes(data)
    classes = min(CLASSES, count // 10)
    for label in range(classes):
        (folder / f"n{label:08}").mkdir(parents=True)
    for number in range(count):
        label = number % classes
        os.link(pictures / f"{number // LINKS}.jpg", folder / f"n{label:08}" / f"n{label:08}_{number}.JPEG")


def make_records(folder: pathlib.Path, count: int, size: int) -> None:
    """Makes a data set as TFDS keeps it, with the features of ImageNet."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    files, each = small_jpegs(size, 43), 10_000
    shards = -(-count // each)
    version = folder / "made" / "1.0.0"
    version.mkdir(parents=True)
    lengths = []
    for shard in range(shards):
        path = version / f"made-train.tfrecord-{shard:05}-of-{shards:05}"
        lengths.append(min(each, count - shard * each))
        with tf.io.TFRecordWriter(str(path)) as writer:
            for number in range(shard * each, shard * each + lengths[-1]):
                values = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[files[number % 43]])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % CLASSES])),
                    "file_name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"n_%d.JPEG" % number])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(num_classes=CLASSES),
            "file_name": tfds.features.Text(),
        }
    )
    split = tfds.core.SplitInfo(
        name="train",
        shard_lengths=lengths,
        num_bytes=count * size,
        filename_template=tfds.core.ShardedFileTemplate(
            dataset_name="made", data_dir=version, split="train", filetype_suffix="tfrecord"
        ),
    )
    tfds.folder_dataset.write_metadata(data_dir=str(version), features=features, split_infos=[split])


def made(folder: pathlib.Path, kind: str, count: int) -> list[str]:
    """Makes a data set unless there is one, and returns the flags that train on it."""
    root = folder / f"{kind}-{count}"
    if not (folder / f"{root.name}.done").exists():
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root.with_name(f"{root.name}-pictures"), ignore_errors=True)
        if kind == "folder":
            make_folder(root, count)
        else:
            make_records(root, count, SETS[kind][1])
        (folder / f"{root.name}.done").touch()
    return [f"--dataset={'folder' if kind == 'folder' else 'made'}", f"--data_dir={root}"]


def first_step(options, flags: list[str], workdir: pathlib.Path) -> dict[str, float]:
    """Trains a step in a fresh process; returns the seconds until its end, and the process' memory."""
    shutil.rmtree(workdir, ignore_errors=True)
    command = [options.python, "-c", UNTIL_FIRST_STEP, options.checkout, *COMMAND, *flags, f"--workdir={workdir}"]
    start = time.monotonic()
    result = harness.measure_apart(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, stderr=subprocess.PIPE)
    shutil.rmtree(workdir, ignore_errors=True)
    return {**result, "process": round(time.monotonic() - start, 2)}


def main() -> None:
    """Makes the data and runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="folder for the data, 6 GB")
    parser.add_argument("--checkout", default=str(harness.HERE.parent), help="folder of the code to measure")
    parser.add_argument("--python", default=sys.executable, help="Python to measure it with")
    parser.add_argument("--sets", default="folder,records,large,monitor", help="which sets")
    options = parser.parse_args()
    folder = options.folder.absolute()
    result = {}
    for kind in options.sets.split(","):
        if kind == "monitor":
            flags = made(folder, "records", COUNT)
            result[kind] = first_step(options, [*flags, *MONITOR], folder / "run")
            print(f"{kind}: {result[kind]}", file=sys.stderr, flush=True)
            continue
        count = SETS[kind][0]
        for images in (FEW, count):
            flags = made(folder, kind, images)
            for index in (folder / f"{kind}-{images}").rglob(".simsiam_tf-*"):
                index.unlink()
            for start in ("first", "second"):
                result[f"{kind} {images} {start}"] = first_step(
                    options, [*flags, "--knn_every_epochs=0"], folder / "run"
                )
                print(f"{kind} {images} {start}: {result[f'{kind} {images} {start}']}", file=sys.stderr, flush=True)
    print(json.dumps(result))
    harness.write_result(result, options.json, indent=1)


if __name__ == "__main__":
    main()
