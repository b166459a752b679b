"""Makes the files of cases.py: folders of odd images, damaged runs, and short programs."""

import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from PIL import Image

Maker = Callable[[pathlib.Path], None]


def image(seed: int = 0, channels: int = 3) -> Image.Image:
    """Returns an image of noise, 40 x 40."""
    values = np.random.default_rng(seed).integers(0, 256, (40, 40, channels), dtype=np.uint8)
    return Image.fromarray(values)


def of(names: Iterable[str], root: str = "data") -> Maker:
    """Returns a function that writes an image under each of the names."""

    def make(folder: pathlib.Path) -> None:
        for seed, name in enumerate(names):
            path = folder / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image(seed).save(path)

    return make


def classes_that_lack_one(folder: pathlib.Path) -> None:
    """Writes the same image for a class in each split; the test split lacks the first class."""
    for split, names in (("training", "abc"), ("test", "bc")):
        for name in names:
            path = folder / "data" / split / name / "1.png"
            path.parent.mkdir(parents=True)
            image(ord(name)).save(path)


def with_loop(links: int) -> Maker:
    """Returns a function that links a folder to the one above it."""

    def make(folder: pathlib.Path) -> None:
        of(["a/1.png", "b/1.png"])(folder)
        for number in range(links):
            (folder / "data" / "a" / f"again{number}").symlink_to("..")

    return make


def with_pipe(folder: pathlib.Path) -> None:
    """Writes two images, and a pipe beside them."""
    of(["a.png", "b.png"])(folder)
    os.mkfifo(folder / "data" / "x.png")


def of_many_formats(folder: pathlib.Path) -> None:
    """Writes two JPEG images and five in other formats, and a file that holds none."""
    of(["a.jpg", "b.jpg", "c.ppm", "d.avif", "e.jp2", "f.tga"])(folder)
    image(7).save(folder / "data" / "g.jfif", "JPEG")
    (folder / "data" / "notes.txt").write_text("none")


def with_cut_image(folder: pathlib.Path) -> None:
    """Writes 50 images, of which one is cut short."""
    of([f"{i}.jpg" for i in range(50)])(folder)
    path = folder / "data" / "7.jpg"
    path.write_bytes(path.read_bytes()[:400])


def with_raw_names(folder: pathlib.Path) -> None:
    """Writes six images, and six files that are none, with control characters in their names."""
    of([f"{i}.png" for i in range(6)])(folder)
    for name in ("a\nb", "a\u2028b", "a\x1b[31mb", "a\x07b", "a\rb", "a\tb"):
        (folder / "data" / f"{name}.png").write_bytes(b"none")


def with_bands(folder: pathlib.Path) -> None:
    """Writes TIFF images of four bands, of which the last is no alpha."""
    (folder / "data").mkdir()
    for seed in range(2):
        values = np.array(image(seed, 4))
        Image.frombytes("RGBX", (40, 40), values.tobytes()).save(folder / "data" / f"{seed}.tif")


def tiff(dtype: str, low: float, high: float) -> Maker:
    """Returns a function that writes TIFF images of a type, with values of a range."""

    def make(folder: pathlib.Path) -> None:
        (folder / "data").mkdir()
        for seed in range(4):
            values = np.random.default_rng(seed).uniform(low, high, (40, 40))
            Image.fromarray(values.astype(dtype)).save(folder / "data" / f"{seed}.tif")

    return make


def icons(folder: pathlib.Path) -> None:
    """Writes PNG images whose colours are all 0, and whose drawing is in alpha."""
    (folder / "data").mkdir()
    for seed in range(8):
        values = np.array(image(seed, 4))
        values[..., :3] = 0
        Image.fromarray(values).save(folder / "data" / f"{seed}.png")


def with_postscript(folder: pathlib.Path) -> None:
    """Writes four images and an EPS under the name of a JPEG, and a Ghostscript that leaves a mark."""
    of([f"{i}.png" for i in range(4)])(folder)
    image().save(folder / "data" / "x.jpg", "EPS")
    program = folder / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {folder}/ghostscript-was-started\nexit 1\n")
    program.chmod(0o755)


def binary(folder: pathlib.Path) -> None:
    """Writes a file that is no text."""
    (folder / "data").write_bytes(b"\xff\xfe\x00--epochs")


