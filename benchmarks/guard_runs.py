"""Keeps runs that are healthy and runs that are broken on purpose, for the thresholds of the guard.

python benchmarks/guard_runs.py --folder=runs/guard --data_dir=...    (makes the runs that are not there yet)
python benchmarks/guard_runs.py --table                               (judges those of tests/fixtures/guard)

Each run is one of train.py, of 240 steps. What its steps measured, averaged over windows of five, its kNN accuracy and
its settings are written into a file of tests/fixtures/guard, which tests/guard/test_kept_runs.py judges.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import harness  # noqa: F401 - makes the package importable

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEPT = ROOT / "tests" / "fixtures" / "guard"
_PAPER = "flags/recipes/paper/{}.flags"
# Real CIFAR-10, after a recipe of the paper and size/cifar10_small: 3,840 images, 4 epochs of 60 steps, batch 64.
_CIFAR = (
    "--flagfile=flags/recipes/size/cifar10_small.flags --eval_split=test[:1000] --knn_max_examples=2000 "
    "--batch_scale=0.125 --epochs_scale=0.04 --max_examples=3840"
)
_SHAPES = "--flagfile=flags/recipes/shapes_demo.flags --epochs=4 --max_examples=3840 --knn_every_epochs=1"
_NO_CHANGES = "--crop_min_scale=1 --crop_max_aspect=1 --flip_p=0 --jitter_p=0 --gray_p=0 --blur_p=0"
# For each run the recipe of the paper, the flags after that of the size, and the state that it is in, whatever its
# numbers say. `None` is a recipe of another set.
RUNS: dict[str, tuple[str | None, str, str]] = {
    "simsiam": ("baseline", "", "healthy"),
    "simclr": ("table4_simclr_epochs_100", "", "healthy"),
    "byol": ("table4_byol_epochs_100", "", "healthy"),
    "mocov2": ("table4_mocov2_epochs_100", "", "healthy"),
    "swav": ("table4_swav_epochs_100", "", "healthy"),
    "barlow_twins": ("baseline", "--method=barlow_twins", "healthy"),
    "simsiam_width_4": ("baseline", "--width=0.25", "healthy"),
    "simsiam_shapes": (None, "", "healthy"),
    "simclr_shapes": (None, "--method=simclr", "healthy"),
    "no_stop_gradient": ("fig2_no_stop_gradient", "", "collapsed to a point"),
    "no_stop_gradient_bn_paper": ("fig2_no_stop_gradient_bn_paper", "", "collapsed to a point"),
    "no_predictor": ("table1a_predictor_identity", "", "collapsed to a point"),
    "byol_no_predictor": ("sec62_byol_no_momentum", "--predictor=identity", "collapsed to a point"),
    "predictor_fixed": ("table1b_predictor_fixed", "", "not learning"),
    "bn_none": ("table3a_bn_none", "", "collapsed to a direction"),
    "rate_low": ("baseline", "--base_learning_rate=1e-6", "not learning"),
    "rate_high": ("baseline", "--base_learning_rate=100", "diverging"),
    "weight_decay": ("baseline", "--weight_decay=0.1", "dimensional collapse"),
    "no_augmentation": ("baseline", _NO_CHANGES, "learning something else"),
    "few_images": (
        "baseline",
        "--max_examples=64 --epochs=240 --epochs_scale=1 --knn_every_epochs=60",
        "learning something else",
    ),
    "small_batch": ("baseline", "--global_batch_size=2 --batch_scale=1 --max_examples=120", "not learning"),
    "swav_no_stop_gradient": ("sec62_swav_no_stop_gradient", "", "diverging"),
}


def flags_of(name: str) -> list[str]:
    """Returns the flags of a run, without folders."""
    recipe, more, _ = RUNS[name]
    if recipe is None:
        return [*_SHAPES.split(), *more.split()]
    return [f"--flagfile={_PAPER.format(recipe)}", *_CIFAR.split(), *more.split()]


def record(file: pathlib.Path) -> None:
    """Runs train.py by the rest of the command line, and writes its windows and epochs into a file."""
    import simsiam_tf.training.pretrain as pretraining
    from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
    from simsiam_tf.cli.train import main
    from simsiam_tf.guard.windows import Windows, window_steps

    class Recorder(CollapseMonitor):
        """Writes what the monitor sees."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 0:
                content = {
                    "facts": dataclasses.asdict(self._facts),
                    "steps": self.params["epochs"] * self.params["steps"],
                }
                self.write(content)
            self.seen = Windows(window_steps(self.params["epochs"] * self.params["steps"]))
            self.seen.begin_epoch()
            super().on_epoch_begin(epoch, logs)

        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            window = self.seen.add(self._step, batch + 1, logs)
            if window is not None:
                means = {name: value for name, value in window.means.items() if name not in _OF_TIME}
                self.write({"step": window.step, **_rounded(means)})

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            means = {name: float(logs[name]) for name in ("loss", "z_std_scaled", "knn_top1") if name in logs}
            self.write({"step": self._step, "epoch": epoch + 1, **_rounded(means)})

        def write(self, line):
            with file.open("a") as lines:
                lines.write(json.dumps(line) + "\n")

    pretraining.CollapseMonitor = Recorder
    main()


_OF_TIME = {"images_per_second", "input_wait_fraction", "left_out", "learning_rate"}


def _rounded(means: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in means.items()}


def make(folder: pathlib.Path, data_dir: str) -> None:
    """Makes the runs that are not kept yet, one after another."""
    KEPT.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNS:
        kept = KEPT / f"{name}.jsonl"
        if kept.exists():
            continue
        draft = folder / f"{name}.jsonl"
        draft.unlink(missing_ok=True)
        flags = [*flags_of(name), f"--workdir={folder / name}", "--noresume", "--on_collapse=ignore"]
        flags += [f"--data_dir={data_dir}"] if data_dir and RUNS[name][0] else []
        done = subprocess.run([sys.executable, __file__, f"--record={draft}", *flags], cwd=ROOT, check=False)
        print(f"{name}: exit code {done.returncode}")
        if draft.exists():
            kept.write_text(draft.read_text())


def table() -> None:
    """Prints what the guard says of each kept run."""
    from tests.guard.kept import judged

    for name in RUNS:
        if (KEPT / f"{name}.jsonl").exists():
            alarms = judged(name)
            said = "; ".join(f"{state} at step {step}" for state, step in alarms) or "healthy"
            print(f"| {name} | {RUNS[name][2]} | {said} |")


def main() -> None:
    """Makes the runs, or prints the table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for argument in list(sys.argv[1:]):
        if argument.startswith("--record="):
            sys.argv.remove(argument)
            record(pathlib.Path(argument.partition("=")[2]))
            return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "runs" / "guard")
    parser.add_argument("--data_dir", default="", help="where TFDS has cifar10")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        table()
    else:
        make(options.folder, options.data_dir)


if __name__ == "__main__":
    main()
