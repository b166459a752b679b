"""Exports runs of train.py for pjrt_run.py, and loads the states that come back: what needs TensorFlow."""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import harness  # noqa: F401 - puts the package on the path
import numpy as np
import pjrt_files
import plan
import stablehlo
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.augment import views as augment_views
from simsiam_tf.cli import flags as definitions
from simsiam_tf.config.run import Config
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.files import write_json
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import Checkpoints
from simsiam_tf.training.workdir import Workdir

# The number of images that the features' program takes.
_FEATURES_BATCH = 500
# A variable of a run of noise with fewer numbers is stored, and not drawn.
_SMALL = 10_000


def export(options: argparse.Namespace, arguments: list[str]) -> None:
    """Writes all files that `run` needs."""
    config = definitions.training_config_of([f"--workdir={options.workdir}", *arguments])
    folder = pathlib.Path(options.workdir) / "pjrt"
    if (folder / "state.npz").exists():
        sys.exit(f"error: a run has begun in {folder}; move that folder away, or give another --workdir.")
    refuse_what_cannot_be_exported(config, options.replicas)
    Workdir.open_for_training(config)
    folder.mkdir(exist_ok=True)
    for name in ("expected.npz", "metrics.jsonl"):  # left by an earlier export
        (folder / name).unlink(missing_ok=True)
    images = None if options.noise else write_images(folder, config)
    shape = (options.noise, options.side, options.side, 3) if options.noise else images.shape
    views, batch = policies.resolve(config.augment), config.data.global_batch_size
    planned = plan_of(config, shape)
    model, variables = stablehlo.make_trainer(config, planned.steps_per_epoch)
    step = make_step(model, views, config.data.image_size, config.run.seed)
    share = batch // options.replicas
    inputs = [(shape, tf.uint8), ([], tf.int64), ([share], tf.int64), ([share, len(views), 4], tf.float32)]
    specs = [tf.TensorSpec(*kind) for kind in inputs]
    program = stablehlo.lower(step, specs, variables, options.replicas)
    (folder / "step.stablehlo").write_text(program.text)
    initial = dict(program.state)
    names = [as_drawn(n, v) if options.noise else (n, v) for n, v in initial.items()]
    pjrt_files.write_state(folder / "initial.npz", [n for n, _ in names], [v for _, v in names], 0)
    meta = {
        "results": sorted(model.step_log_names),
        "updated": program.updated,
        "steps": config.run.epochs * planned.steps_per_epoch,
        "replicas": options.replicas,
        "noise": {"count": shape[0], "side": shape[1]} if options.noise else None,
        "plan": dataclasses.asdict(planned),
        "precision": config.devices.precision,
        "operations_per_step": 3 * len(views) * stablehlo.forward_operations(model, config.data.image_size) * batch,
        "recipe": config.recipe,
        "arch": config.model.arch,
    }
    if options.check_steps:
        losses = take_steps(step, model, planned, images, options.check_steps)
        np.savez(folder / "expected.npz", losses=losses, **{name: v.numpy() for name, v in variables.items()})
    if not options.noise:
        meta["features"] = write_features(folder, config, images.shape, initial)
    write_json(folder / "meta.json", meta)
    print(f"Done: {meta['steps']} steps are exported to {folder}, the program has {len(program.text) / 1e6:.1f} MB.")


def refuse_what_cannot_be_exported(config: Config, replicas: int) -> None:
    """Exits with an error message unless a batch is taken in one part, of which each device gets an equal share."""
    batch, parts = config.data.global_batch_size, config.devices.accumulate_steps
    if parts > 1:
        sys.exit(f"error: --accumulate_steps must be 1 here. Received: {parts}.")
    if batch % replicas:
        sys.exit(f"error: --replicas must divide --global_batch_size, {batch}. Received: {replicas}.")


def plan_of(config: Config, shape: Sequence[int]) -> plan.Plan:
    """Returns what draws the examples and crops of a run on images of the shape `[N, H, W, 3]`."""
    order = ShuffledOrder(shape[0], config.data.global_batch_size, config.run.seed)  # refuses too few images
    return plan.Plan(
        num_examples=order.num_examples,
        batch_size=order.global_batch_size,
        seed=order.seed,
        height=shape[1],
        width=shape[2],
        image_size=config.data.image_size,
        views=[dataclasses.asdict(policy) for policy in policies.resolve(config.augment)],
    )


def write_images(folder: pathlib.Path, config: Config) -> np.ndarray:
    """Writes the images to train on and to evaluate on, with their labels; returns those to train on."""
    data = DataSet(config.data)
    source, tests = data.training.first(config.data.max_examples), data.evaluation
    if source.files is not None:
        sys.exit(f"error: the data set must be one that is held in memory. Received: {source.name}, in files.")
    if tests is None or tests.labels is None or source.labels is None:
        sys.exit(f"error: kNN needs images to evaluate on, and labels. Received: {source.name}, which lacks them.")
    images = np.asarray(source.images)[: source.num_examples]
    np.save(folder / "images.npy", images)
    np.save(folder / "test_images.npy", np.asarray(tests.images)[: tests.num_examples])
    np.savez(folder / "labels.npz", train=source.known_labels, test=tests.known_labels)
    return images


