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
    """Optimizer and learning rates (Sec. 3)."""

    optimizer: Optimizer = option(
        "sgd", "Optimizer: 'sgd', or 'lars', which SimCLR, BYOL and SwAV use with batches of 4096 (Sec. 6.1)."
    )
    lars_exclude: bool = option(
        True,
        "Keep LARS from scaling and decaying biases and the parameters of batch norm, as in SimCLR and BYOL; SwAV does "
        "not exclude them.",
    )
    base_learning_rate: float = option(
        0.05, "Learning rate per 256 images; it is scaled by the batch size.", positive=True
    )
    sgd_momentum: float = option(0.9, "Momentum of the optimizer.")
    weight_decay: float = option(1e-4, "Coupled L2 weight decay of every parameter; see --lars_exclude for exceptions.")
    warmup_epochs: float = option(
        0.0, "Epochs of linear warm-up, multiplied by --epochs_scale; 10 for batches of 1024 or more and for Table 3a."
    )
    lr_decay: LRDecay = option(
        "step", "Cosine decay after each 'step', or after each 'epoch' as in the authors' release."
    )
    final_learning_rate: float = option(0.0, "Final learning rate as a fraction of the peak; 0.001 in SwAV.")
    predictor_lr: PredictorLR = option(
        "constant",
        "Learning rate of the predictor: 'constant' (as in Table 1c and later experiments of the paper), or 'decay', "
        "as for all other layers.",
    )
    predictor_lr_multiplier: float = option(1.0, "Multiplier of the predictor's learning rate.")

    def validate(self) -> None:
        """Checks the limits of the momentum and of the final learning rate."""
        check(self.final_learning_rate <= 1, "--final_learning_rate must be at most 1.", self.final_learning_rate)
        check(self.sgd_momentum < 1, "--sgd_momentum must be below 1.", self.sgd_momentum)
