"""Pre-trains a backbone without labels.

python train.py --recipe=cifar10 --workdir=runs/cifar10 [--data_dir=...]
python train.py --dataset=folder --data_dir=photos --workdir=runs/photos    (chooses the settings)
"""

import os
import sys
import time
from collections.abc import Sequence

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import (
    chooses_settings,
    define_training_flags,
    given_flags,
    start_config,
    training_config,
    training_config_of,
)
from simsiam_tf.cli.quiet import loading_tensorflow
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EvaluationConfig, TaskConfig
from simsiam_tf.config.run import Config
from simsiam_tf.config.start import StartConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.files import user_path


def main() -> None:
    """Runs the command."""
    run(define_training_flags, train, __doc__)


def train() -> None:
    """Runs the training that the flags ask for."""
    config, start, chooses = training_config(), start_config(), chooses_settings()
    if start.budget_minutes and not chooses:
        raise UsageError(
            "--budget_minutes goes with --dataset=folder and no flag of a recipe, where train.py chooses the settings. "
            f"Received: --budget_minutes={start.budget_minutes:g} with --dataset={config.data.dataset} and a recipe."
        )
    # By default TensorFlow leaves oneDNN out on a CPU without AVX-512, where training is 1.7 times as fast with it. Its
    # results differ in their last bits from run to run (docs/results/speed.md).
    if config.devices.deterministic:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    else:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if chooses:
        _train_as_chosen(config, start)
        return
    with loading_tensorflow():
        from simsiam_tf.training.pretrain import pretrain

    pretrain(config, dry_run=start.dry_run)


def _train_as_chosen(config: Config, start: StartConfig) -> None:
    """Trains with settings that are chosen by the images and the machine, and shows the result."""
    began, arguments, given = time.monotonic(), sys.argv[1:], given_flags()
    values = {
        name: value for group in config.groups.values() for name, value in group.values().items() if name in given
    }
    with loading_tensorflow():
        from simsiam_tf.training.chosen_settings import ChosenSettings
        from simsiam_tf.training.pretrain import pretrain

    def parse(flags: Sequence[str]) -> Config:
        return training_config_of([*flags, *arguments])

    choose = ChosenSettings(parse, values, start.budget_minutes, writes=not start.dry_run, start=began)
    pretrain(config, choose, start.dry_run)
    if not start.dry_run and (user_path(config.run.workdir) / "chosen.flags").exists():
        _show(config.run.workdir)


def _show(workdir: str) -> None:
    """Writes the report of a run and a sheet of neighbours, unless there is a report already."""
    if (user_path(workdir) / "report.html").exists():
        return
    from simsiam_tf.evaluation.evaluate import evaluate

    # On one device: a second strategy on the devices of the training would confuse their communication.
    evaluate([workdir], EvaluationConfig(task=TaskConfig(protocol=("neighbours", "report"))), {}, DeviceConfig("one"))


if __name__ == "__main__":
    main()
