"""Says which packages of requirements-interop.txt are missing."""

import importlib.util
from collections.abc import Sequence

from simsiam_tf.config.evaluation import ExportFormat
from simsiam_tf.errors import UsageError


def check_packages(name: ExportFormat, needs: Sequence[str]) -> None:
    """Checks that the packages of requirements-interop.txt that a format needs are there.

    Args:
        name: the name of the format.
        needs: the names of the packages.

    Raises:
        UsageError: if one is missing.
    """
    missing = [package for package in needs if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(
            f"--format={name} needs packages that are not installed; run pip install -r requirements-interop.txt. "
            f"Received: an environment without {' and '.join(missing)}."
        )
