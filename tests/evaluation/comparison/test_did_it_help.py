"""The protocol did_it_help, on planted features and on a finished run."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from PIL import Image

from simsiam_tf import resnet18
from simsiam_tf.config.evaluation import EvaluationConfig, KNNConfig, ProbeConfig
from simsiam_tf.data.sources import memory_source
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.comparison import did_it_help, networks
from simsiam_tf.evaluation.comparison.did_it_help import run_did_it_help
from simsiam_tf.evaluation.comparison.measures import MEASURES, Judged, LabelledTask
from simsiam_tf.evaluation.comparison.measures import judge as judge_network
from simsiam_tf.evaluation.comparison.networks import OWN, UNTRAINED, Network, networks_of
from simsiam_tf.evaluation.comparison.results import result_of
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features, embed_source
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import Checkpoints
from tests.config.test_run import make_config
from tests.evaluation.judging import RECORD, judge, summary

# Enough to learn two classes, at few steps.
OPTIONS = EvaluationConfig(
    probe=ProbeConfig(probe_epochs=15, sweep_learning_rates=(0.3, 3.0), sweep_weight_decays=(0.0,))
)


@pytest.fixture
def planted(run, rng, monkeypatch):
    """A run and other networks, with features that separate two classes as far as one says, by the network's name."""

    def compared(**separations):
        sources = {}
        for name in ("train", "test"):
            images = np.zeros((400, 4, 4, 3), np.uint8)
            sources[name] = memory_source(f"made/{name}", images, np.arange(400) % 2, 2)
        run.__dict__.update(labelled_source=sources["train"], test_source=sources["test"])
        noise = {name: rng.standard_normal((400, 8)) for name in sources}

        def features(self, source):
            """Those of a subset are never asked for: they are rows of the whole."""
            found = noise[source.name.partition("/")[2]].copy()
            found[:, 0] += separations[self.checkpoint] * (2 * source.labels - 1)
            return Features.from_array(found, source.labels)

        monkeypatch.setattr(LoadedRun, "features", features)
        models = {far: SSLModel(resnet18(cifar_stem=True, width=0.0625)) for far in separations.values()}
        made = [dataclasses.replace(run, checkpoint=name, model=models[far]) for name, far in separations.items()]
        for one in made:
            one.__dict__.update(labelled_source=sources["train"], test_source=sources["test"])
        named = [Network(one.checkpoint, one) for one in made]
        monkeypatch.setattr(did_it_help, "networks_of", lambda run, baselines: named)
        return made[-1]

    return compared


def test_better_worse_and_not_to_be_told_apart(planted, console, capsys):
    own = planted(noise=0.0, equal=1.0, best=3.0, own=1.0)
    folder = own.workdir.root / "did_it_help"
    folder.mkdir()
    (folder / "answer.json").write_text("earlier")
    run_did_it_help(own, OPTIONS)
    assert (folder / "answer.json").read_text() == "earlier"
    records = summary(own.workdir.root)
    answer = records["did_it_help"]
    assert answer["verdicts"] == {"noise": "better", "equal": "not to be told apart", "best": "worse"}
    assert answer["value"].startswith("This run is better than noise (by ")
    for name in ("knn_100pct", "probe_1pct", "probe_10pct", "probe_100pct", "knn_1pct", "knn_10pct"):
        record = records[f"did_it_help_{name}"]
        assert set(record) >= RECORD
        low, high = record["interval"]
        assert low < record["value"] < high
        assert record["others"]["equal"]["value"] == record["value"]
        assert record["others"]["equal"]["difference_interval"] == [0, 0]
        gained = record["others"]["noise"]
        assert gained["difference"] == pytest.approx(record["value"] - gained["value"])
    assert 75 < records["did_it_help_probe_100pct"]["value"] < 92  # the best possible: 84 % of the images
    assert records["did_it_help_probe_100pct"]["others"]["best"]["value"] > 97
    assert abs(records["did_it_help_probe_100pct"]["others"]["noise"]["value"] - 50) < 10
    assert [records[f"did_it_help_probe_{share}pct"]["train_size"] for share in (1, 10, 100)] == [4, 40, 400]
    assert [records[f"did_it_help_probe_{share}pct"]["batch_size"] for share in (1, 10, 100)] == [4, 40, 400]
    printed = " ".join(capsys.readouterr().out.split())
    assert "Network 1 of 4: noise" in printed
    assert answer["value"].split(" (")[0] in printed
    details = json.loads((folder / "answer-2.json").read_text())
    assert details["sentence"] == answer["value"]
    assert details["differences"]["probe_100pct"]["noise"]["direction"] == 1
    assert details["settings"]["probe_10pct"]["own"]["train_size"] == 40
    assert len(set(details["weights_sha256"].values())) == 3
    assert Image.open(folder / "answer-2.png").size[0] > 600


