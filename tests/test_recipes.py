"""Every recipe parses, is valid, and says what it is."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import ROOT

RECIPES = sorted((ROOT / "flags" / "recipes").rglob("*.flags"))
PARSE = """
import sys, json
from flags import definitions
from absl import flags
definitions.define_training_flags()
sys.argv = ["train.py", f"--flagfile={sys.argv[1]}", "--workdir=w", *sys.argv[2:]]
flags.FLAGS(sys.argv)
print(json.dumps(definitions.training_config().to_dict()))
"""


def parse(path: pathlib.Path, *overrides: str) -> dict:
    command = [sys.executable, "-c", PARSE, str(path), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_parses_and_its_header_says_command_hardware_time_and_number(path):
    parse(path)
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    text = "\n".join(header).lower()
    for word in ("command:", "hardware:", "time:", "expected:"):
        assert word in text, f"{path.name}: no '{word}' in its header"


def test_a_flag_after_the_flagfile_overrides_it():
    path = ROOT / "flags" / "recipes" / "cifar10.flags"
    assert parse(path)["run"]["epochs"] == 800
    changed = parse(path, "--epochs=3", "--nostop_gradient")
    assert changed["run"]["epochs"] == 3
    assert changed["model"]["stop_gradient"] is False
    assert changed["recipe"] == "cifar10"


def test_the_paper_s_settings():
    """Sec. 3 and App. D of the paper."""
    imagenet = parse(ROOT / "flags" / "recipes" / "imagenet.flags")
    model, optimizer, data = imagenet["model"], imagenet["optimizer"], imagenet["data"]
    assert (model["arch"], model["projector_layers"], model["projector_dim"], model["predictor_dim"]) == (
        "resnet50",
        3,
        2048,
        512,
    )
    assert (optimizer["base_learning_rate"], optimizer["weight_decay"], optimizer["sgd_momentum"]) == (0.05, 1e-4, 0.9)
    assert (data["global_batch_size"], data["image_size"], imagenet["run"]["epochs"]) == (512, 224, 100)

    cifar = parse(ROOT / "flags" / "recipes" / "cifar10.flags")
    model, optimizer = cifar["model"], cifar["optimizer"]
    assert (model["arch"], model["width"]) == ("resnet18", 1.0)
    assert (model["projector_layers"], model["projector_dim"]) == (2, 2048)
    assert (optimizer["base_learning_rate"], optimizer["weight_decay"]) == (0.03, 5e-4)
    assert (cifar["data"]["global_batch_size"], cifar["augment"]["augmentation"]) == (512, "simsiam_cifar")
