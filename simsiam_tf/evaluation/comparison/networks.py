"""Opens the networks that a run is compared with: the untrained one, and baselines."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence

import keras

from simsiam_tf.config.run import Config
from simsiam_tf.errors import check
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.files import is_file, printable, user_path
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
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
    paths = list(baselines) or [path for path in [starting_weights(run.config)] if path]
    names = _names(paths)
    untrained = dataclasses.replace(run, model=untrained_model(run), checkpoint="untrained")
    opened = [Network(name, open_baseline(run, path)) for name, path in zip(names, paths, strict=True)]
    return [Network(UNTRAINED, untrained), *opened, Network(OWN, run)]


def starting_weights(config: Config) -> str:
    """Returns the path of the weights that a run began with; empty if it began with random ones."""
    return ""  # so far every run does


def untrained_model(run: LoadedRun) -> SSLModel:
    """Makes the method with the initial weights that the run's seed gives, as training does."""
    keras.utils.set_random_seed(run.config.run.seed)
    with run.strategy.scope(), factory.computing_in(run.config):
        return factory.make_model(run.config)


def open_baseline(run: LoadedRun, path: str) -> LoadedRun:
    """Opens a baseline, and puts its network in the place of a run's own.

    Args:
        run: the run to evaluate.
        path: the folder of a run, whose latest checkpoint is taken. Its network may be another than the run's.

    Raises:
        UsageError: if the folder holds no run, or no checkpoint that can be read.
        FloatingPointError: if the weights are not finite.
    """
    rule = "--baseline must name the folders of runs, with the config.json that train.py wrote."
    check(is_file(user_path(path) / "config.json"), rule, repr(path))
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