def test_a_part_of_the_bank_votes_if_that_is_asked_for(planted):
    own = planted(noise=0.0, own=1.0)
    task, network = LabelledTask.from_run(own), Network("own", own)
    judged = [judge_network(network, task, KNNConfig(knn_max_examples=n), OPTIONS.probe) for n in (0, 50)]
    sizes = [[one.details[measure]["train_size"] for measure in MEASURES[:3]] for one in judged]
    assert sizes == [[4, 40, 400], [4, 40, 50]]
    assert [[one.details[measure]["k"] for measure in MEASURES[:3]] for one in judged] == [[4, 40, 200], [4, 40, 50]]
    assert (judged[0].hits[MEASURES[2]] != judged[1].hits[MEASURES[2]]).any()


def test_images_that_one_network_lacks_count_for_none():
    measure = MEASURES[2]
    own, other = np.arange(100), np.delete(np.arange(100), 7)
    judged = [Judged(index, {measure: index < 50}, {}) for index in (other, own)]
    result = result_of(["other", OWN], judged)
    assert result.num_images == 99
    assert result.accuracies[measure][OWN].top1 == pytest.approx(100 * 49 / 99)
    assert result.differences[measure]["other"].points == 0  # of the same images


def test_the_untrained_network_is_the_one_that_training_began_with(tiny_run):
    run = LoadedRun.load(str(tiny_run), "", {}, ONE_DEVICE)
    keras.utils.set_random_seed(123)  # what came before does not count
    untrained, own = networks_of(run, ())
    assert (untrained.name, own.name) == (UNTRAINED, OWN)
    assert own.run is run
    first = json.loads((tiny_run / "metrics.jsonl").read_text().splitlines()[0])
    assert first["step"] == 0
    features = embed_source(untrained.run.backbone, run.test_source, 32, 256).loaded()
    rank = metrics.effective_rank(metrics.spectrum(features))
    assert rank == pytest.approx(first["feature_effective_rank"], rel=1e-5)
    keras.utils.set_random_seed(run.config.run.seed)  # as training makes it
    begun = factory.make_compiled_model(run.config, 4, run.test_source.num_classes)
    for head in ("backbone", "projector", "predictor"):
        pairs = zip(getattr(begun, head).variables, getattr(untrained.run.model, head).variables, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs), head


def other_run(tiny_run, tmp_path):
    """A run of another width, with a checkpoint of its initial weights."""
    folder = tmp_path / "wider"
    folder.mkdir()
    content = json.loads((tiny_run / "config.json").read_text())
    content["config"]["model"]["width"] = 0.125
    (folder / "config.json").write_text(json.dumps(content))
    config = LoadedRun.load(str(tiny_run), "", {}, ONE_DEVICE).config
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, width=0.125))
    model = factory.make_compiled_model(config, 4)
    Checkpoints(model, ONE_DEVICE, folder / "checkpoints", 1).save()
    return folder, model


