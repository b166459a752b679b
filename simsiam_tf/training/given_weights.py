"""Opens the weights that a run begins with: those of another run, or of a file."""

import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.config.methods import BNPlacement
from simsiam_tf.config.run import Config
from simsiam_tf.distribute import workers
from simsiam_tf.errors import UsageError
from simsiam_tf.files import check_bucket, exists, explain, is_file, is_folder, user_path
from simsiam_tf.interop.given import RULE, Given, of_network, read_weights
from simsiam_tf.interop.layouts import describe_backbone
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.data_record import has_checkpoints
from simsiam_tf.training.run_files import read_json
from simsiam_tf.training.workdir import Workdir


def open_given(path: str) -> Given:
    """Opens weights that the user names.

    Args:
        path: a run's folder, whose latest checkpoint is taken; a file of weights; or a folder that holds
            `model.safetensors`, as those of timm and of the Hub do.

    Raises:
        UsageError: if there are no weights, or they are damaged or of no kind that is known.
        FloatingPointError: if the weights of the run are not finite.

    Example:
        print(open_given("runs/cifar10").assign_to(model))
    """
    place = _check_place(path)
    try:
        if not is_folder(place):
            return read_weights(place)
        if is_file(place / "model.safetensors"):
            given = read_weights(place / "model.safetensors")
            _check_timm(place / "config.json", given)
            return given
        return _of_run(path)
    except OSError as error:
        raise UsageError(f"{RULE}; it cannot be read ({explain(error) or error}). Received: {place}.") from error


def network_flags(given: Given) -> dict[str, Any]:
    """Returns the flags of the networks whose weights are given.

    Args:
        given: the weights.

    Returns:
        The values of `--arch`, `--width` and `--stem`, and those of the heads if there are SimSiam's.

    Raises:
        UsageError: if the weights are not those of a ResNet.
    """
    found = describe_backbone(given.backbone)
    if found is None:
        raise UsageError(
            "--init_weights must hold the weights of a ResNet for settings to be chosen; for another network give "
            f"--arch and a recipe. Received: {given.origin}."
        )
    arch, width, cifar_stem = found
    flags = {"arch": arch, "width": width, "stem": "cifar" if cifar_stem else "imagenet"}
    projector, predictor = (given.heads.get(head, {}) for head in ("projector", "predictor"))
    if given.method in ("", "simsiam") and "dense2.weight" in projector and "dense2.weight" in predictor:
        z, hidden = predictor["dense2.weight"].shape
        layers = sum(name.startswith("dense") and name.endswith("weight") for name in projector)
        flags |= {"projector_dim": z, "projector_layers": layers, "predictor_dim": hidden}
        flags |= {"projector_hidden_dim": projector["dense1.weight"].shape[0]}
        flags |= {"bn_placement": _bn_placement(projector, predictor, layers)}
    elif width < 1:  # the proportions of Sec. 3, where z has 2048 numbers and the predictor's hidden layer 512
        flags |= {"projector_dim": round(2048 * width), "predictor_dim": round(512 * width)}
    return flags


def _bn_placement(projector: Mapping[str, Any], predictor: Mapping[str, Any], layers: int) -> BNPlacement:
    """Returns the row of Table 3 whose heads have the batch norms of given ones."""
    if "bn2.running_mean" in predictor:
        return "all"
    if f"bn{layers}.weight" in projector:
        return "paper"
    if f"bn{layers}.running_mean" in projector:
        return "release"
    return "hidden" if "bn1.running_mean" in projector else "none"


def given_for(config: Config) -> Given | None:
    """Opens the weights that a run begins with; `None` if it begins with random ones, or has begun already.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if there are no weights, or they are damaged or of no kind that is known.
    """
    if not config.run.init_weights or has_checkpoints(user_path(config.run.workdir)):
        return None
    return open_given(config.run.init_weights)


def begin_with_given(model: SSLModel, given: Given | None, strategy: tf.distribute.Strategy) -> str:
    """Gives a new run its first weights, on every worker.

    Args:
        model: the method.
        given: the weights on the chief, and `None` on the other workers.
        strategy: the distribution strategy that the model was made under.

    Returns:
        On the chief, a sentence that says what was taken, and from what.

    Raises:
        UsageError: if the weights are not those of the model's backbone.
    """

    def take() -> str:
        assert given is not None  # opened by `given_for`, as there is no checkpoint
        return given.assign_to(model)

    taken = workers.on_chief(strategy, take, "")
    workers.copy_from_chief(strategy, [variable.value for variable in model.variables])
    return taken


def _check_place(path: str) -> pathlib.Path:
    """Checks that there is something at a path, before any time is spent.

    Args:
        path: the path, as the user typed it.

    Raises:
        UsageError: if there is nothing, or a folder without weights.
    """
    if path.startswith(("http://", "https://")):
        raise UsageError(f"{RULE}; download it first, and name the file. Received: {path}.")
    place = user_path(path)
    check_bucket(place)
    if "checkpoints" in (place.name, place.parent.name):
        raise UsageError(f"{RULE}; name the folder of the run, whose latest checkpoint is taken. Received: {place}.")
    if not exists(place):
        raise UsageError(f"{RULE}; there is nothing. Received: {place}.")
    if is_folder(place) and not (is_file(place / "config.json") or is_file(place / "model.safetensors")):
        raise UsageError(f"{RULE}; this folder holds neither config.json nor model.safetensors. Received: {place}.")
    return place


def _check_timm(path: pathlib.Path, given: Given) -> None:
    """Checks that a folder of timm is of the network that its weights tell, and of the images that it gets here.

    Raises:
        UsageError: if timm's config.json names another network, which may have weights of the same names and shapes, or
            images of another mean.
    """
    try:
        config = read_json(path)
    except (OSError, ValueError):
        return
    known = config if isinstance(config, dict) else {}
    found, named = describe_backbone(given.backbone), known.get("architecture")
    trained = known.get("pretrained_cfg") or {}
    mean: Any = trained.get("mean", ops.IMAGENET_MEAN) if isinstance(trained, dict) else None
    if not _is_mean(mean):
        raise UsageError(f"{RULE}; its config.json has no mean of three colours that can be read. Received: {path}.")
    if isinstance(named, str) and found is not None and named != found[0]:
        raise UsageError(f"{RULE}; its config.json names {named}, which is not {found[0]}. Received: {path.parent}.")
    if max(abs(a - b) for a, b in zip(mean, ops.IMAGENET_MEAN, strict=True)) > 0.01:
        raise UsageError(f"{RULE}; it expects images with the mean {mean}, not ImageNet's. Received: {path.parent}.")


def _is_mean(mean: Any) -> bool:
    """Returns whether a value of timm's config.json is three numbers that colours can have."""
    is_list = isinstance(mean, list | tuple) and len(mean) == 3
    return is_list and all(type(part) in (int, float) and abs(part) < 2**31 for part in mean)


def _of_run(path: str) -> Given:
    """Takes the weights of a run's latest checkpoint."""
    workdir = Workdir.open_existing(path)
    config = workdir.config()
    with factory.computing_in(config):
        model = factory.make_model(config)
        found = restore_model(model, workdir.checkpoints)
    return of_network(model, f"{pathlib.PurePath(found).name} of the run in {workdir.root}")
