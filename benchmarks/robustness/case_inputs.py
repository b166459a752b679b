"""Makes the files of cases.py: folders of odd images, damaged runs, and short programs."""

import os
import pathlib
import shutil
import struct
import zlib
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


def with_endless_file(folder: pathlib.Path) -> None:
    """Writes two images, and a link to a device that never ends."""
    of(["a.png", "b.png"])(folder)
    (folder / "data" / "x.png").symlink_to("/dev/zero")


def with_pages(folder: pathlib.Path) -> None:
    """Writes two TIFF images of three pages each."""
    (folder / "data").mkdir()
    for seed in range(2):
        pages = [image(seed + 10 * page) for page in range(3)]
        pages[0].save(folder / "data" / f"{seed}.tif", save_all=True, append_images=pages[1:])


def turned(folder: pathlib.Path) -> None:
    """Writes photographs of two classes whose test images are alike only if EXIF is followed.

    A test image of class a is the upright photograph of a. That of class b is the photograph of a as it is stored.
    """
    gradient = np.linspace(0, 255, 40, dtype=np.uint8)
    stored = np.stack([np.tile(gradient, (40, 1)), np.tile(gradient[:, None], (1, 40)), np.zeros((40, 40), np.uint8)])
    stored = Image.fromarray(np.ascontiguousarray(stored.transpose(1, 2, 0)))
    upright = stored.transpose(Image.Transpose.ROTATE_270)  # as orientation 6 says
    for name, pixels, orientation in (("a", stored, 6), ("b", upright, 8)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for split, picture, options in (
            ("train", pixels, {"exif": exif}),
            ("test", {"a": upright, "b": stored}[name], {}),
        ):
            path = folder / "data" / split / name / "1.png"
            path.parent.mkdir(parents=True)
            picture.save(path, **options)


def vast(folder: pathlib.Path) -> None:
    """Writes two images, and a PNG of 13000 x 13000 pixels with 16 bits for each of four channels."""
    of(["a.png", "b.png"])(folder)
    packer = zlib.compressobj(1)
    row = b"\0" + (b"\xff" * 8 + bytes(6) + b"\xff\xff") * 6500  # white and black, opaque
    packed = b"".join(packer.compress(row) for _ in range(13000)) + packer.flush()
    header = struct.pack(">II", 13000, 13000) + bytes([16, 6, 0, 0, 0])
    with (folder / "data" / "vast.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, content in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
            checksum = zlib.crc32(name + content)
            file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum))


def many(count: int) -> Maker:
    """Returns a function that writes `count` images."""
    return of([f"{i}.png" for i in range(count)])


def with_more(folder: pathlib.Path) -> None:
    """Adds six images."""
    of([f"more{i}.png" for i in range(6)])(folder)


def with_fewer(folder: pathlib.Path) -> None:
    """Takes four images away."""
    for number in range(4):
        (folder / "data" / f"{number}.png").unlink()


def with_others(folder: pathlib.Path) -> None:
    """Replaces every image by one of other bytes."""
    for path in (folder / "data").iterdir():
        image(int(path.stem) + 100, 3).resize((41, 40)).save(path)


def damaged_files(pattern: str) -> Maker:
    """Returns a function that replaces by text all files of the run that a pattern matches; there must be some."""

    def damage(folder: pathlib.Path) -> None:
        paths = list((folder / "run").rglob(pattern))
        assert paths, f"the run has no {pattern}"
        for path in paths:
            path.write_bytes(b"\xffnone")

    return damage


def file_for(folder_name: str) -> Maker:
    """Returns a function that puts a file into the place of a folder."""

    def make(run: pathlib.Path) -> None:
        shutil.rmtree(run / folder_name, ignore_errors=True)
        (run / folder_name).write_bytes(b"none")

    return make


def flagfile_with_nul(folder: pathlib.Path) -> None:
    """Writes a flagfile that names a folder with a NUL in it."""
    (folder / "flags.txt").write_bytes(f"--data_dir={folder}/da\0ta\n".encode())


def with_skipped_folder(folder: pathlib.Path) -> None:
    """Writes two images and a broken one, and a folder in the place of the run's skipped.txt."""
    of(["a.png", "b.png"])(folder)
    (folder / "data" / "c.png").write_bytes(b"none")
    (folder / "run" / "skipped.txt").mkdir(parents=True)
