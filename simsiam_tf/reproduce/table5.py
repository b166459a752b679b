"""Plans Table 5: the pre-training of each row by train.py, and its transfer to detection by transfer.py."""

import dataclasses
import hashlib
import pathlib
import shlex
from collections.abc import Callable, Sequence

from simsiam_tf.config.transfer import NO_WEIGHTS, TRANSFER_GROUPS, TransferConfig
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import exists, expand
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.runs import RECIPES, Job, Planner, Run, identity_text
from simsiam_tf.reproduce.table5_rows import SUPERVISED, TransferRow
from simsiam_tf.training.transfer_workdir import TransferWorkdir

# The flags of transfer.py that tell the runs of a row apart.
_OF_A_RUN = ("backbone", "seed", "workdir")
# Those that name places of one machine, which a page leaves out.
_PLACES = ("data_dir", "eval_dir", "index_dir", "train_annotations", "eval_annotations", "verbosity")


@dataclasses.dataclass(frozen=True)
class TransferRun(Job):
    """Holds the flags, the settings and the folder of one run of transfer.py.

    Attributes:
        config: the settings that the flags give.
        pretraining: the run of train.py whose backbone it begins with; `None` if there is none.
    """

    config: TransferConfig
    pretraining: Run | None
    script = "transfer.py"

    @property
    def lacks_backbone(self) -> bool:
        """Returns whether the pre-training diverged, so that there is nothing to fine-tune."""
        return self.pretraining is not None and self.pretraining.diverged_path.exists()

    @property
    def is_done(self) -> bool:
        """Returns whether the run has finished or diverged, or cannot begin because its pre-training diverged."""
        return self.lacks_backbone or super().is_done

    @property
    def has_diverged(self) -> bool:
        """Returns whether the run itself diverged."""
        return not self.lacks_backbone and self.diverged_path.exists()


@dataclasses.dataclass(frozen=True)
class Table5:
    """Plans the runs of Table 5, for one size.

    Attributes:
        size: the stem of the size's flagfile in flags/recipes/transfer.
        root: the folder of the reproduction; the runs of transfer.py lie in its folder `transfer`.
        planner: the planner of the pre-training.
        supervised: the weights of the row `supervised`, as the user typed them; empty for none.
        flags: the flags of transfer.py that every run of it gets, after those of its recipe.
        config_of: the function that turns transfer.py's flags into settings.
    """

    size: str
    root: pathlib.Path
    planner: Planner
    supervised: str
    flags: Sequence[str]
    config_of: Callable[[Sequence[str]], TransferConfig]

    def plan(self, rows: Sequence[TransferRow], seeds: Sequence[int]) -> dict[str, list[TransferRun]]:
        """Plans the runs of each row, one for each seed. A transfer has the seed of its pre-training.

        Args:
            rows: the rows to run, which include the row `supervised` even if it has no weights.
            seeds: the seeds of each row's runs.

        Returns:
            The runs of transfer.py of each row, by its name; none for the row `supervised` without weights.

        Raises:
            UsageError: if a recipe or the supervised weights are missing, or the flags are not valid.
        """
        pretraining = [row.pretraining for row in rows if row.pretraining is not None]
        trained = self.planner.plan(pretraining, lambda _: seeds)
        planned: dict[str, list[TransferRun]] = {}
        for row in rows:
            if row.recipe:
                runs = trained[row.recipe]
                planned[row.name] = [self._run(row, seed, run) for seed, run in zip(seeds, runs, strict=True)]
            else:
                missing = row.name == SUPERVISED and not self.supervised
                planned[row.name] = [] if missing else [self._run(row, seed, None) for seed in seeds]
        return planned

    def _run(self, row: TransferRow, seed: int, pretraining: Run | None) -> TransferRun:
        """Makes the run of a row with one seed."""
        recipe = RECIPES / "transfer" / f"{self.size}.flags"
        check(recipe.exists(), "Reproducing needs a checkout of the project: this recipe is missing.", recipe)
        backbone = self._backbone(row, pretraining)
        arguments = (f"--flagfile={recipe}", *self.flags, f"--backbone={backbone}", f"--seed={seed}")
        # A workdir is required, but the run's own one depends on the settings: any name will do here.
        try:
            config = self.config_of([*arguments, "--workdir=w"])
        except UsageError as error:  # else nobody could tell whether a flag of train.py is meant
            raise UsageError(f"transfer.py refuses its flags, to which --transfer_flags adds: {error}") from error
        settings = identity_text(config.identity(), [getattr(config, name) for name in TRANSFER_GROUPS])
        # The name of the pre-training's folder, and not its place, so that a moved reproduction is still done.
        weights = backbone if pretraining is None else pretraining.workdir.root.name
        # Runs that are measured otherwise do not belong on one page, although their weights are the same.
        measure = f"{config.run.metric} {config.run.eval_examples}"
        digest = hashlib.sha256(f"{weights} {measure} {settings}".encode()).hexdigest()[:10]
        folder = self.root / "transfer" / f"{self.size}-{row.name}-seed{seed}-{digest}"
        return TransferRun(arguments, TransferWorkdir(folder), config, pretraining)

    def _backbone(self, row: TransferRow, pretraining: Run | None) -> str:
        """Returns the value of --backbone for a row."""
        if pretraining is not None:
            return str(pretraining.workdir.root)
        if row.name != SUPERVISED:
            return NO_WEIGHTS
        place = expand(self.supervised)
        check(exists(place), "--supervised must be a file of weights, or the folder of a run.", place)
        return place


def in_order(plan: dict[str, list[TransferRun]]) -> list[Job]:
    """Returns the runs of a plan in the order in which to carry them out: each transfer after its pre-training."""
    pairs = [(run.pretraining, run) for runs in plan.values() for run in runs]
    return [job for pair in pairs for job in pair if job is not None]


def flags_of(text: str) -> list[str]:
    """Splits the text of --transfer_flags as a shell does.

    Args:
        text: flags of transfer.py, with spaces between them.

    Raises:
        UsageError: if a quotation mark is not closed, a flag is one that each run has of its own, or there is
            something else than flags.
    """
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--transfer_flags must close its quotation marks ({error}). Received: {text}.") from error
    for part in parts:
        rule = "--transfer_flags must hold flags of transfer.py, each as --name=value or --name."
        check(part.startswith("--") and len(part) > 2, rule, part)
        name = _name(part)
        check(name not in _OF_A_RUN, f"--{name} is set for each run; leave it out of --transfer_flags.", text)
    return parts


def flags_to_show(config: ReproduceConfig, seed: int, extra: Sequence[str], transfer_flags: Sequence[str]) -> list[str]:
    """Returns the flags of the command for its page, without places of this machine: others have theirs elsewhere.

    Args:
        config: the settings of the reproduction.
        seed: the first seed.
        extra: the flags of train.py.
        transfer_flags: the flags of transfer.py.
    """
    weights = config.supervised.rstrip("/").rpartition("/")[2]
    of_transfer = shlex.join(_without_places(transfer_flags))
    own = {
        "size": config.size,
        "seeds": config.seeds if config.seeds > 1 else "",
        "seed": seed or "",
        "rows": ",".join(config.rows),
        "supervised": weights,
        "transfer_flags": of_transfer,
    }
    return [*(f"--{name}={value}" for name, value in own.items() if value), *_without_places(extra)]


def _without_places(flags: Sequence[str]) -> list[str]:
    return [flag for flag in flags if _name(flag) not in _PLACES]


def _name(flag: str) -> str:
    return flag.lstrip("-").partition("=")[0]