def as_drawn(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """Returns a variable as its shape and deviation, if it is large: in a run of noise the values do not matter."""
    if value.size < _SMALL:
        return name, value
    return f"drawn:{name}", np.array([*value.shape, value.std()])


def make_step(model, views, size, seed):
    """Makes the function of one update, given all images on the device.

    It draws the parameters of the views itself, all but the crops.
    """

    def step(images, epoch, index, boxes):
        parameters = augment_views.sample_views(views, seed, epoch, index)
        parameters = tuple({**p, "box": boxes[:, i]} for i, p in enumerate(parameters))
        whole = {"images": (tf.gather(images, index),), "parameters": parameters, "index": index}
        return model.train_step(augment_views.make_views(views, size, whole))

    return step


def take_steps(step, model, planned: plan.Plan, images: np.ndarray, count: int) -> list[float]:
    """Takes the first steps in TensorFlow, to compare with; returns their losses."""
    compiled, held, losses = tf.function(step, jit_compile=True, autograph=False), tf.constant(images), []
    for i, (epoch, index, boxes) in enumerate(planned.steps(0, count)):
        if i % planned.steps_per_epoch == 0:
            model.reset_metrics()
        losses.append(
            float(compiled(held, tf.constant(epoch, tf.int64), tf.constant(index), tf.constant(boxes))["loss"])
        )
    return losses


def write_features(folder: pathlib.Path, config: Config, shape: Any, state: dict[str, np.ndarray]) -> dict[str, Any]:
    """Writes the program that embeds evaluation crops; as in evaluate.py, it computes in float32 or float64.

    Returns:
        What the program needs: the number of images that it takes, and the names of the variables after them.
    """
    tf.keras.backend.clear_session()  # so that the variables get the names that they have in the step
    policy, size = policies.EVALUATION_CROP, config.data.image_size
    with factory.computing_in(config):
        backbone = factory.make_model(config).backbone
    box = augment_views.boxes(policy, tf.zeros([1, 0]), shape[1], shape[2], size)

    def embed(images):
        parameters = {"box": tf.repeat(box, _FEATURES_BATCH, axis=0)}
        views = augment_views.apply(policy, images, parameters, policy.side(size))
        return {"features": backbone(tf.cast(views, backbone.compute_dtype), training=False)}

    variables = {f"model/{v.path}": v.value for v in backbone.variables}
    unknown = sorted(set(variables) - set(state))
    if unknown:
        raise RuntimeError(f"The step has no variable named {unknown[0]}.")
    program = stablehlo.lower(embed, [tf.TensorSpec([_FEATURES_BATCH, *shape[1:]], tf.uint8)], variables)
    (folder / "features.stablehlo").write_text(program.text)
    np.savez(folder / "features.npz", **{name: value for name, value in program.state if name not in variables})
    return {"batch_size": _FEATURES_BATCH, "state": [name for name, _ in program.state]}


def load(options: argparse.Namespace) -> None:
    """Saves the latest state as a checkpoint of the run, and adds the whole epochs to its metrics."""
    workdir = Workdir.open_existing(options.workdir)
    folder, config = workdir.root / "pjrt", workdir.config()
    steps_per_epoch = plan.Plan(**pjrt_files.read_meta(folder)["plan"]).steps_per_epoch
    model, variables = stablehlo.make_trainer(config, steps_per_epoch)
    names, values, step, is_whole = pjrt_files.join_state(folder)
    for name, value in zip(names, values, strict=True):
        if name in variables:
            variables[name].assign(value)
    if is_whole:
        Checkpoints(model, tf.distribute.get_strategy(), workdir.checkpoints, config.run.keep_checkpoints).save()
        what = f"for evaluate.py --workdir={workdir.root}, and for train.py to go on from"
    else:
        write_weights(model, workdir.checkpoints, step)
        what = f"with weights alone, for evaluate.py --workdir={workdir.root}; the velocity of this step is not there"
    recorded = max((line["step"] for line in workdir.metrics()), default=0)
    for line in pjrt_files.read_lines(folder):
        # As in train.py, only whole epochs have a line.
        if step >= line["step"] > recorded and line["step"] % steps_per_epoch == 0:
            workdir.append_metrics(line)
    print(f"Done: step {step} is a checkpoint in {workdir.checkpoints}, {what}.")


def write_weights(model, folder: pathlib.Path, step: int) -> None:
    """Writes a checkpoint of the model without its optimizer, which train.py refuses to go on from."""
    held = {v.path.replace("/", "."): v.value for v in model.variables}
    folder.mkdir(exist_ok=True)
    tf.train.Checkpoint(model=tf.train.Checkpoint(**held)).write(str(folder / f"step-{step}"))
