import dataclasses

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.data.folder import FolderImages
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.evaluation.probes import on_crops as linear
from simsiam_tf.evaluation.probes.on_crops import ProbeProtocol, Rebatcher, run_probes
from tests.evaluation.conftest import summary

QUICK = {"probe_epochs": 10, "probe_batch_size": 16, "probe_base_learning_rate": 1.0}


@pytest.mark.parametrize("augmentation", ["linear_eval", "linear_train"])
def test_learns_and_leaves_the_backbone_alone(subject, augmentation):
    before = [v.numpy() for v in subject.backbone.variables]
    run_probes(subject, ProbeConfig(probe_augmentation=augmentation, **QUICK), ("sgd",))
    records = summary(subject)
    assert records["linear_sgd_custom_top1"]["value"] > 90
    assert records["linear_sgd_custom_top5"]["value"] == 100
    wanted = {"protocol", "optimizer", "base_learning_rate", "learning_rate", "epochs", "augmentation", "seconds"}
    assert wanted | {"train", "test", "checkpoint", "backbone_sha256"} <= set(records["linear_sgd_custom_top1"])
    for ours, variable in zip(before, subject.backbone.variables, strict=True):
        np.testing.assert_array_equal(ours, variable.numpy(), err_msg=variable.path)


def test_a_backbone_that_changes_is_found_out(subject, monkeypatch):
    def meddling(*args):
        subject.backbone.variables[-1].assign_add(1.0)

    monkeypatch.setattr(linear, "_train_epoch", meddling)
    with pytest.raises(RuntimeError, match="backbone changed"):
        run_probes(subject, ProbeConfig(probe_epochs=1), ("paper",))


def test_defaults_are_the_paper_s_and_any_other_figure_changes_the_name():
    paper, release, sgd = (ProbeProtocol.of(name, ProbeConfig(), 50_000) for name in linear.PROTOCOLS)
    assert (paper.optimizer, paper.base_learning_rate, paper.batch_size, paper.epochs) == ("lars", 0.02, 4096, 90)
    assert paper.learning_rate == pytest.approx(0.02 * 16)
    assert (release.optimizer, release.base_learning_rate, release.batch_size) == ("lars", 0.1, 4096)
    assert (sgd.optimizer, sgd.base_learning_rate, sgd.batch_size) == ("sgd", 30.0, 256)
    assert {p.augmentation for p in (paper, release, sgd)} == {"linear_train"}
    assert [p.name for p in (paper, release, sgd)] == ["paper", "release", "sgd"]
    for change in ({"probe_epochs": 10}, {"probe_augmentation": "linear_eval"}, {"probe_base_learning_rate": 5.0}):
        assert ProbeProtocol.of("paper", ProbeConfig(**change), 50_000).name == "paper_custom"
    small = ProbeProtocol.of("sgd", ProbeConfig(), 64)
    assert (small.batch_size, small.name) == (64, "sgd_custom")


def test_probes_that_share_their_crops_score_as_each_alone(subject, tmp_path):
    config = ProbeConfig(probe_epochs=2, probe_batch_size=16)
    run_probes(subject, config, ("paper", "sgd"))
    together = dict(np.load(next((tmp_path / "probes").glob("linear_sgd_custom-*.npz"))))
    for file in (tmp_path / "probes").iterdir():
        file.unlink()
    run_probes(subject, config, ("sgd",))
    alone = dict(np.load(next((tmp_path / "probes").glob("linear_sgd_custom-*.npz"))))
    for name in set(alone) - {"seconds"}:
        np.testing.assert_array_equal(alone[name], together[name])


def test_a_stopped_probe_goes_on_and_ends_with_the_same_bits(subject, tmp_path, monkeypatch):
    config = ProbeConfig(probe_epochs=4, probe_batch_size=16)
    run_probes(subject, config, ("paper",))
    (file,) = (tmp_path / "probes").iterdir()
    whole = dict(np.load(file))
    file.unlink()
    train_epoch, epochs = linear._train_epoch, []

    def stopping(trainees, rows_of, epoch, *rest):
        if epoch == 2 and not epochs:
            epochs.append(epoch)
            raise KeyboardInterrupt
        epochs.append(epoch)
        train_epoch(trainees, rows_of, epoch, *rest)

    monkeypatch.setattr(linear, "_train_epoch", lambda *args: stopping(*args) if args[2] >= 2 else train_epoch(*args))
    with pytest.raises(KeyboardInterrupt):
        run_probes(subject, config, ("paper",))
    run_probes(subject, config, ("paper",))
    assert epochs == [2, 2, 3]
    for name, value in np.load(file).items():
        if name != "seconds":
            np.testing.assert_array_equal(value, whole[name], err_msg=name)


def test_rebatcher_keeps_the_order_and_holds_the_rest():
    held, batches = Rebatcher(5), []
    for i in range(0, 12, 3):
        batches += [features.tolist() for features, _ in held.add(np.arange(i, i + 3), np.arange(i, i + 3))]
    assert batches == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_an_unreadable_image_costs_a_row_not_a_step(subject, tmp_path):
    train, folder = subject.train_source, tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{i}.png" for i in range(64)]
    for path, image in zip(paths, train.images.numpy(), strict=True):
        Image.fromarray(image).save(path)
    paths[5].write_text("no image")
    files = FolderImages(folder, paths, UnreadableImages("made", 0.1))
    subject.__dict__["train_source"] = dataclasses.replace(train, images=files)
    run_probes(subject, ProbeConfig(probe_epochs=3), ("paper",))
    (file,) = (tmp_path / "probes").iterdir()
    saved = np.load(file)
    assert saved[next(name for name in saved.files if "iteration" in name)] == 3
    assert summary(subject)["linear_paper_custom_top1"]["train_size"] == 63
    assert summary(subject)["linear_paper_custom_top1"]["batch_size"] == 64


@pytest.mark.parametrize("count", [2000, 10**9], ids=["zeroed", "emptied"])
def test_a_damaged_state_is_not_gone_on_from(subject, capsys, count):
    run_probes(subject, ProbeConfig(**QUICK), ("sgd",))
    before = summary(subject)["linear_sgd_custom_top1"]["value"]
    (file,) = (subject.workdir.root / "probes").glob("*.npz")
    content = file.read_bytes()
    file.write_bytes(content[:-count] + bytes(min(count, len(content))))
    run_probes(subject, ProbeConfig(**QUICK), ("sgd",))
    assert "the probe is trained anew" in capsys.readouterr().err
    assert summary(subject)["linear_sgd_custom_top1"]["value"] == before
