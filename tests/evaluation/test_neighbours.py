"""The protocol neighbours on a finished run."""

import re

import pytest
from PIL import Image

from simsiam_tf.errors import UsageError
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
    for wrong in ("", "/nowhere.png", str(photographs / "text.png")):
        with pytest.raises(UsageError, match="--query must be an image file"):
            judge(tiny_run, protocol="neighbours", data=data, query=wrong)
