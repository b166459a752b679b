"""Declares the settings of the methods, in one dataclass for each method.

To add a setting, add a field here, and an argument of the same name and default to the class of the method. The flag,
its --help and its key in config.json follow from the field. A setting that several methods have is explained once, at
the top of this file; its default may differ between methods.
"""

import dataclasses
from typing import ClassVar, Literal

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

Predictor = Literal["mlp", "identity", "fixed"]
BNPlacement = Literal["none", "hidden", "release", "paper", "all"]
Similarity = Literal["cosine", "cross_entropy"]
Symmetry = Literal["symmetric", "asymmetric", "asymmetric_2x"]
EMASchedule = Literal["constant", "cosine"]
PrototypeNorm = Literal["gradient", "outside"]

# With more layers than this, a run takes minutes to begin, and learns nothing.
_MOST_LAYERS = 100

# Explanations of the settings that several methods have.
_PROJECTOR_LAYERS = "Number of dense layers of the projector; 2 on CIFAR-10 (Sec. 3, App. D)."
_PROJECTOR_DIM = "d, the width of z and p (App. B); multiplied by --head_scale."
_PROJECTOR_HIDDEN_DIM = "Width of the projector's hidden layers, multiplied by --head_scale; 0: that of the features."
_PREDICTOR = (
    "Predictor h: 'mlp'; 'identity', which is no predictor (Table 1a: SimSiam collapses); or 'fixed' at its random "
    "initial weights (Table 1b: SimSiam does not learn). In Sec. 6.2, SimCLR and SwAV get a predictor too."
)
_PREDICTOR_DIM = "Width of the predictor's hidden layer, d / 4 in the paper; multiplied by --head_scale."
_BN_PLACEMENT = (
    "Batch norm in the projector and the predictor, by the rows of Table 3: 'none' (a), 'hidden' (b), 'paper' (c), "
    "'release' (c as in the authors' code, without scale and offset on z), 'all' (d)."
)
_STOP_GRADIENT = (
    "Treat z, or the code, of the other view as a constant. With --nostop_gradient SimSiam collapses (Sec. 4.1), and "
    "SwAV diverges (Sec. 6.2)."
)
_TEMPERATURE = "Temperature T, by which similarities are divided before the softmax."
_EMA_MOMENTUM = (
    "Momentum m of the momentum encoder in the first step. With 0, BYOL has no momentum encoder; its targets are then "
    "z of the encoder itself."
)
_EMA_SCHEDULE = "Momentum m over the run: 'constant', or 'cosine', along which it rises to 1."
_QUEUE_SIZE = (
    "Size of the queue, multiplied by --queue_scale. MoCo: keys of earlier batches, which are negatives. SwAV: z of "
    "earlier batches, which are assigned to prototypes together with the batch."
)


@dataclasses.dataclass(frozen=True)
class MethodConfig(SettingsGroup):
    """Holds the settings of a method. Each method has a subclass.

    Attributes:
        method: the name of the method, which is the value of --method.
    """

    method: ClassVar[str]

    projector_layers: int
    projector_dim: int
    projector_hidden_dim: int

    def validate(self) -> None:
        """Checks that the projector has a hidden layer, and not so many that a run would never begin."""
        check(
            2 <= self.projector_layers <= _MOST_LAYERS,
            f"--projector_layers must be 2 to {_MOST_LAYERS}.",
            self.projector_layers,
        )

    @property
    def pairs_of_views(self) -> int:
        """Returns the number of pairs of views that a step takes of each image (Sec. 4.6)."""
        return 1

    @property
    def remembers_images(self) -> bool:
        """Returns whether the method remembers a target of each image for a later step (Sec. 5.2)."""
        return False

    @property
    def looks_ahead(self) -> bool:
        """Returns whether the targets of all batches are computed before their steps (Sec. 5.2)."""
        return False

    @property
    def loss_is_cosine(self) -> bool:
        """Returns whether the loss is a negative cosine, which is at least -1."""
        return False


