"""Makes the stored numbers that `python -m simsiam_tf.cli.doctor` compares a machine with.

Run it again only if the step or the views are changed on purpose:

    PYTHONPATH=. python benchmarks/doctor_fixtures.py

It computes on the CPU, and without oneDNN, whose last bits differ from run to run.
"""

import json
import os
import pathlib

os.environ |= {"TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}

import numpy as np

from simsiam_tf.doctor import augmentation, training_step

FOLDER = pathlib.Path(augmentation.__file__).parent


def main() -> None:
    """Writes both files into the package."""
    (FOLDER / "training_step.json").write_text(json.dumps(training_step.fixture(), indent=1) + "\n")
    made = {"host": augmentation.made_on_host(), "device": augmentation.made_on_device()}
    levels = {name: np.clip(np.rint(views), 0, 255).astype(np.uint8) for name, views in made.items()}
    np.savez_compressed(FOLDER / "golden.npz", **levels)


if __name__ == "__main__":
    main()
