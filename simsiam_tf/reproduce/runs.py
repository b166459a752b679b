"""Plans the runs of an experiment."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from simsiam_tf.config.fields import SettingsGroup
from simsiam_tf.config.recipes import recipes
from simsiam_tf.config.run import Config
from simsiam_tf.errors import UsageError, check
from simsiam_tf.reproduce.experiments import Experiment, Row
from simsiam_tf.training.stop_signals import command_line
from simsiam_tf.training.transfer_workdir import is_transfer
from simsiam_tf.training.workdir import Workdir

# The runs of the paper that go wrong are to go wrong to their end.
_TRAIN = *command_line("train"), "--on_collapse=ignore"


@dataclasses.dataclass(frozen=True)
class Run:
    """Holds the flags, the settings and the folder of one run of train.py.

    Attributes:
        arguments: the flags of train.py, without --workdir.
        config: the settings that these flags give.
        workdir: the folder of the run.
    """

    arguments: tuple[str, ...]
    config: Config
    workdir: Workdir

    @property
    def diverged_path(self) -> pathlib.Path:
        """Returns the path of the file that marks a run as diverged, so that it is not started again."""
        return self.workdir.root / "diverged.json"

    @property
    def is_done(self) -> bool:
        """Returns whether the run has finished or diverged."""
        return self.workdir.is_finished() or self.diverged_path.exists()

    @property
    def length(self) -> int:
        """Returns the number of epochs."""
        return self.config.run.epochs

    @property
    def kind(self) -> str:
        """Returns the method. An epoch of SwAV, with its small crops, takes longer than one of SimSiam."""
        return self.config.model.method

    @property
    def command(self) -> list[str]:
        """Returns the command that starts or resumes the run."""
        return [*_TRAIN, *self.arguments, f"--workdir={self.workdir.root}"]


class Folders:
    """Finds the folder of a run by its settings, so that runs with the same settings share one folder.

    Args:
        root: the folder of the reproduction.
    """

    def __init__(self, root: pathlib.Path):
        self._root = root / "runs"
        self._of: dict[str, pathlib.Path] = {}
        folders = [path.parent for path in sorted(self._root.glob("*/config.json"))]
        there = [Workdir(folder) for folder in folders if not is_transfer(str(folder))]
        # Finished runs come last, so that they take the place of unfinished ones with the same settings.
        for workdir in sorted(there, key=lambda workdir: workdir.is_finished()):
            self._of[_identity(workdir.config())] = workdir.root

    def folder(self, name: str, config: Config) -> pathlib.Path:
        """Returns the folder of a run: an existing one with the same settings, or else a new path.

        Args:
            name: the beginning of a new folder's name.
            config: the settings of the run.
        """
        identity = _identity(config)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
        return self._of.setdefault(identity, self._root / f"{name}-{digest}")


def _identity(config: Config) -> str:
    return identity_text(config.identity(), config.groups.values())


def identity_text(settings: Mapping[str, Any], groups: Iterable[SettingsGroup]) -> str:
    """Returns the settings that tell runs apart, as text.

    Settings that are newer than the kept runs are left out where they have the value of those runs.

    Args:
        settings: the settings that tell runs apart, by name.
        groups: the groups of all settings.
    """
    identity = dict(settings)
    for group in groups:
        values = group.values()
        for setting in group.settings():
            if setting.says_absent and values[setting.name] == setting.absent:
                identity.pop(setting.name, None)
    return json.dumps(identity, sort_keys=True)


@dataclasses.dataclass(frozen=True)
class Planner:
    """Plans the runs of rows, for one size and one list of extra flags.

    Attributes:
        size: the stem of the size's flagfile in flags/recipes/size.
        extra: the extra flags of train.py that every run gets.
        folders: the folders of the runs.
        config_of: the function that turns train.py's flags into settings.
    """

    size: str
    extra: Sequence[str]
    folders: Folders
    config_of: Callable[[Sequence[str]], Config]

    def plan(
        self, rows: Sequence[Row], seeds: Callable[[Row], Sequence[int]], monitored: bool = True
    ) -> dict[str, list[Run]]:
        """Plans the runs of each row. Rows with the same settings share their runs.

        Args:
            rows: the rows of an experiment.
            seeds: the function that gives the seeds of a row's runs.
            monitored: whether rows are compared by kNN, so that it must be on.

        Returns:
            The runs of each row, by recipe.

        Raises:
            UsageError: if a flagfile is missing, the flags are not valid, or an extra flag is one that a row sets.
        """
        planned = {}
        for row in rows:
            files = self._flagfiles(row)
            planned[row.recipe] = [self._run(row, files, seed, monitored) for seed in seeds(row)]
        return planned

    def left_out(
        self, experiment: Experiment, chosen: Container[str], seeds: Callable[[Row], Sequence[int]]
    ) -> dict[str, list[Run]]:
        """Plans the rows of an experiment that are not chosen, so that a page can say what they would take.

        Args:
            experiment: the experiment with all its rows.
            chosen: the recipes of the rows that are run.
            seeds: the function that gives the seeds of a row's runs.

        Returns:
            The runs of each row, by recipe. Left away are rows all of whose runs are done, and rows that do not go with
            the extra flags.
        """
        planned = {}
        for row in experiment.rows:
            if row.recipe in chosen:
                continue
            try:
                of_row = self.plan([row], seeds)[row.recipe]
            except UsageError:
                continue  # the flags are meant for the rows that are run; the page is not to fail for another
            if not all(run.is_done for run in of_row):
                planned[row.recipe] = of_row
        return planned

    def _flagfiles(self, row: Row) -> list[pathlib.Path]:
        """Returns the row's flagfiles: the recipe, the size, and on ImageNet that of the authors. The last one wins."""
        known, is_at_full_size = recipes(), self.size == "imagenet"
        check(f"size/{self.size}" in known, "--size must be the name of a recipe in flags/recipes/size.", self.size)
        own = [known[f"paper/{row.recipe}"]]
        own += [known[f"authors/{row.original}"]] if row.original and is_at_full_size else []
        files = [own[0], known[f"size/{self.size}"], *own[1:]]
        set_by_row = {name for file in own for name in _names(file.read_text().split())}
        # Every recipe names ImageNet, so --dataset may replace what a row sets.
        undone = set_by_row & _names(self.extra) - {"dataset"}
        if undone:
            raise UsageError(
                f"--{min(undone)} is set by the recipe {row.recipe}; do not give it. Received: {' '.join(self.extra)}."
            )
        return files

    def _run(self, row: Row, files: Sequence[pathlib.Path], seed: int, monitored: bool) -> Run:
        """Makes a run of a row with one seed."""
        arguments = (*(f"--flagfile={file}" for file in files), *self.extra, f"--seed={seed}")
        # A workdir is required, but the run's own one depends on the settings: any name will do here.
        config = self.config_of([*arguments, "--workdir=w"])
        if monitored and config.run.knn_every_epochs == 0:
            raise UsageError("Rows are compared by kNN; leave --knn_every_epochs above 0. Received: 0.")
        folder = self.folders.folder(f"{row.recipe}-seed{seed}", config)
        return Run(arguments, config, Workdir(folder))


def _names(flags: Sequence[str]) -> set[str]:
    """Returns the names of flags, without values and without the `no` of a switched-off boolean."""
    return {flag.lstrip("-").partition("=")[0].removeprefix("no") for flag in flags if flag.startswith("--")}
