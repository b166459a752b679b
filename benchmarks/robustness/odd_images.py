"""Reads thousands of odd image files as training does, and compares what comes out with another way of reading them.

python benchmarks/robustness/odd_images.py --folder=runs/robustness [--also=FOLDER ...] [--seconds=500]

Each file must be decoded to the picture that is meant, or listed as unreadable, or asked about in one sentence. What is
meant is known where the file was made from it; for other files Pillow's own conversion to RGB says it. A picture that
differs, and one that Pillow calls damaged, are silent faults. --also reads the images of other folders too, such as
the unpacked source packages of libtiff and scikit-image. The check goes on where it was stopped.
"""

import argparse
import contextlib
import hashlib
import io
import os
import pathlib
import resource
import select
import shutil
import signal
import struct
import sys
import time
import warnings
import zlib
from typing import Any

import numpy as np
from answers import Record, is_sentence, make_parser
from odd_png import parts_of_png

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

from PIL import Image, ImageOps

# A file may take as long, and reading may take as much memory beyond what the process has at its start.
SECONDS, MEMORY = 30, 6 << 30
SIDE = 24
# The default of --max_pixels.
MOST_PIXELS = 200_000_000


def reference(data: bytes) -> tuple[np.ndarray | None, str]:
    """Decodes a file by Pillow alone, without the code under test.

    Returns:
        The upright picture `[H, W, 3] uint8`, or `None` and why there is none: `unreadable: ...` or `no range`.
    """
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MOST_PIXELS:
            return None, "unreadable: too many pixels"
        image.load()
        if image.format == "TIFF" and image.mode.startswith("I;16"):
            image = _white_is_zero(image)
        with contextlib.suppress(Exception):  # a broken EXIF block is no reason to leave a picture out
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16") or (image.mode == "I" and _is_deep(data)):
            values = np.asarray(image).astype(np.float64)
            return np.repeat(np.rint(np.clip(values / 257, 0, 255)).astype(np.uint8)[..., None], 3, -1), ""
        if image.mode in ("I", "F") or image.mode.startswith("I"):
            return None, "no range"
        return np.asarray(image.convert("RGB")), ""
    except Exception as error:
        return None, f"unreadable: {error}"


def _white_is_zero(image: Any) -> Image.Image:
    values = np.asarray(image)
    return image if image.tag_v2.get(262) != 0 else Image.fromarray((65535 - values.astype(np.int64)).astype(np.uint16))


def _is_deep(data: bytes) -> bool:
    return data[:4] == b"\x89PNG" or data[:1] == b"P" or data[4:8] == b"jP  " or data[:4] == b"\xff\x4f\xff\x51"


class Reader:
    """Reads images by the code of training, in a forked process with a limit of time and of memory.

    Args:
        folder: the folder of images.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.data import DataConfig
        from simsiam_tf.data.dataset import DataSet

        config = DataConfig(dataset="folder", data_dir=str(folder), layout="flat", max_bad_fraction=0.999)
        self.data = DataSet(config)
        self.names = [self.data.training.files.name(i) for i in range(self.data.training.num_examples)]
        self._pid = 0

    def read(self, position: int) -> dict[str, Any]:
        """Reads an image; returns the class of the answer, its words, and the view's pixels."""
        if not self._pid:
            self._start()
        os.write(self._requests, position.to_bytes(8, "little"))
        if not select.select([self._answers], [], [], SECONDS)[0]:
            os.kill(self._pid, signal.SIGKILL)
            self._wait()
            return {"class": "hang", "said": ""}
        size = os.read(self._answers, 8)
        if not size:
            return {"class": "died", "said": f"exit {self._wait()}"}
        content = b""
        while len(content) < int.from_bytes(size, "little"):
            content += os.read(self._answers, 1 << 20)
        kind, _, rest = content.partition(b"\n")
        if kind == b"view":
            return {"class": "decoded", "said": "", "view": np.frombuffer(rest, np.uint8).reshape(SIDE, SIDE, 3)}
        return {"class": kind.decode(), "said": rest.decode("utf-8", "backslashreplace")}

    def _wait(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _start(self) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(requests)
            os.close(answers)
            return
        os.close(self._requests)
        os.close(self._answers)
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        while request := os.read(requests, 8):
            content = self._answer(int.from_bytes(request, "little"))
            os.write(answers, len(content).to_bytes(8, "little") + content)
        os._exit(0)

    def _answer(self, position: int) -> bytes:
        from simsiam_tf.data.pipeline import _Reader
        from simsiam_tf.data.pixels import UnknownValuesError

        source = self.data.training
        crop = np.zeros((SIDE, SIDE, 3), np.uint8)
        before = len(source.files._skipped.reasons)
        try:
            found = _Reader(source, (view_policy(),), SIDE, 0)._load([crop], position, [np.zeros(0)], False)
        except UnknownValuesError as error:
            source.files.unreadable._ended = None
            return b"asked\n" + str(error).encode("utf-8", "surrogateescape")
        except BaseException as error:
            return b"traceback\n" + repr(error).encode("utf-8", "backslashreplace")
        if found == position:
            return b"view\n" + crop.tobytes()
        reasons = source.files._skipped.reasons
        said = list(reasons.values())[-1] if len(reasons) > before else ""
        return (b"unreadable\n" if said else b"silent fault\n") + said.encode("utf-8", "backslashreplace")


def view_policy() -> Any:
    """Returns the policy of the view: the centre crop of evaluations."""
    from simsiam_tf.augment.policies import EVALUATION_CROP

    return EVALUATION_CROP


def view_of(picture: np.ndarray) -> np.ndarray:
    """Makes the view of a whole picture, from its pixels alone."""
    from simsiam_tf.augment import views

    policy = view_policy()
    top, left, height, width = views.box(policy, [], *picture.shape[:2], SIDE)
    corners = (left, top, left + width, top + height)
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=corners))


