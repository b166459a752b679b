"""Counts the requests that a run with its folder in a bucket makes: at its start and end, per epoch, and per save.

The bucket is the stand-in of the tests, so the time that requests take at Google is not measured.

python benchmarks/bucket_requests.py [--json=FILE]
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import harness

from tests.fake_gcs import FakeGcs, serve

STEPS = 4  # in an epoch
FLAGS = [
    *("--dataset=shapes", f"--max_examples={16 * STEPS}", "--image_size=32", "--arch=resnet18", "--width=0.0625"),
    *("--projector_layers=2", "--projector_dim=16", "--predictor_dim=8", "--global_batch_size=16"),
    *("--knn_every_epochs=0", "--save_every_minutes=0"),
]


def requests_of(gcs: FakeGcs, name: str, *flags: str) -> int:
    """Trains a run in the bucket, and returns the number of requests."""
    before = len(gcs.requests())
    command = [sys.executable, str(HERE.parent / "train.py"), *FLAGS, *flags, f"--workdir={gcs.address}/{name}"]
    subprocess.run(command, env={**os.environ, **gcs.environment()}, check=True, stdout=subprocess.DEVNULL)
    return len(gcs.requests()) - before


def main() -> None:
    """Trains for 2 and for 6 epochs, for 2 longer ones, and for 6 with a save after each step."""
    options = harness.make_parser(__doc__, "write the counts to this file").parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(pathlib.Path(folder)) as gcs:
        short = requests_of(gcs, "short", "--epochs=2")
        long = requests_of(gcs, "long", "--epochs=6")
        longer_epochs = requests_of(gcs, "longer", "--epochs=2", f"--max_examples={16 * 4 * STEPS}")
        saving = requests_of(gcs, "saving", "--epochs=6", "--save_every_steps=1")
    per_epoch = (long - short) / 4
    result = {
        "start_and_end": short - 2 * per_epoch,
        "epoch_with_its_save": per_epoch,
        "step_without_a_save": (longer_epochs - short) / (2 * 3 * STEPS),
        "save": (saving - long) / (6 * STEPS - 6),
        "all_of_24_steps_with_a_save_each": saving,
    }
    print(json.dumps(result))
    harness.write_result(result, options.json, indent=1)


if __name__ == "__main__":
    main()
