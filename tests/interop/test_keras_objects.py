"""A backbone that was saved loads in a fresh process, whichever is imported first."""

import importlib
import json
import pkgutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import simsiam_tf
from simsiam_tf.interop import keras_objects
from tests.conftest import ROOT

CODE = """
import json, sys
import {first}
without_tensorflow = "tensorflow" not in sys.modules
import {second}
early = [name for name in sys.modules if name.startswith("simsiam_tf.networks")]
backbone = keras.saving.load_model({path!r})
print(json.dumps([without_tensorflow, early, float(backbone(keras.ops.ones([1, 32, 32, 3]))[0, 0])]))
"""


@pytest.mark.parametrize(
    "order", [("simsiam_tf", "keras"), pytest.param(("keras", "simsiam_tf"), marks=pytest.mark.slow)]
)
def test_a_saved_backbone_loads_without_a_further_call(order, tmp_path):
    backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.0625)
    backbone.save(tmp_path / "backbone.keras")
    code = CODE.format(first=order[0], second=order[1], path=str(tmp_path / "backbone.keras"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    without_tensorflow, early, value = json.loads(done.stdout.splitlines()[-1])
    assert without_tensorflow == (order[0] == "simsiam_tf")
    assert early == []  # nothing is loaded before a file needs it
    assert value == pytest.approx(float(backbone(np.ones([1, 32, 32, 3], "float32"))[0, 0]), rel=1e-5)


def test_every_registered_class_has_a_stand_in():
    for module in pkgutil.walk_packages(simsiam_tf.__path__, "simsiam_tf."):
        if ".cli." not in module.name and not module.name.endswith(("__main__", "preview")):
            importlib.import_module(module.name)
    known = {name: value for name, value in keras.saving.get_custom_objects().items() if name.startswith("simsiam_tf>")}
    listed = {f"simsiam_tf>{name}" for names in keras_objects.REGISTERED.values() for name in names}
    # The base class, and a fine-tuned network, which is saved in a format of its own.
    internal = {"simsiam_tf>SSLModel", "simsiam_tf>Classifier"}
    assert set(known) - internal == listed
    assert all(isinstance(value, type) for value in known.values())  # the class itself has taken its place


def test_public_names_and_rooms_are_listed_and_there():
    names = dir(simsiam_tf)
    assert {
        "SimSiam",
        "TwoViews",
        "KNNMonitor",
        "CollapseMonitor",
        "load",
        "augment",
        "losses",
        "methods",
        "features",
        "errors",
    } <= set(names)
    for name in names:
        assert getattr(simsiam_tf, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'SimSaim'"):
        _ = simsiam_tf.SimSaim
