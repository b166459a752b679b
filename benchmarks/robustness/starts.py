"""Puts hundreds of flag lines through train.py's whole start, and looks at what becomes of each.

python benchmarks/robustness/starts.py --folder=runs/robustness [--lines=300] [--seconds=500]

Each line trains a tiny network for one step, unless it is refused or asks for more. A run that goes on is stopped by
SIGTERM, and must say so. The check goes on where it was stopped.
"""

import json
import math
import pathlib
import random
import shutil
import sys
import time
from typing import Any

from answers import FAULTS, Record, judge, make_parser
from damaged_runs import make_images
from lines import values
from workers import Worker, load

TINY = [
    *("--max_examples=16", "--image_size=16", "--arch=resnet18", "--width=0.125", "--projector_layers=2"),
    *("--projector_dim=16", "--predictor_dim=8", "--global_batch_size=16", "--epochs=1", "--warmup_epochs=0"),
    "--knn_max_examples=20",
]
# What the small network is made of, and what takes another place than the check's folder.
_LEFT_ALONE = ("workdir", "arch", "tpu", "download")


def draw(settings: list[Any], devices: set[str], number: int, images: pathlib.Path) -> tuple[list[str], bool]:
    """Returns a flag line, and whether it needs a process of its own because it sets up TensorFlow's devices."""
    chance = random.Random(number)
    line = list(TINY)
    line += [f"--dataset=folder --data_dir={images}".split(), ["--dataset=shapes"]][number % 2]
    line += [["--knn_every_epochs=0"], []][chance.random() < 0.2]
    ordinary = [s for s in settings if s.name not in devices and s.name not in _LEFT_ALONE]
    of_devices = [s for s in settings if s.name in devices and s.name not in _LEFT_ALONE]
    apart = chance.random() < 0.1
    chosen = chance.sample(ordinary, chance.choice([1, 1, 1, 2, 3])) + ([chance.choice(of_devices)] if apart else [])
    for setting in chosen:
        value = values(setting, chance)
        if chance.random() < 0.5 and setting.type in (int, float):
            value = chance.choice(["0", "1", "2", "3", "1e-8", "0.3", "0.999", "1.5", "17", "1e6", "3e38"])
            value = str(int(float(value))) if setting.type is int and float(value) < 1e7 else value
        line.append(f"--{setting.name}={value}")
    return line, apart


def silent(workdir: pathlib.Path, err: str) -> str:
    """Returns what is wrong with the record of a run that says that it is done; an empty string if nothing is."""
    try:
        records = json.loads((workdir / "summary.json").read_text(), parse_constant=lambda name: name)
    except (OSError, ValueError) as error:
        return f"summary.json: {error}"
    for name, record in records.items():
        value = record["value"]
        if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
            return f"{name} is {value}"
    loss = records.get("loss", {}).get("value")
    if not isinstance(loss, int | float) or not math.isfinite(loss):
        return f"loss is {loss}"
    if loss == 0 and "warning: " not in err:
        return "loss is 0, without a word"
    return ""


def main() -> int:
    """Runs the lines that have no answer yet, and prints the counts."""
    parser = make_parser(__doc__)
    parser.add_argument("--lines", type=int, default=300, help="number of flag lines")
    options = parser.parse_args()
    folder = options.folder.absolute()
    record, end = Record(folder / "starts.jsonl"), time.monotonic() + options.seconds
    missing = record.missing(map(str, range(options.lines)), options.again)
    if missing:
        load()
        start(missing, record, folder, end)
    return int(record.show() > 0)


def start(missing: list[str], record: Record, folder: pathlib.Path, end: float) -> None:
    """Runs lines until the time is up."""
    from simsiam_tf.cli.flags import _training_settings
    from simsiam_tf.config.devices import DeviceConfig

    devices, images, workdir = {s.name for s in DeviceConfig.settings()}, folder / "images", folder / "started"
    if not images.exists():
        make_images(images)
    worker = Worker()
    for case in missing:
        if time.monotonic() > end:
            print("PIECE: the time is up; the same command goes on.")
            break
        line, apart = draw(_training_settings(), devices, int(case), images)
        shutil.rmtree(workdir, ignore_errors=True)
        runner = Worker() if apart else worker
        answer = runner.run("train", [*line, f"--workdir={workdir}"], 120, stop_after=45)
        if apart:
            runner.end()
        kind, said = judge(answer)
        if kind == "done" and (wrong := silent(workdir, answer.err)):
            kind, said = "silent fault", wrong
        details: dict[str, Any] = {
            "line": [p[:200].encode("utf-8", "backslashreplace").decode() for p in line[len(TINY) :]]
        }
        if kind in FAULTS:
            details["err"], details["out"] = answer.err[-3000:], answer.out[-2000:]
        record.add(case, kind, said[:600], seconds=answer.seconds, **details)
    worker.end()


if __name__ == "__main__":
    sys.exit(main())
