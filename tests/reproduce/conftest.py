"""Plans the runs of experiments."""

import pytest

from simsiam_tf.cli import flags as definitions
from simsiam_tf.reproduce import runs
from simsiam_tf.reproduce.experiments import EXPERIMENTS


@pytest.fixture
def plan(tmp_path):
    """Returns a function that plans the runs of an experiment, at the size shapes."""

    def plan(experiment=EXPERIMENTS["fig2"], seeds=(0,), extra=("--train_split=train",), folders=None):
        folders = folders or runs.Folders(tmp_path)
        return runs.Planner("shapes", extra, folders, definitions.training_config_of).plan(
            experiment.rows, lambda _: seeds
        )

    return plan
