"""Settings of runs for the checks."""

from simsiam_tf.cli.flags import training_config_of
from simsiam_tf.config.run import Config

TINY = ("--dataset=shapes", "--max_examples=64", "--arch=resnet18", "--width=0.0625", "--image_size=32")
TINY += ("--projector_layers=2", "--projector_dim=16", "--predictor_dim=4", "--global_batch_size=16", "--epochs=2")


def config_of(*flags: str) -> Config:
    """The settings of a tiny run in a folder that does not exist, and of these flags."""
    return training_config_of([*TINY, "--workdir=/nowhere/at/all", *flags])
