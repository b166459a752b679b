"""Six seconds of each fuzz target. `make fuzz` gives each of them ten minutes."""

import json
import subprocess
import sys

import pytest

from tests.fuzz.target import ALL_FAULTS, ROOT

NAMES = ("image", "flags", "config", "metrics", "index", "shards", "keras", "safetensors", "torch", "checkpoints")
NAMES += ("coco", "voc")
# Ten would take more than two minutes with the starts.
_SECONDS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The counts of all targets, whose cases are others than those of `make fuzz`."""
    folder = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, "-m", "tests.fuzz.run", "--seed=1", f"--minutes={_SECONDS / 60}", f"--folder={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_input_is_answered_wrongly(folder, name):
    found = json.loads((folder / name / "counts-1.json").read_text())
    assert sum(found["counts"].values())
    assert not set(found["counts"]) & set(ALL_FAULTS), found["faults"]


def test_every_target_is_run():
    from tests.fuzz.targets import TARGETS

    assert tuple(TARGETS) == NAMES
