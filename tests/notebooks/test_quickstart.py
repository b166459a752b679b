"""The notebook runs from top to bottom, and is stored so that it reads well without that."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from notebooks.execute import execute
from tests.conftest import ROOT

FILE = ROOT / "notebooks" / "quickstart.ipynb"
TINY = """
data = "shapes"
train_images, test_images = 2000, 500
epochs = 1
batch = 128
width = 0.0625
"""
MEASURED = """
import json
print(json.dumps({
    "knn": knn_after, "probe": float(probe_top1), "difference": float(difference), "epochs": len(history["loss"]),
    "features": [int(n) for n in exported_features.shape],
}))
"""


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(FILE, as_version=4)


def text_of(output):
    """What an output shows as text: a stream's, or that beside a picture."""
    return output.get("text") or output.get("data", {}).get("text/plain", "")


@pytest.mark.long
def test_it_runs_at_a_tiny_size(stored, tmp_path):
    notebook = nbformat.from_dict(stored)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = TINY
    notebook.cells.append(new_code_cell(MEASURED))
    execute(notebook, tmp_path)
    measured = json.loads(text_of(notebook.cells[-1].outputs[0]))
    assert measured["epochs"] == 1
    assert measured["knn"] > 10 and measured["probe"] > 10  # chance
    assert measured["difference"] < 1e-4
    assert measured["features"][0] == 100
    shown = "".join(text_of(output) for cell in notebook.cells for output in cell.get("outputs", []))
    assert "simsiam_tf was imported: False" in shown


def test_it_is_stored_with_its_outputs(stored):
    assert FILE.stat().st_size < 500 * 1024
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    pictures = [output for output in outputs if any(kind.startswith("image/") for kind in output.get("data", {}))]
    assert len(pictures) >= 4
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


def test_what_it_shows_is_what_it_says(stored):
    """The text says that kNN rises above an untrained network, and that the export is equal."""
    shown = "".join(text_of(output) for cell in stored.cells for output in cell.get("outputs", []))
    measured = re.findall(r"kNN accuracy (before|after) training: ([\d.]+) %", shown)
    assert [when for when, _ in measured] == ["before", "after"]
    before, after = (float(value) for _, value in measured)
    assert after > before + 10
    assert "simsiam_tf was imported: False" in shown


def test_it_names_no_person_and_no_machine(stored):
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert stored.metadata["kernelspec"]["name"] == "python3" and "/" not in str(stored.metadata)
    for cell in stored.cells:
        assert set(cell.metadata) <= {"tags"}
        for output in cell.get("outputs", []):
            assert not re.search(r"(^|[\s'\"(])/\w+/", text_of(output)), text_of(output)
        assert not re.search(r"/(home|root|Users|tmp|work)/", cell.source)


def test_its_links_lead_somewhere(stored):
    links = re.findall(r"\]\((\.\./[^)#]+)\)", "".join(cell.source for cell in stored.cells))
    assert links
    for link in links:
        assert (FILE.parent / link).exists(), link
