"""train.py on a folder of photographs, with no recipe: it chooses the settings, trains, and shows the result."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.conftest import run_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for i in range(24):
        colours = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((50 + i, 40), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg")
    (folder / "broken.jpg").write_bytes((folder / "0.jpg").read_bytes()[:300])
    return folder


def train(folder, photographs, *flags):
    return run_script("train.py", "--dataset=folder", f"--data_dir={photographs}", f"--workdir={folder}", *flags)


def weights(folder):
    return json.loads((folder / "summary.json").read_text())["weights_sha256"]["value"]


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"}


def test_one_command_chooses_trains_and_shows_the_result(photographs, tmp_path):
    """A budget measures a network before the run's own is made; the run is the same as without."""
    own = ("--epochs=2", "--image_size=32", "--deterministic")
    folder = tmp_path / "run"
    result = train(folder, photographs, *own, "--budget_minutes=30")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("25 training images without classes of ")
    assert any(line.startswith("  --arch=resnet18 --width=0.25") for line in lines)
    assert "Traceback" not in result.stderr
    assert (folder / "skipped.txt").read_text() == f"{photographs / 'broken.jpg'}\n"
    assert Image.open(folder / "neighbours" / "sheet.png").size[0] > 5 * 32
    assert "nearest" in (folder / "report.html").read_text()
    assert json.loads((folder / "config.json").read_text())["config"]["recipe"] == "chosen"

    before = files(folder)
    again = train(folder, photographs, *own)
    assert again.returncode == 0, again.stderr
    assert "This run is finished" in again.stdout
    assert files(folder) == before

    other = tmp_path / "other"
    flags = (f"--flagfile={folder / 'chosen.flags'}", *own)
    repeated = train(other, photographs, *flags)
    assert repeated.returncode == 0, repeated.stderr
    assert weights(other) == weights(folder)
    assert not (other / "chosen.flags").exists() and not (other / "report.html").exists()


@pytest.mark.long
def test_a_dry_run_says_how_long_a_recipe_takes_and_writes_nothing(photographs, tmp_path):
    folder = tmp_path / "run"
    recipe = ("--arch=resnet18", "--width=0.0625", "--image_size=32", "--global_batch_size=8", "--epochs=30")
    result = train(folder, photographs, *recipe, "--dry_run")
    assert result.returncode == 0, result.stderr
    assert "Dry run: 30 epochs would take about" in result.stdout.splitlines()[-1]
    assert not folder.exists()
    refused = train(folder, photographs, *recipe, "--budget_minutes=5")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: --budget_minutes goes with --dataset=folder and no flag of a recipe")
