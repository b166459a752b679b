"""Measures the step of the recipe shapes_demo, by which machines are compared."""

import functools

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.methods import SimSiamConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import Config, RunConfig
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.progress import duration
from simsiam_tf.training.opened_run import OpenedImages
from simsiam_tf.training.trial import measure

# Seconds of all steps of the recipe from which on a machine is called slow. Two cores without AVX-512 took 195 to 207
# (docs/results/demo.md).
_SLOW = 1200.0


def config(workdir: str) -> Config:
    """Returns the settings of flags/recipes/shapes_demo.flags, which only a command could read.

    Args:
        workdir: the folder of the run, which is not made.
    """
    method = SimSiamConfig(projector_layers=2, projector_dim=512, predictor_dim=128)
    return Config(
        model=ModelConfig(arch="resnet18", width=0.125, of_method=method),
        optimizer=OptimizerConfig(base_learning_rate=0.4, predictor_lr="constant", weight_decay=5e-4),
        data=DataConfig(dataset="shapes", image_size=32, global_batch_size=64),
        augment=AugmentConfig(
            augmentation="simsiam_cifar",
            crop_min_scale=0.3,
            jitter_p=1.0,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue=0.5,
            gray_p=0.0,
        ),
        devices=DeviceConfig(),
        run=RunConfig(workdir=workdir, epochs=16, knn_every_epochs=4),
        recipe="shapes_demo",
    )


def step(asked: Asked) -> Outcome:
    """Measures three steps of the recipe on one device, with the reading of their images.

    Args:
        asked: not used: it is the same recipe on every machine.
    """
    demo = config("shapes_demo")
    images = _images(demo)
    seconds = measure(demo, ONE_DEVICE, images).seconds_per_step
    batch = demo.data.global_batch_size
    whole = demo.run.epochs * (images.source.num_examples // batch) * seconds
    value = (
        f"{seconds:.2g} s for {batch} images ({batch / seconds:,.0f} images/s); `make demo` trains {duration(whole)}"
    )
    if whole > _SLOW:
        advice = "2 cores took 3 minutes (docs/results/demo.md); end other programs, or look at what limits the cores"
        return Outcome("warn", value, advice)
    return Outcome("pass", value)


@functools.cache
def _images(demo: Config) -> OpenedImages:
    return OpenedImages.open(demo, ONE_DEVICE)
