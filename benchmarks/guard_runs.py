"""Keeps runs that are healthy and runs that are broken on purpose, for the thresholds of the guard.

python benchmarks/guard_runs.py --folder=runs/guard --data_dir=...    (makes the runs that are not there yet)
python benchmarks/guard_runs.py --table                               (judges those of tests/fixtures/guard)
python benchmarks/guard_runs.py --pictures=docs/results/guard         (draws them, and prints what the guard says)

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
# Half as many images in each step, for those that came later.
_HALF = "--batch_scale=0.0625 --max_examples=1920 --knn_max_examples=1000 --eval_split=test[:500]"
_SHAPES = (
    "--flagfile=flags/recipes/shapes_demo.flags --epochs=4 --knn_every_epochs=1 --global_batch_size=32 "
    "--max_examples=1920"
)
_NO_CHANGES = "--crop_min_scale=1 --crop_max_aspect=1 --flip_p=0 --jitter_p=0 --gray_p=0 --blur_p=0"
# For each run the recipe of the paper, the flags after that of the size, and the state that it is in by its kNN and its
# features (docs/results/guard.md says where that is not what was meant). `None` is a recipe of another set.
RUNS: dict[str, tuple[str | None, str, str]] = {
    "simsiam": ("baseline", "", "healthy"),
    "simclr": ("table4_simclr_epochs_100", "", "healthy"),
    "byol": ("table4_byol_epochs_100", "", "healthy"),
    "mocov2": ("table4_mocov2_epochs_100", _HALF, "healthy"),
    "swav": ("table4_swav_epochs_100", _HALF, "healthy"),
    "barlow_twins": ("baseline", f"{_HALF} --method=barlow_twins --base_learning_rate=0.01", "healthy"),
    "simsiam_width_4": ("baseline", f"{_HALF} --width=0.25", "healthy"),
    "simsiam_shapes": (None, "", "healthy"),
    "simclr_shapes": (None, "--method=simclr", "healthy"),
    "no_stop_gradient": ("fig2_no_stop_gradient", "", "collapsed to a point"),
    "no_stop_gradient_bn_paper": ("fig2_no_stop_gradient_bn_paper", _HALF, "collapsed to a point"),
    "no_predictor": ("table1a_predictor_identity", "", "collapsed to a point"),
    "byol_no_predictor": ("sec62_byol_no_momentum", f"{_HALF} --predictor=identity", "collapsed to a point"),
    "predictor_fixed": ("table1b_predictor_fixed", "", "not learning"),
    "bn_none": ("table3a_bn_none", _HALF, "collapsed to a direction"),
    "rate_low": ("baseline", f"{_HALF} --base_learning_rate=1e-6", "not learning"),
    "rate_high": ("baseline", f"{_HALF} --base_learning_rate=100", "dimensional collapse"),
    "weight_decay": ("baseline", f"{_HALF} --weight_decay=0.1", "dimensional collapse"),
    "no_augmentation": ("baseline", f"{_HALF} {_NO_CHANGES}", "learning something else"),
    "few_images": (
        "baseline",
        f"{_HALF} --max_examples=32 --epochs=240 --epochs_scale=1 --knn_every_epochs=60",
        "learning something else",
    ),
    "barlow_twins_rate_high": ("baseline", f"{_HALF} --method=barlow_twins", "learning something else"),
    "bn_none_rate_high": ("table3a_bn_none", f"{_HALF} --base_learning_rate=10", "collapsed to a direction"),
    "swav_no_stop_gradient": ("sec62_swav_no_stop_gradient", _HALF, "healthy"),
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


def draw(folder: pathlib.Path) -> None:
    """Draws what each kept run measured, with a line where the guard names a state, and prints its words."""
    from matplotlib.figure import Figure

    from simsiam_tf.guard.words import warning
    from tests.guard.kept import judged, read

    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNS:
        if not (KEPT / f"{name}.jsonl").exists():
            continue
        facts, steps, lines = read(name)
        windows, epochs = ([line for line in lines if ("epoch" in line) == at_end] for at_end in (False, True))
        figure = Figure(figsize=(9, 2.1), layout="constrained", facecolor="white")
        for place, metric in enumerate(("loss", "z_std_scaled", "z_rank", "feature_rank", "knn_top1")):
            axes = figure.add_subplot(1, 5, place + 1)
            points = [line for line in (epochs if metric == "knn_top1" else windows) if metric in line]
            axes.plot([line["step"] for line in points], [line[metric] for line in points], linewidth=1.4)
            if metric == "knn_top1" and facts.untrained_knn is not None:
                axes.axhline(facts.untrained_knn, linestyle=":", color="grey", linewidth=1)
            for _, step in judged(name):
                axes.axvline(step, color="#c0392b", linewidth=1)
            axes.set_title(metric, fontsize=9)
            axes.tick_params(labelsize=7)
            axes.set_xlim(0, steps)
        figure.savefig(folder / f"{name}.png", dpi=80)
        for state, step in judged(name):
            seen = {}
            for line in lines:
                if line["step"] <= step:
                    seen |= line
            print(f"{name}: {warning(state, step, steps, seen, facts)}")


def main() -> None:
    """Makes the runs, prints the table, or draws pictures."""
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
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for the pictures")
    options = parser.parse_args()
    if options.pictures:
        draw(options.pictures)
    elif options.table:
        table()
    else:
        make(options.folder, options.data_dir)


if __name__ == "__main__":
    main()
