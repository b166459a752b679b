"""The page about a run of transfer.py, and what evaluate.py says of protocols for runs of the other kind."""

import base64
import io
import json
import re
import types

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.detection import samples
from simsiam_tf.evaluation.detection.report import curves
from simsiam_tf.evaluation.detection.samples import read_image, sample_pictures
from tests.data.objects.coco_files import content, write_coco
from tests.detection.scores.made import found
from tests.evaluation.judging import judge

PICTURE = re.compile(r'<img src="data:image/png;base64,([^"]+)"')

pytestmark = pytest.mark.slow  # they share a run of transfer.py, which takes long to compile


def change(path, edit):
    held = json.loads(path.read_text())
    edit(held)
    path.write_text(json.dumps(held))


def leave_out_and_forget_the_images(config):
    """As if six annotations were broken, and the images were no longer those that were trained on."""
    config["data"] |= {"left_out": [f"{i}.jpg, annotation 7: its box is <empty>" for i in range(6)]}
    config["data"] |= {"fingerprint": "another"}


def record_classes(summary):
    summary["box_ap"]["per_class"] = {"disk": 12.5, "square": None, "triangle": 50.0}


def test_the_page_shows_what_the_detector_finds(tiny_transfer):
    judge(tiny_transfer, protocol="report")
    page = (tiny_transfer / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    assert [Image.open(io.BytesIO(base64.b64decode(text))).size for text in PICTURE.findall(page)] == [(512, 512)] * 4
    assert page.count("<svg") == 5
    assert "image 3: " in page
    for said in ("The backbone begins with random weights.", "step-2", "made, split train: 16 images with", "tiny"):
        assert f">{said}" in page
    assert re.search(r">box_ap75</td><td class=\"number\">(\d+\.\d\d %|-)", page)
    assert "over IoU 0.75, test made/test, test size 4, short side 64, precise bn batches 1, checkpoint step-2" in page
    assert "&#34;anchor_sizes&#34;" in page  # config.json, whole
    assert "&#34;weights_sha256&#34;" in page


def test_without_its_images_a_run_has_a_page_that_says_so(tiny_transfer, tmp_path):
    odd = tiny_transfer.rename(tmp_path / "<b>odd & even")
    change(odd / "config.json", leave_out_and_forget_the_images)
    change(odd / "summary.json", record_classes)
    before = {path: path.read_bytes() for path in odd.glob("*.json*")}
    for _ in range(2):  # an older page is replaced
        judge(odd, protocol="report")
    assert before == {path: path.read_bytes() for path in odd.glob("*.json*")}
    page = (odd / "report.html").read_text()
    assert "Detector: &lt;b&gt;odd &amp; even" in page
    assert "<b>odd" not in page
    assert "<p>Without pictures: The images or their objects are not those that the run was made with" in page
    assert "<img" not in page
    assert page.count("<svg") == 5
    assert "6 annotations of the training images are broken" in page
    assert "4.jpg, annotation 7: its box is &lt;empty&gt;\nand 1 more, under Configuration" in page
    listed = re.findall(r"<li><span>(\w+)</span><b>([^<]+)</b>", page)
    assert listed == [("triangle", "50.00 %"), ("disk", "12.50 %"), ("square", "-")]
    with pytest.raises(UsageError, match="are not those that the run was made with"):
        judge(odd, protocol=("report", "detection"))


def test_no_file_but_a_report_is_overwritten(tiny_transfer, tmp_path):
    change(tiny_transfer / "config.json", leave_out_and_forget_the_images)
    (tiny_transfer / "report.html").write_text("mine")
    for options in ({}, {"out": str(tiny_transfer / "config.json")}):
        with pytest.raises(UsageError, match="holds a file that is not a report of simsiam_tf"):
            judge(tiny_transfer, protocol="report", **options)
    judge(tiny_transfer, protocol="report", out=str(tmp_path / "mine.html"))
    assert "Without pictures" in (tmp_path / "mine.html").read_text()
    assert (tiny_transfer / "report.html").read_text() == "mine"


def test_points_are_where_something_was_measured():
    lines = [
        {"epoch": 1, "step": 50, "loss": 2.0, "loss_box": 0.5, "learning_rate": 0.1},
        {"epoch": 2, "step": 100, "loss": 1.0, "loss_box": 0.25, "learning_rate": 0.01, "box_ap": 3.0, "box_ap50": 9.0},
        {"epoch": 3, "loss": 0.5},  # of no step
    ]
    figures = curves(lines)
    labels = [re.search('aria-label="([^"]+)"', figure["svg"]).group(1) for figure in figures]
    assert labels == [
        "loss over step: loss",
        "part of the loss over step: box",
        "learning rate over step: learning rate",
        "box AP, % over step: AP, AP50",
    ]
    assert [figure["svg"].count("<use") for figure in figures][-1] < figures[0]["svg"].count("<use")
    assert curves([]) == []


@pytest.fixture
def photographs(tmp_path):
    """A set in COCO's format, whose second image was taken with a turned camera and whose last is broken."""
    path = write_coco(tmp_path, content())
    levels = np.zeros((40, 60, 3), np.uint8)  # stored on its side: upright it has 60 rows
    levels[:, :30] = 200
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(levels).save(tmp_path / "images" / "5.png", exif=exif)
    (tmp_path / "images" / "11.png").write_bytes(b"no image")
    files = {"data_dir": str(tmp_path / "images"), "train_annotations": str(path)}
    return open_annotated(DetectionDataConfig(dataset="coco", max_bad_fraction=0.3, **files), "train")


def test_images_are_read_in_their_own_size_and_upright(photographs):
    first, turned, _, broken = (read_image(photographs, position) for position in range(4))
    np.testing.assert_array_equal(first, np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8))
    assert turned.shape == (60, 40, 3)
    assert (turned[:30] == 200).all()
    assert (turned[30:] == 0).all()
    assert broken is None


