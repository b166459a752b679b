"""Defines how linear probes are trained: as in the paper (App. A), as in the authors' release, or with SGD."""

import dataclasses
from typing import Any

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.evaluation.probes.linear_classifier import OptimizerName
from simsiam_tf.optim import scaled_learning_rate

# Optimizer, base learning rate and batch size. `paper` and `sgd` are from App. A, `release` is from the authors' code.
PROTOCOLS: dict[str, tuple[OptimizerName, float, int]] = {
    "paper": ("lars", 0.02, 4096),
    "release": ("lars", 0.1, 4096),
    "sgd": ("sgd", 30.0, 256),
}


@dataclasses.dataclass(frozen=True)
class ProbeProtocol:
    """Holds the hyperparameters of a probe's training.

    The name of a probe's file contains a hash of this object's `str`. If the class or a field is renamed, saved probes
    are not found again.

    Attributes:
        name: `paper`, `release` or `sgd`, with the ending `_custom` if a value differs from the protocol's own.
        optimizer: `lars` or `sgd`.
        base_learning_rate: the learning rate per 256 images.
        batch_size: the number of images in a step.
        epochs: the number of passes over the training images.
        augmentation: the name of the training images' augmentation policy.
    """

    name: str
    optimizer: OptimizerName
    base_learning_rate: float
    batch_size: int
    epochs: int
    augmentation: str

    @classmethod
    def from_config(cls, name: str, config: ProbeConfig, num_examples: int) -> "ProbeProtocol":
        """Makes a named protocol, with the user's settings in place of its own values.

        Args:
            name: a key of `PROTOCOLS`.
            config: the user's settings.
            num_examples: the number of training images, which limits the batch size.
        """
        optimizer, rate, batch = PROTOCOLS[name]
        own = cls(name, optimizer, rate, batch, 90, "linear_train")
        chosen = dataclasses.replace(
            own,
            base_learning_rate=config.probe_base_learning_rate or rate,
            batch_size=min(config.probe_batch_size or batch, num_examples),
            epochs=config.probe_epochs,
            augmentation=config.probe_augmentation,
        )
        return chosen if chosen == own else dataclasses.replace(chosen, name=f"{name}_custom")

    @property
    def learning_rate(self) -> float:
        """Returns the learning rate, scaled by the batch size."""
        return scaled_learning_rate(self.base_learning_rate, self.batch_size)

    def describe(self) -> dict[str, Any]:
        """Returns the settings that summary.json holds beside each accuracy."""
        return {
            "unit": "percent",
            "protocol": f"linear probe '{self.name}' on frozen features, offline",
            "optimizer": self.optimizer,
            "base_learning_rate": self.base_learning_rate,
            "learning_rate": self.learning_rate,
            "weight_decay": 0.0,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "augmentation": self.augmentation,
        }
