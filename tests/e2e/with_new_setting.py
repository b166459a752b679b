"""Runs train.py as a later version would, which has one more setting: with_new_setting.py FLAGS...

The setting is 0.7 by default, and 0.2 describes what runs did before it existed.
"""

import dataclasses
import pathlib
import runpy
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.argv[0] = str(ROOT / "train.py")

from simsiam_tf.config import run
from simsiam_tf.config.fields import option
from simsiam_tf.config.optimizer import OptimizerConfig

setting = ("new_setting", float, option(0.7, "A new setting.", absent=0.2))
run.CONFIG_GROUPS["optimizer"] = dataclasses.make_dataclass(
    "OptimizerConfig", [setting], bases=(OptimizerConfig,), frozen=True
)
runpy.run_path(sys.argv[0], run_name="__main__")
