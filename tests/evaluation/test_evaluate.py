"""The protocols of evaluate.py on a finished run."""

import base64
import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess

import keras
import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config import evaluation as settings
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.shapes import make_shapes
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.evaluate import evaluate
from simsiam_tf.evaluation.report import plots
from simsiam_tf.training.checkpoints import weights_sha256
from simsiam_tf.training.loop import TrainingLoop
from tests.conftest import run_script


def judge(*paths, protocol, data=None, **options):
    """evaluate.py with some settings of any of its groups."""
    groups = {}
    for name, group in settings.EVALUATION_GROUPS.items():
        mine = {field.name: options.pop(field.name) for field in dataclasses.fields(group) if field.name in options}
        groups[name] = group(**mine, **({"protocol": protocol} if name == "task" else {}))
    assert not options
    evaluate([str(path) for path in paths], settings.EvaluationConfig(**groups), data or {}, DeviceConfig())


def summary(run):
    return json.loads((run / "summary.json").read_text())


@pytest.fixture
def photographs(tmp_path):
    images, labels = make_shapes("test")
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(30):
        Image.fromarray(images[i]).resize((50, 40)).save(folder / f"{labels[i]}_{i}.png")
    return folder


RECORD = {"protocol", "augmentation", "train", "test", "checkpoint", "recipe", "seconds"}


def test_knn_records_every_k_and_temperature(tiny_run):
    judge(tiny_run, protocol="knn", knn_k=(5, 200), knn_temperature=(0.1, 0.07))
    records = summary(tiny_run)
    for name, k, temperature in (
        ("knn_top1", 5, 0.1),
        ("knn_top5_k200_t0.07", 200, 0.07),
        ("knn_top1_k5_t0.07", 5, 0.07),
    ):
        assert (records[name]["k"], records[name]["temperature"]) == (k, temperature)
        assert set(records[name]) >= RECORD
    assert records["knn_top5"]["value"] >= records["knn_top1"]["value"]
    assert records["online_probe_top1"]["protocol"].startswith("online")
    assert "centre crops of shapes/test" in records["online_probe_top1"]["protocol"]
    assert "offline" not in records["online_probe_top1"]["protocol"]


def test_finetuning_on_a_share_of_the_labels(tiny_run, capsys):
    options = {"label_fraction": 0.02, "finetune_epochs": 2, "finetune_batch_size": 50, "finetune_backbone_lr": 0.1}
    judge(tiny_run, protocol="finetune", **options)
    record = summary(tiny_run)["finetune_2pct_top1"]
    assert set(record) >= RECORD
    assert (record["train_size"], record["label_fraction"], record["batch_size"]) == (100, 0.02, 50)
    assert record["backbone_learning_rate"] == pytest.approx(0.1 * 50 / 256)
    names = (tiny_run / "finetune").glob("2pct-*/labelled.txt")
    listed = [int(line) for line in next(names).read_text().split()]
    assert np.bincount(make_shapes("train")[1][listed]).tolist() == [10] * 10
    checkpoints = list((tiny_run / "finetune").glob("2pct-*/checkpoints/step-4.index"))
    assert len(checkpoints) == 1
    # Again: nothing is left to train, and the result is the same.
    capsys.readouterr()
    judge(tiny_run, protocol="finetune", **options)
    assert "Epoch" not in capsys.readouterr().out
    assert summary(tiny_run)["finetune_2pct_top1"]["value"] == record["value"]
    # The same images as a list in a file, by their positions.
    file = tiny_run.parent / "mine.txt"
    file.write_text("\n".join(map(str, listed)))
    keras.utils.set_random_seed(7)  # whatever was drawn before
    judge(tiny_run, protocol="finetune", **{**options, "label_fraction": 1.0}, label_file=str(file))
    assert summary(tiny_run)["finetune_mine_top1"]["value"] == record["value"]


def test_stopped_finetuning_ends_with_the_bits_of_one_that_was_not(tiny_run, tmp_path, monkeypatch):
    options = {"label_fraction": 0.02, "finetune_epochs": 2, "finetune_batch_size": 50}
    digests, run = [], TrainingLoop.run

    def stopping(self, epochs):
        run(self, range(epochs.start, epochs.start + 1))
        raise KeyboardInterrupt

    def watched(self, epochs):
        run(self, epochs)
        digests.append(weights_sha256(self._model))

    stopped = shutil.copytree(tiny_run, tmp_path / "stopped")
    monkeypatch.setattr(TrainingLoop, "run", stopping)
    with pytest.raises(KeyboardInterrupt):
        judge(stopped, protocol="finetune", **options)
    monkeypatch.setattr(TrainingLoop, "run", watched)
    judge(stopped, protocol="finetune", **options)
    judge(tiny_run, protocol="finetune", **options)
    assert summary(stopped)["finetune_2pct_top1"]["continued_at_step"] == 2
    assert digests[0] == digests[1]


