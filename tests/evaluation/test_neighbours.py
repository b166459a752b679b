"""The protocol neighbours on a finished run."""

import re

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.neighbours import sample_rows
from simsiam_tf.evaluation.thumbnails import thumbnails
from tests.evaluation.judging import judge


def test_neighbours_begin_with_the_image_itself_where_it_is_there(tiny_run, photographs, console, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # a row is a line
    data = {"dataset": "folder", "data_dir": str(photographs)}
    query = photographs / "3_3.png"
    judge(tiny_run, protocol="neighbours", data=data, query=str(query), num_neighbours=4)
    printed = "".join(capsys.readouterr().out.split())
    assert re.search(r"│1│1\.000│[^│]*3_3\.png│", printed)
    assert "its4nearestimages" in printed
    picture = tiny_run / "neighbours" / "3_3.png"
    assert Image.open(picture).size == (5 * (96 + 2), 96 + 2)
    judge(tiny_run, protocol="neighbours", data=data, query=str(query), num_neighbours=4)
    assert (tiny_run / "neighbours" / "3_3-2.png").exists()
    (photographs / "text.png").write_text("no image")
    for wrong in ("/nowhere.png", str(photographs / "text.png")):
        with pytest.raises(UsageError, match="--query must be an image file"):
            judge(tiny_run, protocol="neighbours", data=data, query=wrong)


def test_without_a_query_a_sheet_shows_some_images_with_their_nearest(tiny_run, photographs, console, capsys):
    data = {"dataset": "folder", "data_dir": str(photographs)}
    judge(tiny_run, protocol="neighbours", data=data, num_neighbours=3)
    sheet = np.asarray(Image.open(tiny_run / "neighbours" / "sheet.png"))
    assert sheet.shape == (8 * (96 + 2), 4 * (96 + 2), 3)
    assert "in each row an image of" in capsys.readouterr().out
    run = LoadedRun.load(str(tiny_run), "", data, ONE_DEVICE)
    features = run.features(run.train_source)
    row = sample_rows(len(features))[1]
    unit = features.loaded() / np.linalg.norm(features.loaded(), axis=1, keepdims=True)
    similarity = unit @ unit[row]
    similarity[row] = -1
    size = max(run.image_size, 32)
    shown = thumbnails(run.train_source, [features.index[row], features.index[similarity.argmax()]], size)
    zoom = 96 // size
    for column, thumbnail in enumerate(shown):
        cell = sheet[98 : 98 + 96, 98 * column : 98 * column + 96]
        np.testing.assert_array_equal(cell, thumbnail.repeat(zoom, 0).repeat(zoom, 1))
