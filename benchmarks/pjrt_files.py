"""Reads and writes the files of a run without TensorFlow: the folder W/pjrt of pjrt_run.py. It needs only NumPy."""

import json
import pathlib
import sys
from typing import Any

import numpy as np
import parts

# A state is saved after an epoch if the last one is so many seconds old.
_SAVE_SECONDS = 60.0


def read_meta(folder: pathlib.Path) -> dict[str, Any]:
    """Reads what `export` says of the run. If nothing is there, the process ends with a sentence that says what lacks.

    Args:
        folder: the folder W/pjrt. If it came in parts, they are kept beside W.
    """
    if (folder / "meta.json").exists():
        return json.loads((folder / "meta.json").read_text())
    missing = parts.missing_parts(folder.parent.parent)
    lacks = "no part of it was taken" if missing == ["all"] else f"these parts were not taken: {', '.join(missing)}"
    sys.exit(f"error: {folder} holds no exported run ({lacks}); take them by parts.py, or export the run here.")


def read_images(folder: pathlib.Path, meta: dict[str, Any]) -> np.ndarray:
    """Reads the training images, `[N, H, W, 3] uint8`, or draws noise if the run is one of noise."""
    if not meta["noise"]:
        return np.load(folder / "images.npy")
    count, side = meta["noise"]["count"], meta["noise"]["side"]
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def load_state(folder: pathlib.Path, name: str = "") -> tuple[list[str], list[np.ndarray], int]:
    """Reads the names and values of a state, in the order of the program, and its step.

    Args:
        folder: the folder W/pjrt.
        name: the name of the file; by default the latest state.
    """
    path = folder / (name or ("state.npz" if (folder / "state.npz").exists() else "initial.npz"))
    with np.load(path) as file:
        keys = sorted(key for key in file.files if ":" in key)
        step = int(file["step"]) if "step" in file.files else 0
        names, values = [key.partition(":")[2] for key in keys], [file[key] for key in keys]
    return [n.removeprefix("drawn:") for n in names], [_drawn(n, v) for n, v in zip(names, values, strict=True)], step


def _drawn(name, value):
    """Draws weights of a run of noise, of which only shape and deviation are stored."""
    if not name.startswith("drawn:"):
        return value
    *shape, deviation = value
    return np.random.default_rng(0).normal(0.0, deviation, np.array(shape, int)).astype(np.float32)


def write_state(path: pathlib.Path, names: list[str], values: list[np.ndarray], step: int) -> None:
    """Writes a state, all of it or nothing."""
    draft = path.with_name("draft.npz")
    np.savez(draft, step=step, **{f"{i:05d}:{name}": v for i, (name, v) in enumerate(zip(names, values, strict=True))})
    draft.replace(path)


class Record:
    """Keeps metrics.jsonl, with a line for each epoch and one where a process stopped within an epoch.

    Args:
        folder: the folder W/pjrt.
        step: the step that the process begins with. Lines after it are removed, because those steps are taken again.
    """

    def __init__(self, folder: pathlib.Path, step: int):
        self._path = folder / "metrics.jsonl"
        lines = read_lines(folder)
        kept = [line for line in lines if line["step"] <= step]
        if kept != lines:
            self._path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self.seconds_before = kept[-1]["wall_seconds"] if kept else 0.0

    def append(self, line: dict[str, Any]) -> None:
        """Adds a line, and prints it."""
        print(json.dumps(line), flush=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_lines(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the lines of metrics.jsonl."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Saver:
    """Saves the state when it is due.

    Args:
        folder: the folder W/pjrt.
        names: the names of the variables.
        clock: the clock of the run.
    """

    def __init__(self, folder: pathlib.Path, names: list[str], clock: Any):
        self._folder, self._names, self._clock, self._saved = folder, names, clock, 0.0

    def after_epoch(self, state: list[Any], step: int, last: bool) -> None:
        """Saves the state if the last one is a minute old, or if it is the last one."""
        now = self._clock.wall_seconds
        if last or now - self._saved >= _SAVE_SECONDS:
            write_state(self._folder / "state.npz", self._names, [np.asarray(value) for value in state], step)
            self._saved = now


def split_state(folder: pathlib.Path) -> None:
    """Writes the latest state as two folders of which each can travel alone: W/weights and W/velocity.

    Weights with their statistics are enough to evaluate; to go on takes both.

    Args:
        folder: the folder W/pjrt.
    """
    names, values, step = load_state(folder)
    for part, of_optimizer in (("weights", False), ("velocity", True)):
        (folder.parent / part).mkdir(exist_ok=True)
        # The numbers of the variables become part of their names, so that their order comes back.
        chosen = [i for i, name in enumerate(names) if name.startswith("optimizer/") == of_optimizer]
        path = folder.parent / part / f"{part}.npz"
        write_state(path, [f"{i:05d}/{names[i]}" for i in chosen], [values[i] for i in chosen], step)
    lines = "".join(json.dumps(line) + "\n" for line in read_lines(folder) if line["step"] <= step)
    (folder.parent / "weights" / "metrics.jsonl").write_text(lines)


def join_state(folder: pathlib.Path) -> tuple[list[str], list[np.ndarray], int, bool]:
    """Reads the latest state; if it came as weights.npz and velocity.npz, they become state.npz.

    Args:
        folder: the folder W/pjrt.

    Returns:
        Names, values and step, as from `load_state`; and whether the state is whole. If the velocity has not come yet,
        or is of another step, there are only weights.
    """
    if not (folder / "weights.npz").exists():
        return *load_state(folder), True
    names, values, step = load_state(folder, "weights.npz")
    numbered = dict(zip(names, values, strict=True))
    is_whole = False
    if (folder / "velocity.npz").exists():
        names, values, other = load_state(folder, "velocity.npz")
        is_whole = other == step
        numbered |= dict(zip(names, values, strict=True)) if is_whole else {}
    names, values = [name.partition("/")[2] for name in sorted(numbered)], [numbered[name] for name in sorted(numbered)]
    there = load_state(folder)[2] if (folder / "state.npz").exists() else 0
    if there > step:
        sys.exit(
            f"error: {folder} has a state of step {there}, and the halves beside it are older; remove weights.npz and "
            f"velocity.npz, or state.npz if the older state is meant. Received: halves of step {step}."
        )
    if is_whole:
        write_state(folder / "state.npz", names, values, step)
        for name in ("weights.npz", "velocity.npz"):
            (folder / name).unlink()
    return names, values, step, is_whole
