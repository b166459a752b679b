"""The settings that train.py chooses: printed, kept with the run, and fitted to a budget."""

import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from flags import definitions
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.networks import resnet18
from simsiam_tf.training import chosen_settings
from simsiam_tf.training.chosen_settings import ChosenSettings
from simsiam_tf.training.opened_run import OpenedImages
from simsiam_tf.training.trial import Trial


@pytest.fixture
def folder(tmp_path, rng):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(photographs / f"{i}.jpg")
    return photographs


@pytest.fixture
def choice(folder, tmp_path):
    """Returns a function that chooses the settings of a run, as a command with some flags does."""

    def choose(*flags, given=None, **options):
        own = ["--dataset=folder", f"--data_dir={folder}", f"--workdir={tmp_path / 'run'}", *flags]
        config = definitions.training_config_of(own)
        parse = lambda chosen: definitions.training_config_of([*chosen, *own])  # noqa: E731
        images = OpenedImages.open(config, ONE_DEVICE)
        return ChosenSettings(parse, given or {}, **options)(config, images, ONE_DEVICE)

    return choose


def measuring(monkeypatch, seconds):
    """Replaces the measuring of steps by given seconds for each width and image size; returns what was measured."""
    measured = []

    def measure(config, strategy, images):
        size = config.model.width, config.data.image_size
        measured.append(size)
        return Trial(seconds(size), 0.001)

    monkeypatch.setattr(chosen_settings, "measure", measure)
    return measured


def test_the_choice_is_printed_and_kept_as_a_flagfile(choice, tmp_path, console, capsys):
    config = choice()
    assert (config.model.arch, config.data.image_size, config.recipe) == ("resnet18", 64, "chosen")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("40 training images")
    kept = tmp_path / "run" / "chosen.flags"
    text = kept.read_text()
    for line in lines:
        if line.startswith("  --"):
            flags, _, reason = line.strip().partition(": ")
            assert all(flag in text.splitlines() for flag in flags.split())
            assert f"# {reason[:-1]}" in text
    assert sum(line.startswith("  --") for line in lines) == 7
    again = definitions.training_config_of(
        [f"--flagfile={kept}", "--dataset=folder", f"--data_dir={config.data.data_dir}", "--workdir=elsewhere"]
    )
    assert again.identity() == config.identity()
    assert again.recipe == config.recipe


def test_the_choice_of_a_try_that_began_no_run_is_not_taken_for_other_images(choice, folder, tmp_path, console, capsys):
    """As after a wrong --data_dir: batches of 2 would be trained on in silence."""
    kept = sorted(folder.iterdir())
    for path in kept[5:]:
        path.rename(tmp_path / path.name)
    assert choice().data.global_batch_size == 2
    for path in kept[5:]:
        (tmp_path / path.name).rename(path)
    assert choice().data.global_batch_size == 16
    said = capsys.readouterr().out
    assert "is for other images, and no run was begun with it; the settings are chosen anew." in said
    assert choice().data.global_batch_size == 16
    assert "chosen before" in capsys.readouterr().out


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_said_and_leave_no_choice(choice, folder, tmp_path, count):
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()
    with pytest.raises(UsageError, match="Training needs 2 images or more. Received: 1" if count else "image"):
        choice()
    assert not (tmp_path / "run" / "chosen.flags").exists()


def test_the_choice_of_a_run_is_never_made_anew(choice, folder, tmp_path, console, capsys):
    first = choice()
    (tmp_path / "run" / "config.json").write_text("{}")
    for path in sorted(folder.iterdir())[:30]:
        path.unlink()
    assert choice().identity() == first.identity()
    assert "chosen before" in capsys.readouterr().out
    choice(budget_minutes=5)
    assert "--budget_minutes is not used" in capsys.readouterr().err
    (tmp_path / "run" / "chosen.flags").write_text("--epochs=many\n")
    with pytest.raises(UsageError, match="epochs"):
        choice()


def test_flags_of_the_user_win(choice):
    config = choice("--epochs=3", "--image_size=32", given={"epochs": 3, "image_size": 32})
    assert (config.run.epochs, config.data.image_size, config.model.stem) == (3, 32, "cifar")


def test_a_run_that_was_started_without_a_choice_keeps_its_settings(choice, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    config = choice()
    assert (config.model.arch, config.recipe) == ("resnet50", "custom")
    assert not (tmp_path / "run" / "chosen.flags").exists()


def test_a_dry_run_writes_nothing(choice, tmp_path):
    choice(writes=False)
    assert not (tmp_path / "run").exists()


def test_a_budget_is_filled_with_epochs(choice, monkeypatch):
    measured = measuring(monkeypatch, lambda size: 1.0)
    epochs = [choice(budget_minutes=minutes, writes=False).run.epochs for minutes in (10, 20)]
    assert len(set(measured)) == 1  # the usual size is good enough
    steps = [count * (40 // 16) for count in epochs]
    assert 0.8 * 10 * 60 < steps[0] + 45 <= 10 * 60
    assert 0.8 * 20 * 60 < steps[1] + 45 <= 20 * 60


def test_a_short_budget_takes_a_smaller_network(choice, monkeypatch):
    measured = measuring(monkeypatch, lambda size: 20.0 * size[0] ** 2)
    config = choice(budget_minutes=2, writes=False)
    assert config.model.width == 0.125
    assert config.run.epochs >= 1
    assert measured[0] == (0.25, 64)
    given = choice("--epochs=2", given={"epochs": 2}, budget_minutes=2, writes=False)
    assert (given.run.epochs, given.model.width) == (2, 0.25)


def test_a_budget_below_one_epoch_is_refused_with_what_is_needed(choice, monkeypatch, tmp_path):
    measuring(monkeypatch, lambda size: 300.0)
    with pytest.raises(
        UsageError, match=r"--budget_minutes must allow 1 epoch of 40 images .*1\d minutes.*Received: 2"
    ):
        choice(budget_minutes=2)
    with pytest.raises(UsageError, match=r"must allow 5 epochs"):
        choice("--epochs=5", given={"epochs": 5}, budget_minutes=2)
    assert not (tmp_path / "run" / "chosen.flags").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(choice, monkeypatch, tmp_path):
    measured = measuring(monkeypatch, lambda size: 1.0)
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UsageError, match="--workdir must be a folder that can be written"):
        choice(budget_minutes=10)
    assert not measured


def test_several_machines_need_a_recipe():
    strategy = types.new_class("Several", (tf.distribute.MultiWorkerMirroredStrategy,))
    with pytest.raises(UsageError, match="Several machines need the same settings"):
        ChosenSettings(lambda flags: None, {})(None, None, strategy.__new__(strategy))


def test_the_network_is_that_of_the_given_weights(choice, tmp_path, console, capsys):
    (tmp_path / "given.pth").write_bytes(pth_bytes(to_torch(resnet18(width=0.125, cifar_stem=True))))
    config = choice(f"--init_weights={tmp_path / 'given.pth'}")
    assert (config.model.arch, config.model.width, config.model.stem) == ("resnet18", 0.125, "cifar")
    assert (config.model.of_method.projector_dim, config.model.of_method.predictor_dim) == (256, 64)
    assert "--width=0.125 --stem=cifar" in capsys.readouterr().out
    own = choice(f"--init_weights={tmp_path / 'given.pth'}", given={"stem": "imagenet"}, writes=False)
    assert own.recipe == "chosen"
