"""Opens the networks that a run is compared with: the untrained one, and baselines."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence

import keras

from simsiam_tf.config.run import Config
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.files import exists, is_file, printable, user_path
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.given_weights import open_given
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger(__name__)

UNTRAINED, OWN = "the untrained network", "this run"


@dataclasses.dataclass(frozen=True)
class Network:
    """Holds a network that is compared.

    Attributes:
        name: its name in tables and sentences.
        run: the run under evaluation, with this network in the place of its own. All networks see the same crops, and
            their features and probes are stored in the run's folder, under the fingerprints of their weights.
    """

    name: str
    run: LoadedRun


def networks_of(run: LoadedRun, baselines: Sequence[str]) -> list[Network]:
    """Opens the networks to compare: the untrained one first, then the baselines, and the run's own last.

    Args:
        run: the run to evaluate.
        baselines: the paths of the baselines. If there are none, the weights that the run began with are one.

    Raises:
        UsageError: if a baseline cannot be opened.
        FloatingPointError: if its weights are not finite.
    """
    paths = list(baselines) or starting_weights(run.config)
    names = _names(paths)
    untrained = dataclasses.replace(run, model=untrained_model(run), checkpoint="untrained")
    opened = [Network(name, open_baseline(run, path)) for name, path in zip(names, paths, strict=True)]
    return [Network(UNTRAINED, untrained), *opened, Network(OWN, run)]


def starting_weights(config: Config) -> list[str]:
    """Returns the path of the weights that a run began with; none if they were random, or are no longer there."""
    path = config.run.init_weights
    if not path:
        return []
    if exists(user_path(path)):
        return [path]
    _log.warning(f"the weights that the run began with are gone, and are left out: {printable(path)}.")
    return []


def untrained_model(run: LoadedRun) -> SSLModel:
    """Makes the method with the initial weights that the run's seed gives, as training does."""
    keras.utils.set_random_seed(run.config.run.seed)
    with run.strategy.scope(), factory.computing_in(run.config):
        return factory.make_model(run.config)


def open_baseline(run: LoadedRun, path: str) -> LoadedRun:
    """Opens a baseline, and puts its network in the place of a run's own.

    Args:
        run: the run to evaluate.
        path: the folder of a run, whose latest checkpoint is taken, and whose network may be another; or weights of the
            run's own network, as `--init_weights` takes them.

    Raises:
        UsageError: if there are no weights that can be read, or a file holds those of another network.
        FloatingPointError: if the weights are not finite.
    """
    place = user_path(path)
    if is_file(place / "config.json") and not is_file(place / "model.safetensors"):  # timm has both
        return _open_run(run, path)
    model = untrained_model(run)
    try:
        _log.info(f"Baseline: {open_given(path).assign_to(model)}")
    except UsageError as error:  # which names the flag of train.py
        raise UsageError(str(error).replace("--init_weights", "--baseline")) from error
    return dataclasses.replace(run, model=model, checkpoint=user_path(path).name)


def _open_run(run: LoadedRun, path: str) -> LoadedRun:
    """Puts the network of another run, of its latest checkpoint, in the place of a run's own."""
    workdir = Workdir.open_existing(path)
    config = workdir.config()
    with run.strategy.scope(), factory.computing_in(config):
        model = factory.make_model(config)
    found = pathlib.PurePath(restore_model(model, workdir.checkpoints)).name
    _log.info(f"Baseline: {found} of the run in {workdir.root}")
    return dataclasses.replace(
        run, model=model, checkpoint=found, config=dataclasses.replace(run.config, recipe=config.recipe)
    )


def _names(paths: Sequence[str]) -> list[str]:
    """Returns the last parts of the paths, or the whole paths if two last parts are equal or are names of our own."""
    short = [user_path(path).name for path in paths]
    is_clear = len(set(short)) == len(short) and not {UNTRAINED, OWN, ""}.intersection(short)
    return [printable(name) for name in (short if is_clear else paths)]