def test_pictures_are_of_the_first_images_that_can_be_read(photographs, monkeypatch):
    boxes = [[0.0, 0.0, 9.0, 9.0], [10.0, 10.0, 20.0, 20.0]]
    scores = {0: [0.9, 0.3], 1: [0.2, 0.1], 2: [], 3: [0.8, 0.7]}

    def detect_all(detector, annotated, recipe, batch_size):
        for position, of_image in scores.items():
            yield position, found(*boxes[: len(of_image)], scores=of_image, classes=[0] * len(of_image))

    monkeypatch.setattr(samples, "detect_all", detect_all)
    options = types.SimpleNamespace(run=types.SimpleNamespace(eval_batch_size=1))
    run = types.SimpleNamespace(test=photographs, detector=None, recipe=None, config=options)
    drawn = sample_pictures(run, 4)
    assert [(picture["title"], picture["caption"]) for picture in drawn] == [
        ("3.png", "2 objects, 1 detection"),
        ("5.png", "1 object, 0 detections, the best score 0.20"),
        ("9.png", "0 objects, 0 detections"),
    ]
    assert [picture["title"] for picture in sample_pictures(run, 2)] == ["3.png", "5.png"]
    data = base64.b64decode(drawn[0]["src"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(data)).size == (60 * 8, 40 * 8)


def test_each_kind_of_run_has_its_own_protocols(tiny_run, tiny_transfer):
    with pytest.raises(UsageError, match=r"takes --protocol=detection,report,export.* Received: knn"):
        judge(tiny_transfer, protocol=("knn", "report"))
    with pytest.raises(UsageError, match=r"--protocol=detection needs the folder of a run of transfer\.py"):
        judge(tiny_run, protocol="detection")
    for runs in ([tiny_run, tiny_transfer], [tiny_transfer, tiny_run]):
        with pytest.raises(UsageError, match=r"A run of transfer\.py is judged alone\. Received: 2 folders"):
            judge(*runs, protocol="report")
    assert not (tiny_transfer / "report.html").exists()
