"""Checks the versions of packages against those that are known not to work."""

import dataclasses
import importlib.metadata
import platform
import re
from collections.abc import Callable, Mapping

from simsiam_tf.doctor.checks import STATES, Asked, Outcome, State

# A version as numbers, as (2, 21, 0).
Numbers = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Known:
    """Describes versions that are known not to work, alone or together.

    Attributes:
        versions: for each package a range such as `<2.20`, `>=0.0.32` or `missing`; several are joined by commas. A
            package must be in its range for all packages of the entry. `any` is any version.
        state: how bad it is.
        advice: why, and what to do.
        source: the file of this repository that has the evidence.
    """

    versions: Mapping[str, str]
    state: State
    advice: str
    source: str


_PIP = "pip install -r requirements.txt"
# The packages of TensorFlow itself, of which one is there.
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
# What is missing, how bad that is, and why.
_NEEDED: tuple[tuple[str, State, str], ...] = (
    ("tensorboard", "fail", "without it TensorFlow 2.21 writes no curves"),
    ("importlib_resources", "fail", "tensorflow-datasets 4.9.10 imports it without declaring it"),
    *((name, "fail", "every run imports it") for name in ("tensorflow-datasets", "absl-py", "pillow", "etils")),
    *((name, "warn", "reports need it") for name in ("matplotlib", "jinja2")),
    *((name, "warn", "transfer.py needs it") for name in ("pycocotools", "rich")),
    ("safetensors", "warn", "weights of others may need it"),
)
KNOWN = (
    Known(
        {"python": "<3.11"}, "fail", "this package is for Python 3.11 to 3.13; make a new environment", "pyproject.toml"
    ),
    Known(
        {"python": ">=3.14"},
        "fail",
        "this package is for Python 3.11 to 3.13; make a new environment",
        "pyproject.toml",
    ),
    Known({"tensorflow": "missing"}, "fail", f"it is needed: {_PIP}", "requirements.txt"),
    Known(
        {"tensorflow": "<2.20"},
        "fail",
        f"this package needs TensorFlow 2.20 or 2.21: {_PIP}",
        "docs/decisions/0015-tensorflow-on-tpus.md",
    ),
    Known(
        {"tensorflow": ">=2.22"},
        "warn",
        f"this package is tested with TensorFlow 2.20 and 2.21 alone; run make test-latest, or {_PIP}",
        "docs/tpu.md",
    ),
    Known({"keras": "missing"}, "fail", f"it is needed: {_PIP}", "requirements.txt"),
    Known(
        {"keras": "<3.15", "tensorflow": "any"},
        "fail",
        f"batch norm, optimizers and checkpoints of this package depend on Keras 3.15: {_PIP}",
        "docs/decisions/0001-tensorflow-2.21-keras-3-no-addons.md",
    ),
    Known(
        {"keras": ">=3.16", "tensorflow": "any"},
        "warn",
        f"each minor release of Keras so far changed something that this package depends on; run make test-latest, or "
        f"{_PIP}",
        "docs/decisions/0001-tensorflow-2.21-keras-3-no-addons.md",
    ),
    Known(
        {"tensorflow-datasets": "<4.9.10"},
        "warn",
        f"requirements.txt asks for 4.9.10 or later: {_PIP}",
        "requirements.txt",
    ),
    Known(
        {"tensorflow-addons": "any", "tensorflow": ">=2.16"},
        "warn",
        "tensorflow-addons does not import with TensorFlow 2.16 or later, and nothing here needs it: pip uninstall "
        "tensorflow-addons",
        "docs/decisions/0001-tensorflow-2.21-keras-3-no-addons.md",
    ),
    Known(
        {"tensorflow-tpu": "any", "libtpu": ">=0.0.32"},
        "fail",
        "tensorflow-tpu aborts on import with libtpu 0.0.32 or later: pip install -r requirements-tpu.txt",
        "requirements-tpu.txt",
    ),
    Known(
        {"torchvision": "any", "tensorflow": "any"},
        "warn",
        "torchvision crashes if it is loaded after TensorFlow: a script that uses both must import torch and "
        "torchvision first. The commands of this package import neither",
        "Makefile",
    ),
    *(Known({name: "missing"}, state, f"{why}: {_PIP}", "requirements.txt") for name, state, why in _NEEDED),
)


def versions(asked: Asked) -> Outcome:
    """Judges the packages that are installed.

    Args:
        asked: not used: every run needs the same packages.
    """
    return judge(_installed)


def judge(version_of: Callable[[str], str | None]) -> Outcome:
    """Judges versions by the table `KNOWN`.

    Args:
        version_of: a function that returns the version of a package, or `None` if it is not installed.

    Example:
        >>> judge({"python": "3.10.1"}.get).state
        'fail'
    """
    main = [f"{name} {version_of(name) or 'missing'}" for name in ("python", "tensorflow", "keras")]
    found = [known for known in KNOWN if all(_is_in(version_of(name), r) for name, r in known.versions.items())]
    if not found:
        return Outcome("pass", ", ".join(main))
    found.sort(key=lambda known: STATES.index(known.state))
    what = [" beside ".join(f"{name} {version_of(name) or 'missing'}" for name in known.versions) for known in found]
    return Outcome(found[0].state, "; ".join(what), "; ".join(dict.fromkeys(known.advice for known in found)))


def _installed(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    for package in _TENSORFLOW if name == "tensorflow" else (name,):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _is_in(version: str | None, wanted: str) -> bool:
    if version is None or wanted == "missing":
        return version is None and wanted == "missing"
    return all(_fits(_numbers(version), part.strip()) for part in wanted.split(",") if part != "any")


def _fits(version: Numbers, bound: str) -> bool:
    limit = _numbers(bound.lstrip("<>="))
    return version < limit if bound.startswith("<") else version >= limit


def _numbers(version: str) -> Numbers:
    """Returns the numbers of a version, as (3, 15, 1); what follows them, as in `2.22.0rc1`, is not compared."""
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()
