"""No page takes the place of one with other runs."""

import json

import pytest

from simsiam_tf.reproduce.places import place_of


def page(*runs, probe="none"):
    """The content of a page with a row for each run."""
    return {"probe": probe, "rows": [{"runs": [run]} for run in runs]}


def written(root, name, content):
    """Writes a page as the command does, and returns its name."""
    place = place_of(root, name, content)
    place.with_suffix(".json").write_text(json.dumps(content))
    place.with_suffix(".md").write_text(place.name)
    return place.name


def test_a_page_takes_the_place_of_one_whose_runs_it_has(tmp_path):
    assert written(tmp_path, "fig2", page("a")) == "fig2"
    assert written(tmp_path, "fig2", page("a")) == "fig2"
    assert written(tmp_path, "fig2", page("b", "a")) == "fig2"


@pytest.mark.parametrize(
    "other",
    [
        page("a"),  # fewer rows
        page("a", "c"),  # another width
        page("a", "b", probe="paper"),
        {"probe": "none", "rows": {"scratch": {"runs": ["a"]}}},  # as for Table 5
    ],
)
def test_a_page_that_lacks_something_stands_beside_the_earlier_one(other, tmp_path):
    whole = page("a", "b")
    assert written(tmp_path, "table1", whole) == "table1"
    assert written(tmp_path, "table1", other) == "table1_2"
    assert written(tmp_path, "table1", other) == "table1_2"
    assert written(tmp_path, "table1", page("d")) == "table1_3"
    assert json.loads((tmp_path / "table1.json").read_text()) == whole
    assert written(tmp_path, "table1", whole) == "table1"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"rows": 3}', b'{"rows": [{}]}', b"\xff", b'{"probe": "none"}'])
def test_a_page_that_cannot_be_read_is_left(content, tmp_path):
    (tmp_path / "fig2.json").write_bytes(content)
    assert written(tmp_path, "fig2", page("a")) == "fig2_2"
    assert (tmp_path / "fig2.json").read_bytes() == content


@pytest.mark.parametrize("ending", ["md", "png"])
def test_a_file_of_the_user_is_left(ending, tmp_path):
    (tmp_path / f"fig2.{ending}").write_text("mine")
    assert written(tmp_path, "fig2", page("a")) == "fig2_2"
