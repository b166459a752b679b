"""Runs a step again whose numbers are not finite, alone, and says where the first such number is."""

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.distribute.input import Share
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_file, printable, user_path, write_json
from simsiam_tf.methods import SSLModel
from simsiam_tf.methods.base import LEFT_OUT
from simsiam_tf.networks.normalization import each_view, keeping_moving_statistics
from simsiam_tf.progress import Progress
from simsiam_tf.training import factory
from simsiam_tf.training.bad_steps import FOLDER, STATE, images_of_step
from simsiam_tf.training.checkpoints import Checkpoints
from simsiam_tf.training.data_record import held_out_by
from simsiam_tf.training.opened_run import order_of
from simsiam_tf.training.run_files import read_json
from simsiam_tf.training.run_input import make_input
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger(__name__)

_MOST_NAMES = 5


@dataclasses.dataclass(frozen=True)
class BadStep:
    """Holds what the folder of a run says of the step that ended it.

    Attributes:
        step: the number of the step, counted from 0.
        state: the name of the state to begin with: that before the step, or a checkpoint.
        trained_since: the number of steps that this state has seen after the step, as with several in an execution.
        images: the names of the step's images.
    """

    step: int
    state: str
    trained_since: int
    images: tuple[str, ...]

    @classmethod
    def read(cls, workdir: Workdir) -> "BadStep":
        """Reads the record of a run.

        Raises:
            UsageError: if there is none, or it is damaged.
        """
        path = workdir.root / FOLDER / "step.json"
        if not is_file(path):
            raise UsageError(
                "--workdir must be a run that ended because a number was not finite; train.py then writes "
                f"{FOLDER}/step.json. Received: {workdir.root}."
            )
        try:
            content = read_json(path)
            images = tuple(map(str, content["images"]))
            found = cls(int(content["step"]), str(content["from"]), int(content["trained_since"]), images)
            check(found.step >= 0, "The step must not be negative.", found.step)
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise UsageError(f"{FOLDER}/step.json must be one that train.py wrote. Received: {path}.") from error
        return found


def replay(path: str) -> None:
    """Runs the step that ended a run again, on one device, and writes what it finds into replay.json.

    Args:
        path: the folder of the run.

    Raises:
        UsageError: if the run has no such step, or its data are not there.
    """
    workdir = Workdir.open_existing(path)
    config, bad = workdir.config(), BadStep.read(workdir)
    # One device computes the whole batch. Batch norm has its statistics on any number of replicas, too.
    one: dict[str, Any] = {"strategy": "one", "tpu": "", "cpu_devices": 1, "accumulate_steps": 1}
    devices = dataclasses.replace(config.devices, steps_per_execution=1, **one)
    config = dataclasses.replace(config, devices=devices)
    source = _source(config)
    order = order_of(config, source)
    names = [source.name_of(int(i)) for i in images_of_step(source, order, bad.step)]
    if not bad.images or tuple(names[: len(bad.images)]) != bad.images:
        raise UsageError(
            "The data set must be the one that the run trained on, or its step has other images now; put back what was "
            f"taken away or added. Received: {printable(names[0])} in place of {printable(bad.images[0])} and others."
            if bad.images
            else f"{FOLDER}/step.json must name the images of its step. Received: none."
        )
    findings: dict[str, Any] = {"step": bad.step, "images": len(bad.images)}
    with listing_bad_images([source], None):
        findings["as it was"] = _run(config, source, order, bad, workdir)
        if config.devices.precision not in ("float32", "float64"):
            precise = dataclasses.replace(config, devices=dataclasses.replace(devices, precision="float32"))
            findings["in float32"] = _run(precise, source, order, bad, workdir)
    out = workdir.root / FOLDER / "replay.json"
    write_json(out, tf.nest.map_structure(_json, findings))
    for name, found in findings.items():
        if isinstance(found, dict):
            _log.info(f"Step {bad.step + 1}, {name}: " + "; ".join(f"{k} {_words(v)}" for k, v in found.items()))
    _log.log(RESULT, f"Done: {_verdict(findings)} Wrote {out}.")


def _source(config: Config) -> Source:
    """Opens the images that the run trains on."""
    data = DataSet(config.data, held_out_by(user_path(config.run.workdir)))
    return data.training.first(config.data.max_examples)


