"""The choice of settings by images and machine."""

import dataclasses

import pytest

from flags import definitions
from simsiam_tf.training.choice import SIZES, Situation, choose, default_size

PHOTOGRAPHS = Situation(
    images=2000, side=480, has_labels=False, accelerators="", replicas=1, cores=2, computes_bfloat16=False
)


def chosen(given=None, size=None, epochs=None, **differing):
    situation = dataclasses.replace(PHOTOGRAPHS, **differing)
    return choose(situation, given or {}, size, epochs)


def values(*args, **kwargs):
    return {name: value for choice in chosen(*args, **kwargs) for name, value in choice.flags.items()}


def test_every_situation_has_settings_that_can_be_trained():
    for images in (2, 3, 7, 40, 500, 2000, 60_000, 5_000_000):
        for side in (8, 28, 33, 64, 100, 3000):
            for kind, replicas in (("", 1), ("", 3), ("GPU", 1), ("GPU", 5), ("TPU", 8)):
                if images < 2 * replicas:
                    continue
                situation = dataclasses.replace(
                    PHOTOGRAPHS, images=images, side=side, accelerators=kind, replicas=replicas
                )
                choices = choose(situation, {})
                arguments = [argument for choice in choices for argument in choice.arguments]
                config = definitions.training_config_of([*arguments, "--workdir=w", "--dataset=shapes"])
                assert all(choice.reason for choice in choices)
                assert 2 * replicas <= config.data.global_batch_size <= images
                assert config.data.global_batch_size % replicas == 0
                assert config.data.image_size <= max(32, side)
                assert config.run.epochs >= 10
                assert config.devices.precision == "float32"
                assert config.model.of_method.predictor_dim * 4 == config.model.of_method.projector_dim


def test_a_cpu_gets_a_small_network_in_float32_and_a_gpu_the_papers():
    assert values()["arch"] == "resnet18" and values()["width"] == 0.25 and values()["precision"] == "float32"
    assert values(cores=64)["width"] == 0.5
    many = values(accelerators="GPU", images=1_281_167, computes_bfloat16=True, replicas=8)
    assert (many["arch"], many["width"], many["image_size"]) == ("resnet50", 1.0, 224)
    assert (many["global_batch_size"], many["epochs"], many["precision"]) == (512, 100, "bfloat16")
    assert values(accelerators="GPU")["arch"] == "resnet18"


def test_views_are_not_larger_than_the_images():
    assert values(side=70)["image_size"] == 64
    assert (values(side=70)["stem"], values(side=70)["augmentation"]) == ("imagenet", "simsiam")
    assert (values(side=28)["image_size"], values(side=28)["stem"]) == (32, "cifar")
    assert values(side=28)["augmentation"] == "simsiam_cifar"
    assert values({"image_size": 32})["stem"] == "cifar"


def test_what_the_user_gives_is_kept_and_the_rest_follows_it():
    given = values({"global_batch_size": 20, "knn_every_epochs": 0})
    assert "global_batch_size" not in given and "knn_every_epochs" not in given
    assert given["epochs"] == round(4000 / (2000 // 20))
    assert values({"epochs": 60})["knn_every_epochs"] == 3
    everything = {name: value for choice in chosen() for name, value in choice.flags.items()}
    assert chosen(everything) == []


def test_the_number_of_epochs_follows_the_number_of_images():
    epochs = [values(images=images)["epochs"] for images in (40, 2000, 20_000, 1_000_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 200 and epochs[-1] == 10
    assert values(epochs=7)["epochs"] == 7


def test_a_size_for_a_budget_says_so():
    smaller = chosen(size=default_size(PHOTOGRAPHS) + 1)
    assert "budget" in smaller[0].reason and "budget" not in chosen()[0].reason
    pixels = [size.image_size for size in SIZES]
    assert pixels == sorted(pixels, reverse=True)


@pytest.mark.parametrize(("labels", "words"), [(True, "kNN accuracy"), (False, "needs labels")])
def test_the_monitor_says_what_it_measures(labels, words):
    assert words in chosen(has_labels=labels)[-1].reason
