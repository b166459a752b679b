"""Splits the flags that the user gives, and shows them again on a page."""

import shlex
from collections.abc import Sequence

from simsiam_tf.errors import UsageError, check
from simsiam_tf.reproduce.config import ReproduceConfig

# Flags that name places of one machine, or its messages: a page leaves them out.
_PLACES = ("data_dir", "eval_dir", "index_dir", "train_annotations", "eval_annotations", "verbosity")


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
        raise UsageError(f"--transfer_flags must close its quotation marks. Received: {text}.") from error
    for part in parts:
        rule = "--transfer_flags must hold flags of transfer.py, each as --name=value or --name."
        check(part.startswith("--") and len(part) > 2, rule, part)
        own = _name(part) in ("backbone", "seed", "workdir")
        check(not own, "Each run of table5 has its own --backbone, --seed and --workdir; leave them out.", text)
    return parts


def shown_flags(config: ReproduceConfig, seed: int, extra: Sequence[str]) -> list[str]:
    """Returns the flags of the command for its page, without places of this machine: others have theirs elsewhere.

    Args:
        config: the settings of the reproduction.
        seed: the first seed.
        extra: the flags of train.py.
    """
    given = {
        "experiment": config.experiment,
        "size": config.size,
        "seeds": config.seeds if config.seeds > 1 else "",
        "reference_seeds": config.reference_seeds if config.reference_seeds > 1 else "",
        "seed": seed or "",
        "probe": config.probe if config.probe != "none" else "",
        "rows": ",".join(config.rows),
        "supervised": config.supervised.rstrip("/").rpartition("/")[2],
        "transfer_flags": shlex.join(flag for flag in flags_of(config.transfer_flags) if _name(flag) not in _PLACES),
    }
    own = [f"--{name}={value}" for name, value in given.items() if value]
    return [*own, *(flag for flag in extra if _name(flag) not in _PLACES)]


def _name(flag: str) -> str:
    return flag.lstrip("-").partition("=")[0]
