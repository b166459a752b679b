"""Damages the files of a run in a thousand ways, and looks at what train.py and evaluate.py say to each.

python benchmarks/robustness/damaged_runs.py --folder=runs/robustness [--cases=1000] [--seconds=500]

A damage is answered well if the numbers are those of the undamaged run, or if one sentence says what is wrong. A
number that differs without a word is a silent fault. The check goes on where it was stopped.
"""

import json
import pathlib
import random
import shutil
import sys
import time
from typing import Any

import damages
import numpy as np
from answers import FAULTS, Answer, Record, judge, make_parser
from workers import Worker, load

# The measurements that must be the same after a damage, or be refused.
NUMBERS = ("weights_sha256", "loss", "z_std_scaled", "knn_top1", "knn_top5", "linear_cached_top1", "linear_cached_top5")
# The warning of the image that cannot be read, which an undamaged run has too.
_ALWAYS_SAID = "images/a/0.png"
PROTOCOLS = {
    "features": ("knn", "linear", "diagnostics", "embed", "neighbours"),
    "probes": ("linear",),
    "embeddings": ("embed",),
    "neighbours": ("neighbours",),
    "export": ("export",),
    "tensorboard": ("train half", "report"),
    "checkpoints": ("train half", "train half", "knn", "linear", "export", "train finished"),
}
OF_THE_ROOT = ("train half", "train finished", "knn", "linear", "report", "diagnostics", "export")


