"""What the README shows runs."""

import re

import keras
import numpy as np
import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_keras_script_runs_in_under_25_lines(tmp_path, monkeypatch, rng, capsys):
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "model.fit" in block)
    assert len(code.strip().splitlines()) < 25
    monkeypatch.chdir(tmp_path)
    images, classes = rng.integers(0, 256, (384, 32, 32, 3)).astype("uint8"), np.arange(384)[:, np.newaxis] % 10
    data = (images[:256], classes[:256]), (images[256:], classes[256:])
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: data)
    names: dict = {}
    exec(code, names)
    history = names["model"].evaluate(names["pairs"](data[1][0]), verbose=0, return_dict=True)
    assert -1 < history["loss"] < 0.1
    assert len(names["knn"].model.history.history["knn_top1"]) == 2
    assert "z_std_scaled" in capsys.readouterr().out