def nothing(run: pathlib.Path) -> None:
    """Leaves a run as it is."""


def damages(file: str, kinds: Iterable[str]) -> Iterator[tuple[str, Maker]]:
    """Yields the name of a damage, and a function that does it to a file of a run."""
    contents = {"empty": b"", "[]": b"[]\n", "not UTF-8": b"\xff\xfe\x80\n"}

    def damage(run: pathlib.Path, kind: str) -> None:
        (run / file).unlink()
        (run / file).mkdir() if kind == "a folder" else (run / file).write_bytes(contents[kind])

    for kind in kinds:
        yield kind, lambda run, kind=kind: damage(run, kind)


def stray_checkpoint(run: pathlib.Path) -> None:
    """Copies the index of a checkpoint."""
    index = next((run / "checkpoints").glob("*.index"))
    shutil.copy(index, index.with_name(f"{index.stem}-copy.index"))


def broken_features(run: pathlib.Path) -> None:
    """Replaces all stored features by text."""
    for path in (run / "features").rglob("*.npy"):
        path.write_bytes(b"none")


def folder_for(file: str) -> Maker:
    """Returns a function that puts a folder into the place of a file."""

    def make(run: pathlib.Path) -> None:
        (run / file).unlink(missing_ok=True)
        (run / file).mkdir()

    return make


def without_records(run: pathlib.Path) -> None:
    """Deletes what a finished run has recorded."""
    (run / "summary.json").unlink()
    (run / "metrics.jsonl").unlink()


NARROW_SHORTCUT = """
import numpy as np, tensorflow as tf, simsiam_tf
from simsiam_tf import resnet18
images = np.random.default_rng(0).standard_normal((17, 64, 64, 3)).astype("float32")
block = resnet18(cifar_stem=True, width=0.0625).blocks[2]
for _ in range(20):
    x = tf.random.stateless_normal([17, 64, 64, 4], [0, 0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(block(x))) / 2
    got = tape.gradient(loss, block.shortcut_conv.kernel)[0, 0]
    scale = (1 + 1e-5) ** -0.5
    pixels = tf.reshape(x[:, ::2, ::2], [-1, 4])
    outputs = tf.nn.relu(pixels @ block.shortcut_conv.kernel[0, 0] * scale)
    expected = tf.transpose(pixels) @ outputs * scale
    assert float(tf.reduce_max(tf.abs(got - expected)) / tf.reduce_max(tf.abs(expected))) < 1e-4, "a wrong gradient"
print("equal")
"""

TWO_REPLICAS = """
import numpy as np, tensorflow as tf, keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from simsiam_tf import SGD, SimSiam
views = np.random.default_rng(0).standard_normal((2, 8, 8, 8, 3)).astype("float32")
views[:, 4:] += 3
means = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((8, 8, 3))
        norm = keras.layers.BatchNormalization()
        x = keras.layers.ReLU()(norm(keras.layers.Conv2D(8, 3)(inputs)))
        model = SimSiam(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)), projector_dim=16,
                        projector_layers=2, predictor_dim=8)
        model.compile(SGD(0.1))
    model.fit(tf.data.Dataset.from_tensors(tuple(views)).unbatch().batch(8), verbose=0)
    means.append(norm.moving_variance.numpy())
np.testing.assert_allclose(*means, atol=1e-5)
print("equal")
"""

CLOSED_FOLDERS = """
import errno, os, sys
open_file = os.open
def refusing(path, flags, *args, **kwargs):
    if "dir_fd" not in kwargs and not flags & os.O_CREAT and os.path.isdir(path) and "checkpoints" in os.fspath(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return open_file(path, flags, *args, **kwargs)
os.open = refusing
sys.argv[0] = "train.py"
exec(compile(open("train.py").read(), "train.py", "exec"))
"""

LOADS = """
import os, subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "backbone.keras")
    save = f"import simsiam_tf; simsiam_tf.resnet18(width=0.125).save({path!r})"
    subprocess.run([sys.executable, "-c", save], check=True)
    load = f"import simsiam_tf, keras; keras.saving.load_model({path!r})"
    subprocess.run([sys.executable, "-c", load], check=True)
print("loaded")
"""
