import keras
import numpy as np
import pytest

import simsiam_tf
from simsiam_tf.augment.ops import normalize
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.sources import memory_source
from simsiam_tf.distribute.strategy import make_strategy
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import LoadedRun


def test_load_gives_the_backbone_as_it_was_trained(tiny_run, rng):
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    run = LoadedRun.load(str(tiny_run), "", {}, make_strategy(DeviceConfig(strategy="mirrored")))
    expected = run.features(memory_source("four", images, None)).loaded()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = simsiam_tf.load(tiny_run)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(backbone(normalize(images)), expected, atol=1e-5)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^workdir must be the folder of a run, .* Received: "):
        simsiam_tf.load(tmp_path)
