"""The protocol embed on a finished run."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.errors import UsageError
from tests.evaluation.judging import judge


def test_embed_writes_a_row_for_each_image_of_a_folder(tiny_run, photographs):
    data = {"dataset": "folder", "data_dir": str(photographs)}
    out = tiny_run / "mine"
    judge(tiny_run, protocol="embed", data=data, out=str(out))
    features = np.load(out / "features.npy")
    rows = list(csv.DictReader((out / "images.csv").open()))
    assert features.shape == (30, 32)
    assert {row["path"] for row in rows} == {str(path) for path in photographs.iterdir()}
    assert len((out / "projector" / "features.tsv").read_text().splitlines()) == 30
    assert len((out / "projector" / "metadata.tsv").read_text().splitlines()) == 31
    assert "sprite" in (out / "projector" / "projector_config.pbtxt").read_text()
    assert Image.open(out / "projector" / "sprite.png").size == (6 * 32, 6 * 32)
    # A row's features are its image's.
    lonely = tiny_run.parent / "lonely"
    lonely.mkdir()
    shutil.copy(rows[7]["path"], lonely)
    judge(tiny_run, protocol="embed", data={"dataset": "folder", "data_dir": str(lonely)}, out=str(tiny_run / "one"))
    np.testing.assert_allclose(np.load(tiny_run / "one" / "features.npy")[0], features[7], atol=1e-5)
    with pytest.raises(UsageError, match="--out exists and is not overwritten"):
        judge(tiny_run, protocol="embed", data=data, out=str(out))
