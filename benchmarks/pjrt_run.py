"""Trains by JAX's runtime on devices without TensorFlow, with the TensorFlow training step and its augmentation.

python benchmarks/pjrt_run.py export --workdir=W --flagfile=... [--check_steps=20] [--replicas=N]    # with TensorFlow
python benchmarks/pjrt_run.py run    --workdir=W [--steps=N] [--seconds=S] [--knn_every=E] [--json=FILE]   # with JAX
python benchmarks/pjrt_run.py split  --workdir=W                                                           # with NumPy
python benchmarks/pjrt_run.py load   --workdir=W                                                     # with TensorFlow

`export` takes the flags of train.py and writes the folder W/pjrt: the compiled step as StableHLO, the variables, the
images (only of a data set that is held in memory), and the program that computes features. `run` trains on the first
devices that JAX finds, as many as `--replicas` says. The examples and crops of each step are those of train.py, drawn
there from the seed. It saves the state after epochs, at most once a minute, and when it stops; called again, it
continues from there. `--knn_every` measures kNN after every so many epochs. `split` writes weights and velocity as two
files of which each can travel alone. `load` saves the state in W as a checkpoint, for evaluate.py and train.py.

`export --noise=1024 --side=256` exports a step to be timed: images and large weights are drawn where it runs.
"""

import argparse
import json
import pathlib
import time

import harness
import numpy as np
import pjrt_files
import plan

_BEGUN = time.perf_counter()


def run(options: argparse.Namespace) -> None:
    """Trains from the files of `export`. It needs only JAX and NumPy."""
    folder = pathlib.Path(options.workdir) / "pjrt"
    meta = pjrt_files.read_meta(folder)
    import jax
    import pjrt

    devices = jax.devices()[: meta["replicas"]]
    if len(devices) < meta["replicas"]:
        raise SystemExit(f"error: the step was exported for {meta['replicas']} devices; JAX finds {len(devices)}.")
    names, values, done, is_whole = pjrt_files.join_state(folder)
    if not is_whole:
        raise SystemExit(f"error: {folder} has weights without the velocity of the same step; take that as well.")
    until = min(options.steps or meta["steps"], meta["steps"])
    if done >= until:
        print(f"Done before: the state of step {done} is in {folder / 'state.npz'}.")
        return
    kept = None if meta["noise"] else folder / "step.executable"
    executable, seconds = pjrt.compile_program((folder / "step.stablehlo").read_text(), devices, kept)
    step = pjrt.Step(executable, devices, values, meta["updated"], len(meta["results"]))
    print(f"Compiled in {seconds:.0f} s for {devices[0].device_kind}; steps {done} to {until}", flush=True)
    trainer = Trainer(options, folder, meta, names, step)
    losses, taken = trainer.train(values, done, until)
    result = {"losses": losses, **measure(meta, executable, devices, trainer.clock, seconds)}
    result |= compare(folder, names, step.state, result["losses"]) if done == 0 else {}
    harness.write_result(result, options.json)
    print(json.dumps({name: value for name, value in result.items() if name != "losses"}))
    stopped = "" if done + taken == until else f", before step {until}, because {options.seconds:.0f} s have passed"
    state = "is not kept, because it is one of noise" if meta["noise"] else f"is in {folder / 'state.npz'}"
    print(f"Done: the state of step {done + taken} {state}{stopped}.")


class Trainer:
    """Takes the steps of a run.

    Args:
        options: the command line.
        folder: the folder W/pjrt.
        meta: what `export` says of the run.
        names: the names of the variables.
        step: the compiled step.
    """

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, meta: dict, names: list[str], step):
        import pjrt

        self._options, self._folder, self._meta, self._names, self._step = options, folder, meta, names, step
        self._plan = plan.Plan(**meta["plan"])
        self.clock = pjrt.Clock(self._plan.batch_size)
        self._images = step.put(pjrt_files.read_images(folder, meta))
        self._knn = None

    def train(self, values: list[np.ndarray], done: int, until: int) -> tuple[list[float], int]:
        """Takes steps until the last one or until the time is over, and saves the state.

        Args:
            values: the values of the variables that the process begins with, for their types and shapes.
            done: the number of steps taken before.
            until: the step to stop after.

        Returns:
            The losses of the steps, and their number.
        """
        import jax

        record, step, of_epoch = pjrt_files.Record(self._folder, done), self._step, self._plan.steps_per_epoch
        saver = pjrt_files.Saver(self._folder, self._names, self.clock)
        averages = [i for i, name in enumerate(self._names) if name.startswith("averages/")]
        losses = []
        for i, (epoch, index, boxes) in enumerate(self._plan.steps(done, until), start=done):
            if i % of_epoch == 0:
                for k in averages:
                    step.state[k] = step.put(np.zeros_like(values[k]))
            results = step(self._images, step.put(np.int64(epoch)), step.split(index), step.split(boxes))
            losses.append(results[self._meta["results"].index("loss")])
            last, ends_epoch = i + 1 == until or self._time_is_over(), (i + 1) % of_epoch == 0
            self.clock.after_step(losses[-1], last or ends_epoch)
            if ends_epoch or last:
                results = map(float, results)
                line = {"epoch": epoch + 1, "step": i + 1, **dict(zip(self._meta["results"], results, strict=True))}
                is_measured = ends_epoch and self._knn_is_due(epoch + 1)
                if not self._meta["noise"]:  # before kNN, whose failure is then no loss
                    saver.after_epoch(step.state, i + 1, last or is_measured)
                line |= self._measured_by_knn() if is_measured else {}
                line["images_per_second"] = self.clock.images_per_second
                record.append({**line, "wall_seconds": record.seconds_before + self.clock.wall_seconds})
                self.clock.resume()
            if last:
                break
        return list(map(float, jax.device_get(losses))), len(losses)

    def _time_is_over(self) -> bool:
        return 0 < self._options.seconds < time.perf_counter() - _BEGUN

    def _knn_is_due(self, epochs: int) -> bool:
        every, last = self._options.knn_every, self._meta["steps"] // self._plan.steps_per_epoch
        return every > 0 and (epochs % every == 0 or epochs == last)

    def _measured_by_knn(self) -> dict[str, float | str | None]:
        """Measures kNN. If it fails, the training goes on without it: the state can be measured elsewhere."""
        import pjrt
        import pjrt_knn

        start = time.perf_counter()
        try:
            if self._knn is None:
                self._knn = pjrt_knn.Knn(self._folder, self._meta, pjrt.on_first(self._images))
            top1 = self._knn(dict(zip(self._names, map(pjrt.on_first, self._step.state), strict=True)))
        except Exception as error:  # a runtime's errors are of many kinds
            self._options.knn_every = 0
            return {"knn_top1": None, "knn_failed": f"{type(error).__name__}: {error}"[:500]}
        return {"knn_top1": top1, "knn_seconds": time.perf_counter() - start}