def make_images(folder: pathlib.Path) -> None:
    """Makes 48 images of three classes, one of which cannot be read."""
    from PIL import Image

    chance = np.random.default_rng(0)
    for i in range(48):
        colour = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])[i % 3]
        levels = np.clip(chance.normal(colour, 50, (20, 20, 3)), 0, 255).astype(np.uint8)
        path = folder / "abc"[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(path)
    (folder / "a" / "0.png").write_bytes(b"no image")


def train_flags(images: pathlib.Path, workdir: pathlib.Path) -> list[str]:
    """Returns the command line of the run."""
    return [
        *("--dataset=folder", f"--data_dir={images}", "--holdout=0.25", "--max_bad_fraction=0.1", "--image_size=16"),
        *("--arch=resnet18", "--width=0.125", "--projector_layers=2", "--projector_dim=16", "--predictor_dim=8"),
        *("--global_batch_size=16", "--epochs=3", "--save_every_steps=1", "--keep_checkpoints=9", "--deterministic"),
        f"--workdir={workdir}",
    ]


def evaluate_flags(protocol: str, images: pathlib.Path, workdir: pathlib.Path) -> list[str]:
    """Returns the command line of an evaluation."""
    return [
        *(f"--protocol={protocol}", f"--workdir={workdir}", "--probe=cached", "--probe_epochs=2", "--knn_k=5"),
        *("--sweep_learning_rates=0.1,1", "--sweep_weight_decays=0", f"--query={images}/b/1.png"),
    ]


def make_runs(worker: Worker, base: pathlib.Path) -> None:
    """Makes a finished run with all evaluations, and the same run as a kill after step 4 leaves it."""
    if (base / "half").exists():
        return
    shutil.rmtree(base, ignore_errors=True)
    make_images(base / "images")
    expect(worker.run("train", train_flags(base / "images", base / "finished"), 200))
    for protocol in ("knn", "linear", "diagnostics", "report", "embed", "neighbours", "export"):
        expect(worker.run("evaluate", evaluate_flags(protocol, base / "images", base / "finished"), 200))
    shutil.copytree(base / "finished", base / "half.draft")
    (base / "half.draft" / "summary.json").unlink()
    for path in (base / "half.draft" / "checkpoints").glob("step-*"):
        if int(path.name.partition(".")[0].removeprefix("step-")) > 4:
            path.unlink()
    (base / "half.draft").rename(base / "half")


def expect(answer: Answer) -> None:
    """Ends the check if a command on undamaged files fails."""
    if answer.code:
        sys.exit(f"The undamaged run fails: {answer.out}\n{answer.err}")


def numbers(workdir: pathlib.Path) -> dict[str, Any]:
    """Returns the measurements of a run by name, as summary.json has them."""
    try:
        records = json.loads((workdir / "summary.json").read_text())
        return {name: records[name]["value"] for name in NUMBERS if name in records}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


class Check:
    """Makes damages and judges the answers to them.

    Args:
        folder: the folder of the check.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.worker, self.base, self.place = Worker(), folder / "base", folder / "damaged"
        make_runs(self.worker, self.base)
        self.expected = numbers(self.base / "finished")
        self.files = sorted(p.relative_to(self.base / "finished") for p in self._files("finished"))

    def _files(self, run: str) -> list[pathlib.Path]:
        return [p for p in (self.base / run).rglob("*") if p.is_file() and not p.is_symlink()]

    def draw(self, number: int) -> tuple[pathlib.Path, damages.Damage, str]:
        """Returns the file, the damage and the command of a case. Each kind of file is as likely."""
        chance = random.Random(number)
        rooms = sorted({p.parts[0] for p in self.files})
        weights = [3 if room in ("config.json", "summary.json", "checkpoints", "features") else 1 for room in rooms]
        room = chance.choices(rooms, weights)[0]
        path = chance.choice([p for p in self.files if p.parts[0] == room])
        damage = chance.choice(damages.possible(path))
        command = chance.choice(PROTOCOLS.get(room, OF_THE_ROOT))
        half = [p.relative_to(self.base / "half") for p in self._files("half") if p.parts[-len(path.parts)] == room]
        if command == "train half" and path not in half:
            inside = sorted(p for p in half if p.parts[0] == room)
            path, command = (chance.choice(inside), command) if inside else (path, "train finished")
        return path, damage, command

    def run(self, number: int) -> tuple[str, str, dict[str, Any]]:
        """Makes a damage, gives the command, and returns the class of its answer, what it said, and the details."""
        path, damage, command = self.draw(number)
        run = "half" if command == "train half" else "finished"
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.base / run, self.place / "run")
        target = self.place / "run" / path
        damage(target, random.Random(number))
        flags = train_flags(self.base / "images", self.place / "run")
        if not command.startswith("train"):
            flags = evaluate_flags(command, self.base / "images", self.place / "run")
        answer = self.worker.run("train" if command.startswith("train") else "evaluate", flags, 60)
        kind, said = judge(answer)
        details = {"file": str(path), "damage": damage.__name__, "command": command, "seconds": answer.seconds}
        if kind in FAULTS:
            details["err"] = answer.err[-3000:]
        if kind == "done":
            kind, said = self.compare(command, answer, path, damage)
        return kind, said, details

    def compare(self, command: str, answer: Answer, path: pathlib.Path, damage: damages.Damage) -> tuple[str, str]:
        """Returns the class of a command that did its work: whether its numbers are those of the undamaged run."""
        found = numbers(self.place / "run")
        wanted = {"knn": ("knn_top1", "knn_top5"), "linear": ("linear_cached_top1", "linear_cached_top5")}
        names = {"train half": ("weights_sha256", "loss", "z_std_scaled")}.get(command, wanted.get(command, ()))
        other = {n: (found.get(n), self.expected[n]) for n in names if found.get(n) != self.expected[n]}
        warned = [line for line in answer.err.splitlines() if line.startswith("warning: ") and _ALWAYS_SAID not in line]
        if not other:
            return ("done, and said" if warned else "done, equal"), (warned or [""])[0]
        if warned:
            return "done otherwise, and said", warned[0]
        if path.name == "config.json" and damage is damages.edit_json:
            return "done otherwise, as config.json asks", str(other)
        return "silent fault", str(other)


def main() -> int:
    """Runs the cases that have no answer yet, and prints the counts."""
    parser = make_parser(__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="number of damages")
    options = parser.parse_args()
    folder = options.folder.absolute()
    record, end = Record(folder / "damaged_runs.jsonl"), time.monotonic() + options.seconds
    missing = record.missing(map(str, range(options.cases)), options.again)
    if missing:
        load()
        check = Check(folder)
        for case in missing:
            if time.monotonic() > end:
                print("PIECE: the time is up; the same command goes on.")
                break
            kind, said, details = check.run(int(case))
            record.add(case, kind, said, **details)
        check.worker.end()
    return int(record.show() > 0)


if __name__ == "__main__":
    sys.exit(main())
