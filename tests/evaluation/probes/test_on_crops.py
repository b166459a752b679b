import dataclasses

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.evaluation.probes import on_crops
from simsiam_tf.evaluation.probes.on_crops import run_probes
from tests.evaluation.judging import summary

QUICK = {"probe_epochs": 10, "probe_batch_size": 16, "probe_base_learning_rate": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["linear_eval", "linear_train"])
def test_learns_and_leaves_the_backbone_alone(run, augmentation):
    before = [v.numpy() for v in run.backbone.variables]
    run_probes(run, ProbeConfig(probe_augmentation=augmentation, **QUICK), ("sgd",))
    records = summary(run.workdir.root)
    assert records["linear_sgd_custom_top1"]["value"] > 90
    assert records["linear_sgd_custom_top5"]["value"] == 100
    wanted = {"protocol", "optimizer", "base_learning_rate", "learning_rate", "epochs", "augmentation", "seconds"}
    assert wanted | {"train", "test", "checkpoint", "backbone_sha256"} <= set(records["linear_sgd_custom_top1"])
    for ours, variable in zip(before, run.backbone.variables, strict=True):
        np.testing.assert_array_equal(ours, variable.numpy(), err_msg=variable.path)


def test_a_backbone_that_changes_is_found_out(run, monkeypatch):
    def meddling(*args):
        run.backbone.variables[-1].assign_add(1.0)

    monkeypatch.setattr(on_crops, "train_epoch", meddling)
    with pytest.raises(RuntimeError, match="backbone changed"):
        run_probes(run, ProbeConfig(probe_epochs=1), ("paper",))


@pytest.mark.slow
def test_probes_that_share_their_crops_score_as_each_alone(run, tmp_path):
    config = ProbeConfig(probe_epochs=2, probe_batch_size=16)
    run_probes(run, config, ("paper", "sgd"))
    together = dict(np.load(next((tmp_path / "probes").glob("linear_sgd_custom-*.npz"))))
    for file in (tmp_path / "probes").iterdir():
        file.unlink()
    run_probes(run, config, ("sgd",))
    alone = dict(np.load(next((tmp_path / "probes").glob("linear_sgd_custom-*.npz"))))
    for name in set(alone) - {"seconds"}:
        np.testing.assert_array_equal(alone[name], together[name])


@pytest.mark.slow
def test_a_stopped_probe_goes_on_and_ends_with_the_same_bits(run, tmp_path, monkeypatch):
    config = ProbeConfig(probe_epochs=4, probe_batch_size=16)
    run_probes(run, config, ("paper",))
    (file,) = (tmp_path / "probes").iterdir()
    whole = dict(np.load(file))
    file.unlink()
    train_epoch, epochs = on_crops.train_epoch, []

    def stopping(probes, *rest):
        epochs.append(probes[0].epochs)
        if epochs == [0, 1, 2]:
            raise KeyboardInterrupt
        train_epoch(probes, *rest)

    monkeypatch.setattr(on_crops, "train_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_probes(run, config, ("paper",))
    run_probes(run, config, ("paper",))
    assert epochs == [0, 1, 2, 2, 3]
    for name, value in np.load(file).items():
        if name != "seconds":
            np.testing.assert_array_equal(value, whole[name], err_msg=name)


@pytest.mark.slow
def test_an_unreadable_image_costs_a_row_not_a_step(run, tmp_path):
    train, folder = run.train_source, tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{i}.png" for i in range(64)]
    for path, image in zip(paths, train.images.numpy(), strict=True):
        Image.fromarray(image).save(path)
    paths[5].write_text("no image")
    files = FolderImages(folder, paths, UnreadableImages("made", 0.1))
    run.__dict__["train_source"] = run.__dict__["labelled_source"] = dataclasses.replace(train, images=files)
    run_probes(run, ProbeConfig(probe_epochs=3), ("paper",))
    (file,) = (tmp_path / "probes").iterdir()
    saved = np.load(file)
    assert saved[next(name for name in saved.files if "iteration" in name)] == 3
    assert summary(run.workdir.root)["linear_paper_custom_top1"]["train_size"] == 63
    assert summary(run.workdir.root)["linear_paper_custom_top1"]["batch_size"] == 64
