"""The protocol report on finished runs."""

import base64
import io
import json
import re
import shutil

import pytest
from PIL import Image

from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.report import plots
from tests.chromium import CHROMIUM, dumped_page
from tests.evaluation.judging import judge


@pytest.fixture(scope="module")
def report(_tiny_run, tmp_path_factory):
    """A report of two runs, for tests that only look at it."""
    runs = [shutil.copytree(_tiny_run, tmp_path_factory.mktemp("report") / name) for name in ("tiny", "other")]
    judge(runs[0], protocol="knn")
    judge(*runs, protocol="report", num_neighbours=3)
    return runs[0] / "report.html"


@pytest.mark.slow
def test_the_report_holds_all_it_shows(report):
    page = report.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 2 * (8 * 4 + 3 * 8)  # two runs: neighbours, and images with two views
    for text in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(text))).size == (32, 32)
    drawings = page.split("<svg")[1:]
    assert len(drawings) == 5 + 1 + 2  # curves, states, spectra
    of_runs = [drawing for drawing in drawings if "State over epoch" not in drawing]
    assert all(colour in drawing for drawing in of_runs for colour in plots.COLOURS[:2])  # both runs
    assert "State over epoch: tiny: healthy; other: healthy" in page
    assert "currentColor" in page
    for words in ("Sec. 4.1", "kNN, weighted vote, eval mode, k 200, temperature 0.1", "tiny", "other", "bn_placement"):
        assert words in page
    assert page.count('class="query"') == 2 * 8  # no image is its own neighbour
    assert {"same", "other"} <= set(re.findall(r'<img class="(\w+)"', page))


def test_the_report_replaces_its_own_and_nobody_else_s_and_shows_names_as_text(tiny_run, tmp_path):
    odd = tiny_run.rename(tmp_path / "<b>odd & even")
    for _ in range(2):
        judge(odd, protocol="report", data={"dataset": "folder", "data_dir": "/nowhere"})
    page = (odd / "report.html").read_text()
    assert "&lt;b&gt;odd &amp; even" in page
    assert "<b>odd" not in page
    assert "Without images: --data_dir must be an existing folder of images" in page
    assert page.count("<svg") == 5 + 1
    assert "<img" not in page
    (odd / "report.html").write_text("mine")
    with pytest.raises(UsageError, match="holds a file that is not a report of simsiam_tf"):
        judge(odd, protocol="report")
    assert (odd / "report.html").read_text() == "mine"


# What the page is asked for once it has loaded.
PROBE = """<script>
window.errors = []; window.onerror = (message) => window.errors.push(message);
window.onload = () => {
  const images = [...document.images], drawings = [...document.querySelectorAll("svg")];
  document.title = JSON.stringify({
    images: images.length, loaded: images.filter((i) => i.complete && i.naturalWidth > 0).length,
    drawings: drawings.length, visible: drawings.filter((d) => d.getBoundingClientRect().height > 50).length,
    paths: document.querySelectorAll("svg path").length, errors: window.errors,
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    text: getComputedStyle(document.querySelector("svg")).color,
    back: getComputedStyle(document.body).backgroundColor });
};
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_a_browser_shows_the_report(report, tmp_path, scheme, dark):
    page = tmp_path / "probed.html"
    page.write_text(report.read_text().replace("<head>", "<head>" + PROBE, 1))
    dumped = dumped_page(page.as_uri(), tmp_path / "profile", f"--blink-settings=preferredColorScheme={scheme}")
    title = re.search(r"<title>(\{.*?\})</title>", dumped).group(1)
    seen = json.loads(title.replace("&amp;", "&"))
    assert seen["errors"] == []
    assert seen["images"] == seen["loaded"] == 112
    assert seen["drawings"] == seen["visible"] == 8
    assert seen["paths"] > 50
    assert not seen["wide"]
    light = {name: sum(map(int, re.findall(r"\d+", seen[name])[:3])) for name in ("text", "back")}
    assert (light["text"] > light["back"]) == dark
    assert abs(light["text"] - light["back"]) > 400