@dataclasses.dataclass(frozen=True)
class SimSiamConfig(MethodConfig):
    """Holds the settings of SimSiam (Sec. 3)."""

    method = "simsiam"

    projector_layers: int = option(3, _PROJECTOR_LAYERS)
    projector_dim: int = option(2048, _PROJECTOR_DIM, positive=True)
    projector_hidden_dim: int = option(0, _PROJECTOR_HIDDEN_DIM)
    predictor: Predictor = option("mlp", _PREDICTOR)
    predictor_dim: int = option(512, _PREDICTOR_DIM, positive=True)
    bn_placement: BNPlacement = option("release", _BN_PLACEMENT)
    stop_gradient: bool = option(True, _STOP_GRADIENT)
    similarity: Similarity = option(
        "cosine",
        "Similarity of a prediction and its target: 'cosine', or 'cross_entropy' of softmaxes (Sec. 4.5).",
    )
    symmetry: Symmetry = option(
        "symmetric",
        "Predictions in the loss (Sec. 4.6): 'symmetric', of both views; 'asymmetric', of the first view only; "
        "'asymmetric_2x', of the first view in each of two pairs of views.",
    )
    alternation_steps: str = option(
        "1",
        "Number of SGD steps between two computations of the targets (Sec. 5.2), or 'epoch'. With k, the targets of k "
        "batches are computed first, and k steps then use them. 1 is SimSiam. They take steps x batch x 2 x d x 4 "
        "bytes of the host's memory.",
    )
    eta_momentum: float = option(
        0.0,
        "Momentum of a moving average of each image's z over the epochs, used as the target (Sec. 5.2: 0.8, with "
        "--predictor=identity). With 0, the target is z of the other view. The averages take images x d x 4 bytes of "
        "the host's memory.",
    )

    def validate(self) -> None:
        """Checks that the variants of Sec. 5.2 are possible, and possible together with the other settings."""
        super().validate()
        steps = self.alternation_steps
        wanted = "--alternation_steps must be a whole number from 1, or 'epoch'."
        check(steps == "epoch" or (steps.isdecimal() and len(steps) < 20 and int(steps) >= 1), wanted, repr(steps))
        check(self.eta_momentum < 1, "--eta_momentum must be below 1.", self.eta_momentum)
        several = "--eta_momentum and --alternation_steps are two variants; give one of them."
        check(not self.eta_momentum or not self.looks_ahead, several, f"{self.eta_momentum} and {steps}")
        held = "--alternation_steps and --eta_momentum hold targets constant in any case, without --nostop_gradient."
        check(self.stop_gradient or not self.remembers_images, held, "--nostop_gradient")
        units = "--eta_momentum averages z of length 1, whose softmax is all but uniform; it takes --similarity=cosine."
        check(not self.eta_momentum or self.similarity == "cosine", units, self.similarity)
        pairs = "--alternation_steps keeps targets of two views, which --symmetry=asymmetric_2x has four of."
        check(not self.looks_ahead or self.symmetry != "asymmetric_2x", pairs, steps)

    @property
    def pairs_of_views(self) -> int:
        """Returns the number of pairs of views that a step takes of each image: 2 for 'asymmetric_2x' (Sec. 4.6)."""
        return 2 if self.symmetry == "asymmetric_2x" else 1

    @property
    def remembers_images(self) -> bool:
        """Returns whether the run is one of the variants of Sec. 5.2, which remember targets."""
        return bool(self.eta_momentum) or self.looks_ahead

    @property
    def looks_ahead(self) -> bool:
        """Returns whether the targets of all batches are computed before their steps, by --alternation_steps."""
        return self.alternation_steps == "epoch" or int(self.alternation_steps) > 1

    @property
    def loss_is_cosine(self) -> bool:
        """Returns whether the loss is a negative cosine, which is at least -1."""
        return self.similarity == "cosine"


@dataclasses.dataclass(frozen=True)
class SimCLRConfig(MethodConfig):
    """Holds the settings of SimCLR (its paper's Sec. 2 and App. B).

    The projector has three layers, as in Table 4 of SimSiam's paper.
    """

    method = "simclr"

    projector_layers: int = option(3, _PROJECTOR_LAYERS)
    projector_dim: int = option(128, _PROJECTOR_DIM, positive=True)
    projector_hidden_dim: int = option(0, _PROJECTOR_HIDDEN_DIM)
    predictor: Predictor = option("identity", _PREDICTOR)
    predictor_dim: int = option(32, _PREDICTOR_DIM, positive=True)
    bn_placement: BNPlacement = option("paper", _BN_PLACEMENT)
    stop_gradient: bool = option(False, _STOP_GRADIENT)
    temperature: float = option(0.1, _TEMPERATURE, positive=True)