def lacks_rows(data: bytes) -> bool:
    """Returns whether the compressed data of a PNG have not even a byte for each row, which Pillow does not notice."""
    content = b"".join(part[8:-4] for part in parts_of_png(data) if part[4:8] == b"IDAT")
    return len(zlib.decompressobj().decompress(content)) < struct.unpack_from(">I", data, 20)[0]


def compare(answer: dict[str, Any], data: bytes, meant: np.ndarray | None) -> tuple[str, str]:
    """Returns the class of an answer, once it is compared with what was meant, and its words."""
    kind, said = answer["class"], answer["said"]
    picture, why = (meant, "") if meant is not None else reference(data)
    if kind == "asked":
        return ("asked, in one sentence" if is_sentence(said) else "no sentence"), said
    if kind == "unreadable":
        if meant is not None and reference(data)[0] is not None:
            return "silent fault", f"a good file is unreadable: {said}"
        if "the PNG end early" in said and lacks_rows(data):
            return "unreadable, and listed", said
        if meant is None and picture is not None and "no image of a kind" not in said and "--max_pixels" not in said:
            return "silent fault", f"Pillow reads it: {said}"
        return "unreadable, and listed", said
    if kind != "decoded":
        return kind, said
    if picture is None:
        return "silent fault", f"decoded, where Pillow says {why}"
    difference = np.abs(answer["view"].astype(int) - view_of(picture)).max()
    # Large JPEGs that are shrunk a lot are decoded at a reduced size (simsiam_tf/data/decoding.py).
    allowed = 40 if max(picture.shape[:2]) > 200 and data[:2] == b"\xff\xd8" else 1
    if difference > allowed:
        return "silent fault", f"differs by {difference} of 255"
    return "decoded to what is meant" if meant is not None else "decoded as Pillow does", ""


def write_cases(folder: pathlib.Path) -> dict[str, Any]:
    """Writes the made files into a folder, with pipes, links and folders beside them; returns what each means."""
    from odd_files import all_cases

    meanings = folder.with_name(f"{folder.name}.npz")
    if meanings.exists():
        with np.load(meanings) as held:
            return {os.fsdecode(bytes.fromhex(name)): held[name] for name in held}
    cases = {case.name: case for case in all_cases()}
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for case in cases.values():
            (draft / case.name).write_bytes(case.data)
        for name in ("pipe.png", "pipe.jpg"):
            os.mkfifo(draft / name)
        for name, target in (("nowhere.png", "no"), ("zero.png", "/dev/zero"), ("self.png", "self.png"), ("up", "..")):
            (draft / name).symlink_to(target)
        (draft / "folder.png").mkdir()
        draft.rename(folder)
    meant = {case.name: case.meant for case in cases.values() if case.meant is not None}
    np.savez(meanings, **{os.fsencode(name).hex(): levels for name, levels in meant.items()})
    return meant


def main() -> int:
    """Reads the files that have no answer yet, and prints the counts."""
    parser = make_parser(__doc__)
    parser.add_argument("--also", nargs="*", default=[], type=pathlib.Path, help="other folders of images")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
    end = time.monotonic() + options.seconds
    made = options.folder.absolute() / "odd_images"
    faults = check(made, write_cases(made), options, end)
    for folder in options.also:
        faults += check(folder.absolute(), {}, options, end)
    return int(faults > 0)


def check(folder: pathlib.Path, cases: dict[str, Any], options: argparse.Namespace, end: float) -> int:
    """Reads the images of a folder, and prints the counts; returns the number of faults."""
    import logging

    logging.getLogger("simsiam_tf").setLevel(logging.ERROR)
    reader = Reader(folder)
    Image.MAX_IMAGE_PIXELS = None
    name = "odd_images" if cases else f"images-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"
    record, numbers = Record(options.folder / f"{name}.jsonl"), {name: i for i, name in enumerate(reader.names)}
    for case in record.missing(reader.names, options.again):
        if time.monotonic() > end:
            print("PIECE: the time is up; the same command goes on.")
            break
        start = time.monotonic()
        answer = reader.read(numbers[case])
        seconds, meant = time.monotonic() - start, cases.get(case)
        kind, said = answer["class"], answer["said"]
        if kind not in ("hang", "died", "traceback"):
            path = folder / case
            data = path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 30 else b""
            kind, said = compare(answer, data, meant)
        shown = case.encode("utf-8", "backslashreplace").decode()
        record.add(shown, kind, said[:300], seconds=round(seconds, 3))
    left_out = {kind: len(names) for kind, names in reader.data.folder.left_out.items()}
    print(f"{folder}: {len(reader.names)} images; left out: {left_out}")
    return record.show()


if __name__ == "__main__":
    sys.exit(main())
