"""Says whether this machine is all right, and whether a run would be: `python -m simsiam_tf.cli.doctor`.

It takes the flags of train.py. Without any it judges the machine alone. With them it also judges the run: its images,
whether its step fits and how long it takes, its folder. It trains nothing, and leaves nothing behind. Each row is pass,
warn or fail, with what to do; the exit code is 1 if a row is fail. A check that takes more than 30 seconds, apart from
the time to load TensorFlow, is not measured (--check_seconds).
"""

import json
import logging
import os
import sys
from typing import Any

from simsiam_tf.cli.console import leave_stdout_to_data
from simsiam_tf.cli.doctor_flags import (
    asked_run,
    choice_asked,
    chosen_run,
    define_doctor_flags,
    doctor_config,
    names_workdir,
)
from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.quiet import has_gpu
from simsiam_tf.config.doctor import DoctorConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.doctor.checks import Asked, Outcome, Result
from simsiam_tf.doctor.runner import Runner
from simsiam_tf.doctor.table import CHOICE, check_names, checks_for
from simsiam_tf.doctor.text import as_json, row, verdict

_log = logging.getLogger("simsiam_tf.cli.doctor")  # __name__ is "__main__" where the command is run


def main() -> None:
    """Runs the command."""
    run(define_doctor_flags, examine, __doc__)


def examine() -> None:
    """Runs the checks that the flags ask for, and prints a row for each."""
    settings, config = doctor_config(), asked_run()
    if settings.json:
        leave_stdout_to_data()
    check_names(settings.checks)
    results = _results(config, settings)
    if settings.json:
        print(json.dumps(as_json(results), indent=2, allow_nan=False))
    else:
        _log.log(RESULT, verdict(results))
    if any(result.state == "fail" for result in results):
        sys.exit(1)


def _results(config: Config | None, settings: DoctorConfig) -> list[Result]:
    """Runs the checks, and shows the row of each once it is done."""
    options: dict[str, Any] = {"environment": _environment(config), "limit": settings.check_seconds}
    options["shows_all"] = _log.isEnabledFor(logging.DEBUG)
    known: dict[str, Outcome] = {}
    needs_choice = config is not None and any(check.of_run for check in checks_for(config, settings.checks))
    choice = choice_asked() if needs_choice else None
    if choice is not None:
        runner = Runner((CHOICE,), Asked(config, names_workdir(), choice), **options)
        (outcome,) = runner.outcomes()
        if outcome.state == "pass":
            config = chosen_run(runner.facts["flags"])
        else:
            known = {CHOICE.name: outcome}
    checks, results = checks_for(config, settings.checks), list[Result]()
    width = max(len(check.name) for check in checks)
    for result in Runner(checks, Asked(config, names_workdir()), known=known, **options).results():
        results.append(result)
        if not settings.json:
            for line in row(result, width):
                _log.log(RESULT, line)
    return results


def _environment(config: Config | None) -> dict[str, str]:
    """Returns the environment of the child processes, in which TensorFlow computes as in train.py."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    if config is not None and config.devices.deterministic:
        environment["TF_ENABLE_ONEDNN_OPTS"] = "0"
    else:
        environment.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not has_gpu():
        environment.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return environment


if __name__ == "__main__":
    main()