@dataclasses.dataclass(frozen=True)
class MoCoV2Config(MethodConfig):
    """Holds the settings of MoCo v2 (MoCo's Sec. 3 and 4, MoCo v2's Sec. 3).

    Batch norm is synchronised over replicas; images are not shuffled over them.
    """

    method = "mocov2"

    projector_layers: int = option(2, _PROJECTOR_LAYERS)
    projector_dim: int = option(128, _PROJECTOR_DIM, positive=True)
    projector_hidden_dim: int = option(0, _PROJECTOR_HIDDEN_DIM)
    bn_placement: BNPlacement = option("none", _BN_PLACEMENT)
    temperature: float = option(0.2, _TEMPERATURE, positive=True)
    ema_momentum: float = option(0.999, _EMA_MOMENTUM)
    ema_schedule: EMASchedule = option("constant", _EMA_SCHEDULE)
    queue_size: int = option(65536, _QUEUE_SIZE)

    def validate(self) -> None:
        """Checks the momentum, and that there is a momentum encoder and a queue."""
        super().validate()
        check(self.ema_momentum <= 1, "--ema_momentum must be at most 1.", self.ema_momentum)
        check(self.ema_momentum > 0, "--ema_momentum must be positive with mocov2.", 0)
        check(self.queue_size > 0, "--queue_size must be positive with mocov2.", 0)


@dataclasses.dataclass(frozen=True)
class BYOLConfig(MethodConfig):
    """Holds the settings of BYOL (its paper's Sec. 3.3).

    The momentum is that of footnote 6 in SimSiam's paper.
    """

    method = "byol"

    projector_layers: int = option(2, _PROJECTOR_LAYERS)
    projector_dim: int = option(256, _PROJECTOR_DIM, positive=True)
    projector_hidden_dim: int = option(4096, _PROJECTOR_HIDDEN_DIM)
    predictor: Predictor = option("mlp", _PREDICTOR)
    predictor_dim: int = option(4096, _PREDICTOR_DIM, positive=True)
    bn_placement: BNPlacement = option("hidden", _BN_PLACEMENT)
    ema_momentum: float = option(0.99, _EMA_MOMENTUM)
    ema_schedule: EMASchedule = option("cosine", _EMA_SCHEDULE)

    def validate(self) -> None:
        """Checks the momentum."""
        super().validate()
        check(self.ema_momentum <= 1, "--ema_momentum must be at most 1.", self.ema_momentum)


@dataclasses.dataclass(frozen=True)
class SwAVConfig(MethodConfig):
    """Holds the settings of SwAV (its paper's App. A).

    The projector has three layers, as in Table 4 of SimSiam's paper, and the prototypes are those of its Sec. 6.2.
    """

    method = "swav"

    projector_layers: int = option(3, _PROJECTOR_LAYERS)
    projector_dim: int = option(128, _PROJECTOR_DIM, positive=True)
    projector_hidden_dim: int = option(0, _PROJECTOR_HIDDEN_DIM)
    predictor: Predictor = option("identity", _PREDICTOR)
    predictor_dim: int = option(32, _PREDICTOR_DIM, positive=True)
    bn_placement: BNPlacement = option("hidden", _BN_PLACEMENT)
    stop_gradient: bool = option(True, _STOP_GRADIENT)
    temperature: float = option(0.1, _TEMPERATURE, positive=True)
    queue_size: int = option(0, _QUEUE_SIZE)
    queue_from_epoch: float = option(15, "Epochs before SwAV uses its queue; multiplied by --epochs_scale.")
    num_prototypes: int = option(
        3000, "K, the number of SwAV's prototypes; multiplied by --prototypes_scale.", positive=True
    )
    prototype_norm: PrototypeNorm = option(
        "gradient",
        "How SwAV's prototypes get length 1: normalised in the loss, with its 'gradient' (Sec. 6.2), or 'outside' of "
        "it, after each step (as in SwAV).",
    )
    freeze_prototypes_epochs: float = option(
        1, "Epochs before the prototypes are trained; multiplied by --epochs_scale."
    )
    sinkhorn_epsilon: float = option(
        0.05, "Weight of the entropy of SwAV's codes; smaller makes harder codes.", positive=True
    )
    sinkhorn_iterations: int = option(3, "Number of Sinkhorn-Knopp iterations for SwAV's codes.", positive=True)


@dataclasses.dataclass(frozen=True)
class BarlowTwinsConfig(MethodConfig):
    """Holds the settings of Barlow Twins (its paper's Sec. 2.2)."""

    method = "barlow_twins"

    projector_layers: int = option(3, _PROJECTOR_LAYERS)
    projector_dim: int = option(8192, _PROJECTOR_DIM, positive=True)
    projector_hidden_dim: int = option(8192, _PROJECTOR_HIDDEN_DIM)
    redundancy_weight: float = option(0.005, "Weight lambda of the correlations between different channels.")


# The settings of each method, by the value of --method and in the order of --help.
METHOD_CONFIGS: dict[str, type[MethodConfig]] = {
    config.method: config
    for config in (SimSiamConfig, SimCLRConfig, MoCoV2Config, BYOLConfig, SwAVConfig, BarlowTwinsConfig)
}