@pytest.mark.slow
def test_a_baseline_may_be_another_network_and_stays_as_it_is(tiny_run, tmp_path):
    folder, model = other_run(tiny_run, tmp_path)
    before = sorted(path.name for path in folder.rglob("*"))
    run = LoadedRun.load(str(tiny_run), "", {}, ONE_DEVICE)
    untrained, first, second, _ = networks_of(run, (str(tiny_run), str(folder)))
    assert [untrained.name, first.name, second.name] == [UNTRAINED, "tiny", "wider"]
    for baseline, backbone in ((first, run.backbone), (second, model.backbone)):
        pairs = zip(baseline.run.backbone.variables, backbone.variables, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
        assert baseline.run.workdir == run.workdir
    assert len({one.run.store.weights_sha256 for one in (untrained, first, second)}) == 3
    assert sorted(path.name for path in folder.rglob("*")) == before


@pytest.mark.parametrize("path", ["/nowhere", "checkpoints"])
def test_a_baseline_that_is_no_run_is_refused_before_the_work(tiny_run, path, monkeypatch):
    monkeypatch.setattr(did_it_help, "judge", lambda *args: pytest.fail("judged"))
    with pytest.raises(UsageError, match=r"^--baseline must be a run's folder, or a file .* Received: /.*\.$"):
        judge(tiny_run, protocol="did_it_help", baseline=(str(tiny_run / path),))


def test_the_weights_that_the_run_began_with_are_the_baseline_by_default(run, monkeypatch, tmp_path, console, capsys):
    monkeypatch.setattr(networks, "untrained_model", lambda run: run.model)
    monkeypatch.setattr(networks, "open_baseline", lambda run, path: (run, path))
    assert [network.name for network in networks_of(run, ())] == [UNTRAINED, OWN]
    (tmp_path / "first").mkdir()
    begun = dataclasses.replace(run, config=make_config(init_weights=str(tmp_path / "first")))
    assert [network.name for network in networks_of(begun, ())] == [UNTRAINED, "first", OWN]
    assert [network.name for network in networks_of(begun, ("a/x", "b/x"))] == [UNTRAINED, "a/x", "b/x", OWN]
    (tmp_path / "first").rmdir()
    assert [network.name for network in networks_of(begun, ())] == [UNTRAINED, OWN]
    assert "began with are gone, and are left out" in " ".join(capsys.readouterr().err.split())


def test_a_file_of_weights_is_a_baseline(tiny_run, tmp_path):
    run = LoadedRun.load(str(tiny_run), "", {}, ONE_DEVICE)
    run.backbone.save(tmp_path / "weights.keras")
    untrained, baseline, _ = networks_of(run, (str(tmp_path / "weights.keras"),))
    assert baseline.name == baseline.run.checkpoint == "weights.keras"
    assert baseline.run.store.weights_sha256 == run.store.weights_sha256 != untrained.run.store.weights_sha256


@pytest.mark.slow
def test_a_finished_run_is_compared_and_the_report_shows_it(tiny_run):
    options = {"probe_epochs": 3, "sweep_learning_rates": (1.0, 10.0), "sweep_weight_decays": (0.0,)}
    before = summary(tiny_run)
    judge(tiny_run, protocol=("did_it_help", "report"), **options)
    records = summary(tiny_run)
    assert {name: records[name] for name in before} == before
    assert list(records["did_it_help"]["verdicts"]) == [UNTRAINED]
    page = (tiny_run / "report.html").read_text()
    assert "<h2>Did it help?</h2>" in page
    assert records["did_it_help"]["value"].split(" (")[0] in page
    assert page.count("<svg") == 5 + 2 + 1 + 1  # curves, states, spectra, and the comparison
    for share in ("1 % of the labels", "10 % of the labels", "all labels"):
        assert page.count(f"probe with {share}</td>") == 2  # a row for each network


@pytest.mark.slow
def test_without_labels_neighbours_are_shown_and_said_to_prove_less(tiny_run, photographs):
    data = {"dataset": "folder", "data_dir": str(photographs)}
    judge(tiny_run, protocol="did_it_help", data=data, num_neighbours=3, baseline=(str(tiny_run),))
    records = summary(tiny_run)
    ending = "_photographs_train"
    assert records[f"did_it_help{ending}"]["value"].startswith("Without labels nothing proves that this run helped")
    assert records[f"did_it_help{ending}"]["verdicts"] == {}
    rank = records[f"did_it_help_effective_rank{ending}"]
    assert rank["others"]["tiny"]["value"] == rank["value"] != rank["others"][UNTRAINED]["value"]
    sheet = np.asarray(Image.open(tiny_run / "did_it_help" / f"neighbours{ending}.png"))
    band = 16 * 4 + 8
    assert sheet.shape == (band + 8 * 3 * 98 + 7 * 8, 4 * 98, 3)
    rows = sheet[band : band + 3 * 98].reshape(3, 98, 4 * 98, 3)
    np.testing.assert_array_equal(rows[1], rows[2])  # the baseline is the run itself
    assert (rows[0] != rows[1]).any()
    np.testing.assert_array_equal(rows[0][:, :98], rows[1][:, :98])  # the same image begins the rows
