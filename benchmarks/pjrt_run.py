"""Trains by JAX's runtime on devices without TensorFlow, with the TensorFlow training step and its augmentation.

python benchmarks/pjrt_run.py export --workdir=W --flagfile=... [--steps=N] [--check_steps=20]     # with TensorFlow
python benchmarks/pjrt_run.py run    --workdir=W [--steps=N] [--json=FILE]                         # with JAX
python benchmarks/pjrt_run.py load   --workdir=W                                                   # with TensorFlow

`export` takes the flags of train.py and writes the folder W/pjrt: the compiled step as StableHLO, the variables, the
images (only of a data set that is held in memory), and the examples and crops of each step, exactly as in train.py.
`run` trains on the first device that JAX finds. It saves the state after each epoch, and continues from there when it
is called again. `load` saves the state in W as a checkpoint, for evaluate.py.
"""

import argparse
import json
import pathlib
import sys

import harness
import numpy as np


def export(options: argparse.Namespace, arguments: list[str]) -> None:
    """Writes all files that `run` needs."""
    import stablehlo
    import tensorflow as tf

    from simsiam_tf.augment import policies
    from simsiam_tf.cli import flags as definitions
    from simsiam_tf.data.order import ShuffledOrder
    from simsiam_tf.data.sources import open_source
    from simsiam_tf.files import write_json
    from simsiam_tf.training.workdir import Workdir

    config = definitions.training_config_of([f"--workdir={options.workdir}", *arguments])
    source = open_source(config.data, config.data.train_split).first(config.data.max_examples)
    refuse_what_cannot_be_exported(config, source)
    folder = pathlib.Path(options.workdir) / "pjrt"
    if (folder / "state.npz").exists():
        sys.exit(f"error: a run has begun in {folder}; move that folder away, or give another --workdir.")
    Workdir.open_for_training(config)
    folder.mkdir(exist_ok=True)
    for name in ("expected.npz", "metrics.jsonl"):  # left by an earlier export
        (folder / name).unlink(missing_ok=True)
    views, size = policies.resolve(config.augment), config.data.image_size
    order = ShuffledOrder(source.num_examples, config.data.global_batch_size, config.run.seed)
    batch, total = order.global_batch_size, config.run.epochs * order.steps_per_epoch
    index, boxes = write_plan(folder, source, order, views, size, min(options.steps or total, total))
    images = np.asarray(source.images)
    np.save(folder / "images.npy", images)
    model, variables = stablehlo.make_trainer(config, order.steps_per_epoch)
    step = make_step(model, views, size, config.run.seed)
    inputs = [(images.shape, tf.uint8), ([], tf.int64), ([batch], tf.int64), ([batch, len(views), 4], boxes.dtype)]
    program = stablehlo.lower(step, [tf.TensorSpec(*kind) for kind in inputs], variables)
    (folder / "step.stablehlo").write_text(program.text)
    np.savez(folder / "initial.npz", **{f"{i:05d}:{name}": value for i, (name, value) in enumerate(program.state)})
    meta = {
        "results": sorted(model.step_log_names),
        "updated": program.updated,
        "steps_per_epoch": order.steps_per_epoch,
        "batch_size": batch,
        "precision": config.devices.precision,
        "operations_per_step": 3 * len(views) * stablehlo.forward_operations(model, size) * batch,
        "recipe": config.recipe,
        "arch": config.model.arch,
        "image_size": size,
    }
    if options.check_steps:
        losses = take_steps(step, model, order.steps_per_epoch, images, index[: options.check_steps], boxes)
        np.savez(folder / "expected.npz", losses=losses, **{name: v.numpy() for name, v in variables.items()})
    write_json(folder / "meta.json", meta)
    print(f"Done: {len(index)} steps are planned in {folder}, the program has {len(program.text) / 1e6:.1f} MB.")


def refuse_what_cannot_be_exported(config, source):
    """Exits with an error message unless the images are in memory and a batch is taken in one part."""
    if source.files is not None:
        sys.exit(f"error: the data set must be one that is held in memory. Received: {source.name}, in files.")
    if config.devices.accumulate_steps > 1:
        sys.exit(f"error: --accumulate_steps must be 1 here. Received: {config.devices.accumulate_steps}.")