def _run(config: Config, source: Source, order: ShuffledOrder, bad: BadStep, workdir: Workdir) -> dict[str, Any]:
    """Runs the step in the precision of the settings; returns what was measured, by name."""
    factory.set_precision(config.devices.precision)
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.run.seed)
    model = factory.make_compiled_model(config, order.steps_per_epoch, source.num_classes)
    factory.make_target_table(model, order)
    checkpoints = Checkpoints(model, ONE_DEVICE, workdir.checkpoints, config.run.keep_checkpoints)
    batches = _batches(config, source, order, model)
    start = _restore(model, checkpoints, bad, workdir)
    step = tf.function(model.train_step, autograph=False)
    with Progress("Training up to the step", bad.step - start, "step", shown=bad.step - start > 1) as progress:
        for number in range(start, bad.step):
            logs = step(batches(number))
            progress.add(1)
            if float(logs[LEFT_OUT]) or not _are_finite(model):
                return {"the first step that is not finite": number + 1, **_look(model, batches(number), source)}
    batch = batches(bad.step)
    trained = f", trained again from step {start + 1} on" if start < bad.step else ""
    found = {"state": f"before step {bad.step + 1}{trained}", **_look(model, batch, source)}
    model.reset_metrics()
    logs = step(batch)
    found["loss"], found["gradient_norm"] = float(logs["loss"]), float(logs["gradient_norm"])
    if float(logs[LEFT_OUT]):  # the means leave such numbers out
        found["loss"], found["gradient_norm"] = _loss_and_norm(model, batch)
    found["weights after it"] = "finite" if _are_finite(model) else "not finite"
    return found


def _restore(model: SSLModel, checkpoints: Checkpoints, bad: BadStep, workdir: Workdir) -> int:
    """Restores the state before the step, or an earlier one; returns the step that comes next."""
    kept = workdir.root / FOLDER / STATE
    if bad.state == STATE and checkpoints.read(str(kept)) and _are_finite(model):
        if bad.trained_since:
            _log.info(f"The kept state has seen {bad.trained_since} more steps, which the same execution ran.")
        model.optimizer.iterations.assign(bad.step)
        return bad.step
    _log.info("The weights before the step are not there, or not finite: they are trained from the last checkpoint.")
    return checkpoints.restore_latest()


def _batches(config: Config, source: Source, order: ShuffledOrder, model: SSLModel) -> Callable[[int], dict[str, Any]]:
    """Returns a function that makes the batch of a step, with its views."""
    make_dataset, prepare = make_input(config, ONE_DEVICE, source, order)
    streams: dict[int, Iterator[Any]] = {}

    def batch(step: int) -> dict[str, Any]:
        if step not in streams:
            streams.clear()
            streams[step] = iter(make_dataset(Share(order.global_batch_size), step))
        stream = streams.pop(step)
        streams[step + 1] = stream
        return prepare(next(stream))

    return batch


def _look(model: SSLModel, batch: dict[str, Any], source: Source) -> dict[str, Any]:
    """Looks for numbers that are not finite in the views, and in the features of each image."""
    views = batch["views"]
    with keeping_moving_statistics():
        features = each_view(model.backbone, views, training=True)
    spoiled = [~np.isfinite(np.asarray(x)).reshape(len(x), -1).all(axis=1) for x in (*views, *features)]
    names = [source.name_of(int(i)) for i in np.asarray(batch["index"])] if "index" in batch else []
    rows = np.flatnonzero(np.any(spoiled, axis=0))
    return {
        "views": _range(views),
        "features": _range(features),
        "images whose views or features are not finite": len(rows),
        "the first of them": [names[i] for i in rows[:_MOST_NAMES]] if names else [],
    }


def _loss_and_norm(model: SSLModel, batch: dict[str, Any]) -> tuple[float, float]:
    """Computes the loss and the length of its gradient, whatever they are."""
    with keeping_moving_statistics(), tf.GradientTape() as tape:
        loss, _ = model.compute_ssl_loss({**batch, "features": ()}, training=True)
    gradients = [g for g in tape.gradient(loss, model.trainable_variables) if g is not None]
    return float(loss), float(tf.linalg.global_norm(gradients))


def _range(tensors: Sequence[tf.Tensor]) -> str:
    """Returns the least and the greatest number, or that some are not finite."""
    values = np.concatenate([np.asarray(tf.cast(x, tf.float64)).ravel() for x in tensors])
    bad = int((~np.isfinite(values)).sum())
    if bad:
        return f"{bad:,} of {values.size:,} numbers not finite"
    return f"from {values.min():.3g} to {values.max():.3g}"


def _are_finite(model: SSLModel) -> bool:
    return all(np.isfinite(variable.value.numpy()).all() for variable in model.trainable_variables)


def _json(value: Any) -> Any:
    """Returns a number that JSON cannot hold as a text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(printable(str(part)) for part in value) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _verdict(findings: dict[str, Any]) -> str:
    """Returns the sentence that says whether the step is bad again, and whether float32 mends it."""
    first = findings["as it was"]
    if "the first step that is not finite" in first:
        return f"step {first['the first step that is not finite']} is the first that is not finite."
    bad = [name for name in ("loss", "gradient_norm") if not math.isfinite(first[name])]
    if first["weights after it"] != "finite":
        bad.append("weights after the update")
    if not bad:
        return "the step is finite this time, on one device; the devices of the run may compute it differently."
    precise = findings.get("in float32")
    mended = precise and all(math.isfinite(precise.get(name, math.inf)) for name in ("loss", "gradient_norm"))
    ending = " In float32 it is finite, so --precision=float32 or bfloat16 is the cure." if mended else ""
    return f"the step is not finite again ({', '.join(bad)}).{ending}"
