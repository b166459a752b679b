"""Plans Table 5: the pre-training of each row, and its transfers to detection, one for each seed."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence

from simsiam_tf.config.recipes import recipes
from simsiam_tf.config.transfer import NO_WEIGHTS, TRANSFER_GROUPS, TransferConfig
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import exists, expand
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.given_flags import flags_of
from simsiam_tf.reproduce.runs import Planner, Run, identity_text
from simsiam_tf.reproduce.table5_rows import ROWS, TransferRow
from simsiam_tf.training.stop_signals import command_line
from simsiam_tf.training.transfer_workdir import TransferWorkdir


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Holds one run of transfer.py.

    Attributes:
        arguments: the flags of transfer.py, without --workdir.
        workdir: the folder of the run.
    """

    arguments: tuple[str, ...]
    workdir: TransferWorkdir

    @property
    def diverged_path(self) -> pathlib.Path:
        """Returns the path of the file that marks a run as diverged, so that it is not started again."""
        return self.workdir.root / "diverged.json"

    @property
    def is_done(self) -> bool:
        """Returns whether the run has finished or diverged."""
        return self.workdir.is_finished() or self.diverged_path.exists()

    @property
    def length(self) -> float:
        """Returns 1: all runs of Table 5 have the same number of steps."""
        return 1.0

    @property
    def kind(self) -> str:
        """Returns the same for all runs of Table 5."""
        return "transfer"

    @property
    def command(self) -> list[str]:
        """Returns the command that starts or resumes the run."""
        return [*command_line("transfer"), *self.arguments, f"--workdir={self.workdir.root}"]


def planned_rows(config: ReproduceConfig) -> dict[str, TransferRow]:
    """Returns the rows to carry out: those that are named, or all that can be."""
    names = config.rows or [name for name in ROWS if name != "supervised" or config.supervised]
    return {name: ROWS[name] for name in ROWS if name in names}


def plan_pretraining(config: ReproduceConfig, planner: Planner, seed: int) -> dict[str, Run]:
    """Plans the pre-training of each row that has one; rows of other experiments with the same settings are shared.

    Args:
        config: the settings of the reproduction.
        planner: the planner of pre-training runs, of the size `made` or `imagenet`.
        seed: the seed of the pre-training.

    Raises:
        UsageError: if a flagfile is missing, or the flags are not valid.
    """
    rows = {name: row.pretraining for name, row in planned_rows(config).items() if row.pretraining is not None}
    planned = planner.plan(list(rows.values()), lambda row: [seed], monitored=False)
    return {name: planned[row.recipe][0] for name, row in rows.items()}


def plan_transfers(
    config: ReproduceConfig,
    root: pathlib.Path,
    pretraining: Mapping[str, Run],
    seed: int,
    config_of: Callable[[Sequence[str]], TransferConfig],
    more: Sequence[str] = (),
) -> dict[str, list[Transfer]]:
    """Plans the runs of transfer.py, one for each row and seed. Other settings or weights have folders of their own.

    Args:
        config: the settings of the reproduction.
        root: the folder of the reproduction.
        pretraining: the pre-training of each row that has one.
        seed: the first seed.
        config_of: the function that turns transfer.py's flags into settings.
        more: flags of transfer.py beside those of the user.

    Raises:
        UsageError: if the recipe or weights are missing, or the flags are not valid.
    """
    recipe = recipes()[f"transfer/{config.size}"]
    shared = (f"--flagfile={recipe}", *more, *flags_of(config.transfer_flags))
    planned: dict[str, list[Transfer]] = {}
    for name in planned_rows(config):
        others = _given_weights(config.supervised) if name == "supervised" else NO_WEIGHTS
        backbone = str(pretraining[name].workdir.root) if name in pretraining else others
        # The name of the pre-training's folder tells its settings; its place does not matter.
        weights = pretraining[name].workdir.root.name if name in pretraining else others
        planned[name] = []
        for number in range(seed, seed + config.seeds):
            arguments = (*shared, f"--backbone={backbone}", f"--seed={number}")
            digest = hashlib.sha256(f"{weights} {_settings(arguments, config_of)}".encode()).hexdigest()[:10]
            folder = root / "transfer" / f"{config.size}-{name}-seed{number}-{digest}"
            planned[name].append(Transfer(arguments, TransferWorkdir(folder)))
    return planned


def _given_weights(supervised: str) -> str:
    """Returns the absolute path of the weights that the user gives."""
    place = expand(supervised)
    check(exists(place), "--supervised must be a file of weights, or the folder of a run.", place)
    return place


def _settings(arguments: Sequence[str], config_of: Callable[[Sequence[str]], TransferConfig]) -> str:
    """Returns the settings that tell runs of transfer.py apart, with those of the measurement, as text."""
    try:
        # A workdir is required, but the run's own one depends on the settings: any name will do here.
        config = config_of([*arguments, "--workdir=w"])
    except UsageError as error:  # else nobody could tell whether a flag of train.py is meant
        raise UsageError(f"transfer.py refuses its flags, to which --transfer_flags adds: {error}") from error
    return identity_text(config.identity(), [getattr(config, name) for name in TRANSFER_GROUPS])