def measure(meta, executable, devices, clock, compile_seconds) -> dict:
    """Measures the speed and the memory of the step."""
    import pjrt

    dtype = {"bfloat16": "bfloat16", "float16": "float16", "float64": "float64"}.get(meta["precision"], "float32")
    peak = (devices[0].memory_stats() or {}).get("peak_bytes_in_use", 0)  # a CPU does not count
    # A run that trains has no time for it.
    rate = pjrt.matrix_rate(dtype, devices[0]) if meta["noise"] else None
    seconds, planned = clock.step_seconds, meta["plan"]
    return {
        "what": "the TensorFlow training step, compiled by XLA, run through JAX's runtime",
        "device": devices[0].device_kind,
        "devices": len(devices),
        **{name: meta[name] for name in ("recipe", "arch", "precision")},
        **{name: planned[name] for name in ("image_size", "batch_size")},
        "compile_seconds": compile_seconds,
        "step_seconds": seconds,
        "images_per_second": clock.images_per_second,
        "matrix_operations_per_second": rate,
        "share_of_matrix_rate": (
            meta["operations_per_step"] / seconds / rate / len(devices) if seconds and rate else None
        ),
        "peak_gib": peak / 2**30 or None,
        **memory_of(executable),
    }


def memory_of(executable) -> dict[str, float]:
    """Returns the memory that the compiled step asks for, in GiB; nothing if the runtime does not tell."""
    try:
        memory = executable.get_compiled_memory_stats()
    except Exception as error:  # an executable that was kept may not have it, and the run must not fail for that
        print(f"The memory of the compiled step is not known: {error}")
        return {}
    gib = 2**30
    return {"temporary_gib": memory.temp_size_in_bytes / gib, "argument_gib": memory.argument_size_in_bytes / gib}


def compare(folder, names, state, losses) -> dict:
    """Compares losses and state with TensorFlow's, if `export` took the same steps; else returns an empty dict."""
    if not (folder / "expected.npz").exists():
        return {}
    expected = np.load(folder / "expected.npz")
    if len(expected["losses"]) != len(losses):
        return {}
    apart = {n: np.abs(np.asarray(v, np.float64) - expected[n]).max() for n, v in zip(names, state, strict=True)}
    return {
        "compared_steps": len(losses),
        "loss_apart": float(np.abs(expected["losses"] - np.array(losses)).max()),
        "state_apart": float(max(apart.values())),
    }


def main() -> None:
    """Runs the part that the command line names."""
    parser = harness.make_parser(__doc__, "run: write the result to this file")
    parser.add_argument("do", choices=("export", "run", "split", "load"))
    parser.add_argument("--workdir", required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=0, help="run: the step to stop after; 0: the last one")
    parser.add_argument("--seconds", type=float, default=0, help="run: stop and save after so many seconds; 0: never")
    parser.add_argument("--knn_every", type=int, default=0, help="run: epochs between two measurements of kNN; 0: none")
    parser.add_argument("--check_steps", type=int, default=0, help="export: steps TensorFlow takes to compare with")
    parser.add_argument("--replicas", type=int, default=1, help="export: the number of devices that share a batch")
    parser.add_argument("--noise", type=int, default=0, help="export: the number of images of noise to time a step on")
    parser.add_argument("--side", type=int, default=256, help="export: the side of images of noise in pixels")
    options, rest = parser.parse_known_args()
    if rest and options.do != "export":
        parser.error(f"only export takes train.py's flags; received {' '.join(rest)}")
    if options.seconds < 0:
        parser.error(f"--seconds must not be below 0; received {options.seconds:g}")
    if options.do == "run":
        run(options)
    elif options.do == "split":
        pjrt_files.split_state(pathlib.Path(options.workdir) / "pjrt")
    else:
        import pjrt_export

        pjrt_export.export(options, rest) if options.do == "export" else pjrt_export.load(options)


if __name__ == "__main__":
    main()