def test_a_backbone_of_rate_zero_stays_and_the_head_learns(tiny_run, monkeypatch):
    from simsiam_tf.evaluation import finetune

    seen = []
    train = finetune._train

    def watched(subject, *args):
        before = [v.numpy() for v in subject.backbone.trainable_variables]
        model, step = train(subject, *args)
        seen.append((before, model))
        return model, step

    monkeypatch.setattr(finetune, "_train", watched)
    options = {"label_fraction": 0.02, "finetune_epochs": 1, "finetune_batch_size": 50, "finetune_backbone_lr": 0.0}
    judge(tiny_run, protocol="finetune", **options)
    before, model = seen[0]
    for old, variable in zip(before, model.backbone.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert np.abs(model.classifier.bias.numpy()).max() > 0


def test_diagnostics_of_one_image_are_refused(tiny_run):
    with pytest.raises(UsageError, match=r"at least two; .* Received: 1 of shapes/test"):
        judge(tiny_run, protocol="diagnostics", diagnostics_max_examples=1)


def test_diagnostics_leave_the_training_s_numbers_alone(tiny_run):
    before = summary(tiny_run)
    judge(tiny_run, protocol="diagnostics", diagnostics_max_examples=300)
    records = summary(tiny_run)
    assert {name: records[name] for name in before} == before
    for of, width in (("features", 32), ("z", 16)):
        assert 0 < records[f"diagnostics_{of}_alignment"]["value"] <= 4
        assert records[f"diagnostics_{of}_alignment"]["images_size"] == 300
        assert records[f"diagnostics_{of}_uniformity"]["value"] < 0
        assert 1 <= records[f"diagnostics_{of}_effective_rank"]["value"] <= width
        spectrum = json.loads((tiny_run / "diagnostics.json").read_text())[f"{of}_singular_values"]
        assert len(spectrum) == width
        assert spectrum == sorted(spectrum, reverse=True)


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


def test_neighbours_begin_with_the_image_itself_where_it_is_there(tiny_run, photographs, capsys, monkeypatch):
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


@pytest.fixture(scope="module")
def report(_tiny_run, tmp_path_factory):
    """A report of two runs, for tests that only look at it."""
    runs = [shutil.copytree(_tiny_run, tmp_path_factory.mktemp("report") / name) for name in ("tiny", "other")]
    judge(runs[0], protocol="knn")
    judge(*runs, protocol="report", num_neighbours=3)
    return runs[0] / "report.html"


def test_the_report_holds_all_it_shows(report):
    page = report.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 2 * (8 * 4 + 3 * 8)  # two runs: neighbours, and images with two views
    for text in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(text))).size == (32, 32)
    drawings = page.split("<svg")[1:]
    assert len(drawings) == 5 + 2  # curves, spectra
    assert all(colour in drawing for drawing in drawings for colour in plots.COLOURS[:2])  # both runs
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
    assert page.count("<svg") == 5
    assert "<img" not in page
    (odd / "report.html").write_text("mine")
    with pytest.raises(UsageError, match="no report of ours is in the way"):
        judge(odd, protocol="report")
    assert (odd / "report.html").read_text() == "mine"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_a_browser_shows_the_report(report, tmp_path, scheme, dark):
    page = tmp_path / "probed.html"
    page.write_text(report.read_text().replace("<head>", "<head>" + PROBE, 1))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--blink-settings=preferredColorScheme={scheme}"]
    command += ["--enable-logging=stderr", "--window-size=1200,900", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout).group(1)
    seen = json.loads(title.replace("&amp;", "&"))
    assert seen["errors"] == []
    assert seen["images"] == seen["loaded"] == 112
    assert seen["drawings"] == seen["visible"] == 7
    assert seen["paths"] > 50
    assert not seen["wide"]
    light = {name: sum(map(int, re.findall(r"\d+", seen[name])[:3])) for name in ("text", "back")}
    assert (light["text"] > light["back"]) == dark
    assert abs(light["text"] - light["back"]) > 400


@pytest.mark.parametrize(
    ("paths", "protocol", "message"),
    [
        ((), "knn", "--workdir must name the folder of one run of train.py. Received: none"),
        (("a", "b"), "knn", "--workdir must name the folder of one run of train.py. Received: a, b"),
        ((), "report", "--workdir must name the folders of one run or more"),
    ],
)
def test_only_the_report_takes_several_runs(paths, protocol, message):
    with pytest.raises(UsageError, match=message):
        judge(*paths, protocol=protocol)


@pytest.mark.slow
def test_two_devices_give_the_numbers_of_one(tiny_run, tmp_path):
    """Within three of a thousand images."""
    options = {"label_fraction": 0.02, "finetune_epochs": 2}
    both = shutil.copytree(tiny_run, tmp_path / "both")
    for protocol in ("knn", "finetune"):
        judge(tiny_run, protocol=protocol, **options)
        flags = [f"--{name}={value}" for name, value in options.items()]
        done = run_script("evaluate.py", f"--workdir={both}", f"--protocol={protocol}", "--cpu_devices=2", *flags)
        assert done.returncode == 0, done.stderr
    for name in ("knn_top1", "knn_top5", "finetune_2pct_top1"):
        assert summary(both)[name]["checkpoint"] == "step-8", name
        assert summary(both)[name]["value"] == pytest.approx(summary(tiny_run)[name]["value"], abs=0.3), name
