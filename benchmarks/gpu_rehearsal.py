"""Rehearses gpu_day.sh on the CPU in a tiny size, under the limits of the calls that reach a card.

benchmarks/gpu_day.sh rehearse --card_python=ENV/bin/python [--torch_python=ENV/bin/python] [--folder=runs/rehearsal]
benchmarks/gpu_day.sh rehearse --card_python=... --carried=runs/day   # sends that export instead, and gives its state

The environment of `--card_python` has JAX and NumPy, and no TensorFlow. Each call runs in a checkout of its own,
without network and with no other environment variables, and is refused if it breaks a limit. The log is FOLDER/log.txt.
"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time

MIB = 2**20
# The limits of a call: what travels to the card, what comes back, and the time.
IN_BYTES, OUT_FILES, OUT_FILE_BYTES, OUT_BYTES, SECONDS = 64 * MIB, 8, 16 * MIB, 64 * MIB, 600
ROOT = pathlib.Path(__file__).resolve().parents[1]
# A network and a data set of the same kind as those of the day, but tiny.
TINY = {
    "CIFAR": "--dataset=shapes --max_examples=512 --image_size=32 --augmentation=simsiam_cifar --arch=resnet18"
    " --width=0.0625 --projector_layers=2 --projector_dim=16 --predictor_dim=8 --global_batch_size=128"
    " --precision=bfloat16",
    "EPOCHS": "3 6",
    "BENCH": "--dataset=shapes --arch=resnet18 --width=0.0625 --projector_layers=2 --projector_dim=16 --predictor_dim=8"
    " --epochs=1 --noise=64 --side=40 --precision=bfloat16",
    "BATCH": "8",
    "SIDE": "32",
    "STEPS": "6",
    "BENCH_SECONDS": "240",
    "TORCH": "--precision=bfloat16 --side=40 --images=64 --width=8 --channels_last",
    "KNN_EVERY": "1",
    "PART_MIB": "2",
    "EVALUATE": "--protocol=knn --knn_max_examples=512",
}

# Writes a state of noise, which compresses as little as one that was trained.
NOISE = """
import os, pathlib, sys
sys.path.insert(0, 'benchmarks')
import numpy as np, pjrt_files
folder, draw = pathlib.Path(os.environ['PLACE']) / 'c200' / 'pjrt', np.random.default_rng(0).normal
names, values, _ = pjrt_files.load_state(folder)
values = [draw(size=v.shape).astype(v.dtype) if v.dtype.kind == 'f' else v for v in values]
pjrt_files.write_state(folder / 'state.npz', names, values, 1)
"""


@dataclasses.dataclass
class Card:
    """Stands in for the machine with the card: a folder, an environment and the limits.

    Attributes:
        folder: the folder of the rehearsal.
        python: the Python with JAX.
        torch_python: the Python with PyTorch; may be empty.
        calls: the number of calls so far.
    """

    folder: pathlib.Path
    python: str
    torch_python: str
    calls: int = 0

    def say(self, text: str) -> None:
        """Prints a line, and adds it to the log."""
        print(text, flush=True)
        with (self.folder / "log.txt").open("a") as file:
            file.write(text + "\n")

    def send(self, carried: list[pathlib.Path]) -> int:
        """Copies the checkout and what is carried to the card; returns the bytes that travel."""
        checkout = self.folder / "card" / "checkout"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.splitlines()
        files = [(ROOT / name, checkout / name) for name in listed if (ROOT / name).is_file()]
        shutil.rmtree(checkout / "carried", ignore_errors=True)
        for folder in carried:
            inside = [path for path in folder.rglob("*") if path.is_file()]
            files += [(path, checkout / "carried" / path.relative_to(folder.parents[1])) for path in inside]
        for source, target in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        return sum(source.stat().st_size for source, _ in files)

    def call(self, command: str, carried: tuple[pathlib.Path, ...] = (), seconds: int = SECONDS, **more: str):
        """Makes a call, and checks it against the limits.

        Args:
            command: the command line, run in the checkout there.
            carried: folders of this machine that travel with it, as carried/PARENT/NAME.
            seconds: the limit of the time.
            **more: further environment variables.

        Returns:
            The folder of the files that came back.
        """
        self.calls += 1
        sent = self.send(list(carried))
        out = self.folder / "back" / str(self.calls)
        out.mkdir(parents=True)
        environment = {**TINY, "PATH": os.environ["PATH"], "HOME": str(self.folder / "card"), "OUT": str(out.resolve())}
        environment |= {"PLACE": str((self.folder / "card" / "place").resolve()), "PYTHON": self.python}
        environment |= {"TORCH_PYTHON": self.torch_python, "CALL_SECONDS": str(seconds), "JAX_PLATFORMS": "cpu", **more}
        lonely = ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0 else []
        start = time.monotonic()
        done = subprocess.run(
            [*lonely, "timeout", str(seconds), "bash", "-c", command],
            cwd=self.folder / "card" / "checkout",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        spent = time.monotonic() - start
        back = [path for path in out.rglob("*") if path.is_file()]
        sizes = [path.stat().st_size for path in back]
        self.say(f"== call {self.calls}: {command if len(command) < 200 else command[:80] + '...'}")
        self.say("\n".join(f"   {line[:160]}" for line in done.stdout.strip().splitlines()[-12:]))
        self.say(
            f"   rc {done.returncode}; sent {sent / MIB:.1f} MiB; {spent:.0f} of {seconds} s; back {len(back)} files, "
            f"{sum(sizes) / MIB:.1f} MiB"
        )
        deep = [path for path in back if len(path.relative_to(out).parts) > 3]
        broken = {
            "the command failed": done.returncode != 0,
            "more than 64 MiB were sent": sent > IN_BYTES,
            "more than 8 files came back": len(back) > OUT_FILES,
            "a file of more than 16 MiB came back": max(sizes, default=0) > OUT_FILE_BYTES,
            "more than 64 MiB came back": sum(sizes) > OUT_BYTES,
            "a file came back from more than two folders down": bool(deep),
            "the command line has more than 2000 characters": len(command) > 2000,
        }
        for what, is_so in broken.items():
            if is_so:
                self.say(f"error: {what}.")
                sys.exit(1)
        return out


def here(card: Card, command: str, **more: str) -> None:
    """Runs a command on this machine, with TensorFlow."""
    environment = {**os.environ, **TINY, "PYTHON": sys.executable, "DAY": str(card.folder / "day"), **more}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    card.say(f"== here: {command}")
    card.say("\n".join(f"   {line[:160]}" for line in done.stdout.strip().splitlines()[-6:]))
    if done.returncode:
        sys.exit(f"error: it failed with exit code {done.returncode}.")


def rehearse_tiny(card: Card) -> None:
    """Rehearses the whole day in a tiny size."""
    day, script = card.folder / "day", "benchmarks/gpu_day.sh"
    if not day.exists():
        here(card, f"{script} export")
    parts = sorted((day / "in").iterdir())
    speed = sorted((day / "in_bench").iterdir())
    without = f"! {card.python} -c 'import tensorflow' 2>/dev/null && echo there is no TensorFlow"
    card.call(without)
    names = " ".join(f"carried/in_bench/{path.name}" for path in speed)
    card.call(f"{script} take carried/in/1 {names} then bench", (parts[0], *speed))
    card.call(f"{script} train c3 || echo as it should be")
    for path in parts[1:]:
        card.call(f"{script} take carried/in/{path.name}", (path,))
    # The first call stops by itself after a step, because 45 s of its supposed limit are kept free; the second goes on.
    card.call(f"{script} train c3", CALL_SECONDS="48")
    weights = card.call(f"{script} train c3 then give c3 weights")
    here(card, f"{script} load c3 {weights}/weights")
    card.call(f"{script} train c6", CALL_SECONDS="48")
    weights = card.call(f"{script} give c6 weights")
    velocity = card.call(f"{script} give c6 velocity")
    here(card, f"{script} load c6 {weights}/weights {velocity}/velocity")
    here(card, f"{sys.executable} train.py {TINY['CIFAR']} --epochs=6 --workdir=$DAY/c6 2>&1 | tail -3")


def rehearse_transport(card: Card, exported: pathlib.Path) -> None:
    """Rehearses that an export of real size travels, and a state of that size back, without training."""
    script = "benchmarks/gpu_day.sh"
    place = {"PLACE": str((card.folder / "card" / "place_of_real_size").resolve())}
    for path in sorted((exported / "in").iterdir()):
        speed = (exported / "in_bench" / "1",) if path.name == "1" else ()
        command = " ".join([script, "take", *(f"carried/{p.parent.name}/{p.name}" for p in (path, *speed))])
        card.call(command, (path, *speed), **place)
    card.call(f'{card.python} -c "{NOISE}"', **place)
    for half in ("weights", "velocity"):
        card.call(f"{script} give c200 {half}", **place)


def main() -> None:
    """Runs the rehearsal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/rehearsal"), help="emptied first")
    parser.add_argument("--card_python", required=True, help="a Python with JAX and NumPy, and no TensorFlow")
    parser.add_argument("--torch_python", default="", help="a Python with PyTorch; default: that of JAX")
    parser.add_argument("--carried", type=pathlib.Path, help="send this export of real size instead of the tiny day")
    parser.add_argument("--keep_export", action="store_true", help="take the tiny export of the last rehearsal")
    options = parser.parse_args()
    card_python = str(pathlib.Path(options.card_python).absolute())
    torch_python = str(pathlib.Path(options.torch_python).absolute()) if options.torch_python else card_python
    for name in ("log.txt", "card", "back", *([] if options.keep_export else ["day"])):
        path = options.folder / name
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    card = Card(options.folder.absolute(), card_python, torch_python)
    if not options.carried:
        rehearse_tiny(card)
    else:
        rehearse_transport(card, options.carried)
    card.say(f"Done: {card.calls} calls, none of which broke a limit.")


if __name__ == "__main__":
    main()
