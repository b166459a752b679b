"""Declares the settings of the optimizer and its learning rates."""

import dataclasses
from typing import Literal

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

Optimizer = Literal["sgd", "lars"]
LRDecay = Literal["step", "epoch"]
PredictorLR = Literal["constant", "decay"]


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(SettingsGroup):
    """The optimizer and its schedule (Sec. 3)."""

    optimizer: Optimizer = option(
        "sgd", "'sgd', or 'lars', with which SimCLR, BYOL and SwAV take batches of 4096 (Sec. 6.1)."
    )
    lars_exclude: bool = option(
        True, "LARS neither scales nor decays biases and batch norm's parameters, as in SimCLR and BYOL; SwAV's does."
    )
    base_learning_rate: float = option(0.05, "Learning rate per 256 images; scaled by the batch size.", positive=True)
    sgd_momentum: float = option(0.9, "Momentum of the optimizer.")
    weight_decay: float = option(1e-4, "Coupled L2 on every parameter; but see --lars_exclude.")
    warmup_epochs: float = option(
        0.0, "Epochs of linear warm-up, times --epochs_scale; 10 for batches from 1024 and for Table 3a."
    )
    lr_decay: LRDecay = option("step", "Cosine decay at each 'step', or at each 'epoch' as in the release.")
    final_learning_rate: float = option(0.0, "What the decay ends at, as a share of the peak; SwAV: 0.001.")
    predictor_lr: PredictorLR = option(
        "constant",
        "The predictor's learning rate: 'constant' (Table 1c, and from Sec. 4.2 on) or 'decay' with the rest.",
    )
    predictor_lr_multiplier: float = option(1.0, "Multiplier of the predictor's learning rate.")

    def validate(self) -> None:
        """Checks the limits of the momentum and of the final learning rate."""
        check(self.final_learning_rate <= 1, "--final_learning_rate must be at most 1.", self.final_learning_rate)
        check(self.sgd_momentum < 1, "--sgd_momentum must be below 1.", self.sgd_momentum)