def make_step(model, views, size, seed):
    """Makes the function of one update, given all images on the device.

    It draws the parameters of the views itself, all but the crops.
    """
    import tensorflow as tf

    from simsiam_tf.augment import views as augment_views

    def step(images, epoch, index, boxes):
        parameters = augment_views.sample_views(views, seed, epoch, index)
        boxes = tf.cast(boxes, tf.float32)
        parameters = tuple({**p, "box": boxes[:, i]} for i, p in enumerate(parameters))
        whole = {"images": (tf.gather(images, index),), "parameters": parameters, "index": index}
        return model.train_step(augment_views.make_views(views, size, whole))

    return step


def take_steps(step, model, steps_per_epoch, images, index, boxes) -> list[float]:
    """Takes the first steps in TensorFlow, to compare with; returns their losses."""
    import tensorflow as tf

    compiled, held, losses = tf.function(step, jit_compile=True, autograph=False), tf.constant(images), []
    for i, of_step in enumerate(index):
        if i % steps_per_epoch == 0:
            model.reset_metrics()
        epoch = tf.constant(i // steps_per_epoch, tf.int64)
        losses.append(float(compiled(held, epoch, tf.constant(of_step, tf.int64), tf.constant(boxes[i]))["loss"]))
    return losses


def write_plan(folder, source, order, views, size, steps):
    """Writes the examples and crops that train.py would take in each step.

    Returns:
        The examples, `[steps, B]`, and the boxes of the crops of each view, `[steps, B, V, 4]`.
    """
    from simsiam_tf.data.pipeline import pretraining_dataset
    from simsiam_tf.distribute.input import Share

    dataset = pretraining_dataset(source, order, views, size, Share(order.global_batch_size), stop_step=steps)
    shape = (steps, order.global_batch_size)
    index, boxes = np.empty(shape, np.int32), np.empty((*shape, len(views), 4), np.float32)
    for i, batch in enumerate(dataset):
        index[i] = batch["index"]
        boxes[i] = np.stack([p["box"] for p in batch["parameters"]], axis=1)
    if np.array_equal(boxes, boxes.astype(np.uint8)):
        boxes = boxes.astype(np.uint8)  # the boxes of small images are whole pixels, which fit into a byte
    np.save(folder / "index.npy", index)
    np.save(folder / "boxes.npy", boxes)
    return index, boxes


def run(options: argparse.Namespace) -> None:
    """Trains from the files of `export`. It needs only JAX and NumPy."""
    import jax
    import pjrt

    folder = pathlib.Path(options.workdir) / "pjrt"
    meta = json.loads((folder / "meta.json").read_text())
    device = jax.devices()[0]
    executable, seconds = pjrt.compile_program((folder / "step.stablehlo").read_text(), [device])
    names, values, done = load_state(folder)
    step = pjrt.Step(executable, device, values, meta["updated"], len(meta["results"]))
    index, boxes = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("index", "boxes"))
    images, of_epoch = step.put(np.load(folder / "images.npy")), meta["steps_per_epoch"]
    until = min(options.steps or len(index), len(index))
    averages = [i for i, name in enumerate(names) if name.startswith("averages/")]
    print(f"Compiled in {seconds:.0f} s for {device.device_kind}; steps {done} to {until}", flush=True)
    losses, clock = [], pjrt.Clock(meta["batch_size"])
    record = folder / "metrics.jsonl"
    before = json.loads(record.read_text().splitlines()[-1])["wall_seconds"] if record.exists() else 0.0
    for i in range(done, until):
        if i % of_epoch == 0:
            for k in averages:
                step.state[k] = step.put(np.zeros_like(values[k]))
        results = step(
            images, step.put(np.int64(i // of_epoch)), step.put(index[i].astype(np.int64)), step.put(boxes[i])
        )
        losses.append(results[meta["results"].index("loss")])
        clock.after_step(losses[-1], last=(i + 1) % of_epoch == 0 or i + 1 == until)
        if (i + 1) % of_epoch == 0 or i + 1 == until:
            line = {
                "epoch": i // of_epoch + 1,
                "step": i + 1,
                **dict(zip(meta["results"], map(float, results), strict=True)),
            }
            line |= {"images_per_second": clock.images_per_second, "wall_seconds": before + clock.wall_seconds}
            print(json.dumps(line), flush=True)
            save_state(folder, names, step.state, line)
            clock.resume()
    if not losses:
        print(f"Done before: the state of step {done} is in {folder / 'state.npz'}.")
        return
    result = {"losses": [float(loss) for loss in losses], **measure(meta, executable, device, clock, pjrt)}
    result |= compare(folder, names, step.state, result["losses"]) if done == 0 else {}
    harness.write_result(result, options.json)
    print(json.dumps({name: value for name, value in result.items() if name != "losses"}))
    print(f"Done: the state of step {until} is in {folder / 'state.npz'}.")


def measure(meta, executable, device, clock, pjrt) -> dict:
    """Measures the speed and the memory of the step."""
    dtype = {"bfloat16": "bfloat16", "float16": "float16", "float64": "float64"}.get(meta["precision"], "float32")
    rate, memory = pjrt.matrix_rate(dtype, device), executable.get_compiled_memory_stats()
    seconds = clock.step_seconds
    return {
        "what": "the TensorFlow training step, compiled by XLA, run through JAX's runtime",
        "device": device.device_kind,
        **{name: meta[name] for name in ("recipe", "arch", "image_size", "batch_size", "precision")},
        "step_seconds": seconds,
        "images_per_second": clock.images_per_second,
        "matrix_operations_per_second": rate,
        "share_of_matrix_rate": meta["operations_per_step"] / seconds / rate if seconds else None,
        "temporary_gib": memory.temp_size_in_bytes / 2**30,
        "argument_gib": memory.argument_size_in_bytes / 2**30,
    }


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


def load_state(folder):
    """Reads the names and values of the latest state, and its step."""
    path = folder / "state.npz" if (folder / "state.npz").exists() else folder / "initial.npz"
    with np.load(path) as file:
        keys = sorted(name for name in file.files if ":" in name)
        step = int(file["step"]) if "step" in file.files else 0
        return [key.partition(":")[2] for key in keys], [file[key] for key in keys], step


def save_state(folder, names, state, epoch) -> None:
    """Writes the state, all of it or nothing, and adds the epoch's line to metrics.jsonl."""
    draft = folder / "draft.npz"
    values = {f"{i:05d}:{name}": np.asarray(v) for i, (name, v) in enumerate(zip(names, state, strict=True))}
    np.savez(draft, step=epoch["step"], **values)
    draft.replace(folder / "state.npz")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(epoch) + "\n")


def load(options: argparse.Namespace) -> None:
    """Saves the latest state as a checkpoint of the run, and adds the whole epochs to its metrics."""
    import stablehlo
    import tensorflow as tf

    from simsiam_tf.training.checkpoints import Checkpoints
    from simsiam_tf.training.workdir import Workdir

    workdir = Workdir.open_existing(options.workdir)
    folder, config = workdir.root / "pjrt", workdir.config()
    meta = json.loads((folder / "meta.json").read_text())
    model, variables = stablehlo.make_trainer(config, meta["steps_per_epoch"])
    names, values, step = load_state(folder)
    for name, value in zip(names, values, strict=True):
        if name in variables:
            variables[name].assign(value)
    Checkpoints(model, tf.distribute.get_strategy(), workdir.checkpoints, config.run.keep_checkpoints).save()
    recorded = max((line["step"] for line in workdir.metrics()), default=0)
    for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        # As in train.py, only whole epochs have a line.
        if line["step"] > recorded and line["step"] % meta["steps_per_epoch"] == 0:
            workdir.append_metrics(line)
    print(f"Done: step {step} is a checkpoint in {workdir.checkpoints}, for evaluate.py --workdir={workdir.root}.")


def main() -> None:
    """Runs the part that the command line names."""
    parser = harness.make_parser(__doc__, "run: write the result to this file")
    parser.add_argument("do", choices=("export", "run", "load"))
    parser.add_argument("--workdir", required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=0, help="steps to plan for, or to stop after; 0: all")
    parser.add_argument(
        "--check_steps", type=int, default=0, help="export: steps that TensorFlow takes to compare with"
    )
    options, rest = parser.parse_known_args()
    if rest and options.do != "export":
        parser.error(f"only export takes train.py's flags; received {' '.join(rest)}")
    if options.do == "export":
        export(options, rest)
    else:
        {"run": run, "load": load}[options.do](options)


if __name__ == "__main__":
    main()
