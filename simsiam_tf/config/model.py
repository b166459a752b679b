"""Settings of the methods and their networks."""

import dataclasses
from typing import Any

from simsiam_tf.config.fields import Validated, method_option, option
from simsiam_tf.errors import check

# The settings that each method has, and what they are by default; the values of --method.
DEFAULTS: dict[str, dict[str, Any]] = {
    "simsiam": {  # Sec. 3
        "projector_layers": 3,
        "projector_dim": 2048,
        "projector_hidden_dim": 0,
        "bn_placement": "release",
        "predictor": "mlp",
        "predictor_dim": 512,
        "stop_gradient": True,
        "similarity": "cosine",
        "symmetry": "symmetric",
        "alternation_steps": "1",
        "eta_momentum": 0.0,
    },
    "simclr": {  # SimCLR, Sec. 2 and App. B, with the three layers of the paper's Table 4
        "projector_layers": 3,
        "projector_dim": 128,
        "projector_hidden_dim": 0,
        "bn_placement": "paper",
        "predictor": "identity",
        "predictor_dim": 32,
        "stop_gradient": False,
        "temperature": 0.1,
    },
    "mocov2": {  # MoCo, Sec. 3 and 4; MoCo v2, Sec. 3; BN is synchronised, not shuffled
        "projector_layers": 2,
        "projector_dim": 128,
        "projector_hidden_dim": 0,
        "bn_placement": "none",
        "temperature": 0.2,
        "ema_momentum": 0.999,
        "ema_schedule": "constant",
        "queue_size": 65536,
    },
    "byol": {  # BYOL, Sec. 3.3, with the momentum of the paper's footnote 6
        "projector_layers": 2,
        "projector_dim": 256,
        "projector_hidden_dim": 4096,
        "bn_placement": "hidden",
        "predictor": "mlp",
        "predictor_dim": 4096,
        "ema_momentum": 0.99,
        "ema_schedule": "cosine",
    },
    "swav": {  # SwAV, App. A, with the three layers of the paper's Table 4 and the prototypes of its Sec. 6.2
        "projector_layers": 3,
        "projector_dim": 128,
        "projector_hidden_dim": 0,
        "bn_placement": "hidden",
        "predictor": "identity",
        "predictor_dim": 32,
        "stop_gradient": True,
        "temperature": 0.1,
        "num_prototypes": 3000,
        "prototype_norm": "gradient",
        "freeze_prototypes_epochs": 1,
        "sinkhorn_epsilon": 0.05,
        "sinkhorn_iterations": 3,
        "queue_size": 0,
        "queue_from_epoch": 15,
    },
    "barlow_twins": {  # Barlow Twins, Sec. 2.2
        "projector_layers": 3,
        "projector_dim": 8192,
        "projector_hidden_dim": 8192,
        "redundancy_weight": 0.005,
    },
}


def _own(name: str, help: str, choices: tuple[str, ...] = ()) -> Any:
    """A setting that only those methods have whose defaults hold it."""
    return method_option(help, choices, {method: s[name] for method, s in DEFAULTS.items() if name in s})


@dataclasses.dataclass(frozen=True)
class ModelConfig(Validated):
    """The method and its networks. A setting that the method does not have is `None`."""

    method: str = option("simsiam", "Self-supervised method.", tuple(DEFAULTS))
    arch: str = option("resnet50", "Backbone.", tuple(f"resnet{n}" for n in (18, 34, 50, 101, 152)))
    width: float = option(1.0, "Multiplier of the backbone's numbers of channels.")
    stem: str = option(
        "auto",
        "First layers of the backbone: 'cifar' (3x3, no max-pool; paper App. D), 'imagenet' (7x7 of stride 2 and "
        "max-pool), or 'auto': 'cifar' for images up to 64 pixels.",
        ("auto", "cifar", "imagenet"),
    )
    projector_layers: int = _own("projector_layers", "Dense layers of the projector; 2 on CIFAR-10 (Sec. 3, App. D).")
    projector_dim: int = _own("projector_dim", "d, the width of z and p (App. B), times --head_scale.")
    projector_hidden_dim: int = _own(
        "projector_hidden_dim", "Width of the projector's hidden layers, times --head_scale; 0: that of the features."
    )
    predictor: str = _own(
        "predictor",
        "The predictor h: 'mlp', 'identity' (none; Table 1a: SimSiam collapses) or 'fixed' at its random initial "
        "weights (Table 1b: SimSiam does not learn). Sec. 6.2 gives SimCLR and SwAV one.",
        ("mlp", "identity", "fixed"),
    )
    predictor_dim: int = _own(
        "predictor_dim", "Width of the predictor's hidden layer, times --head_scale: d / 4 in the paper."
    )
    bn_placement: str = _own(
        "bn_placement",
        "Batch norm in the heads (Table 3): 'none' (a), 'hidden' (b), 'paper' (c), 'release' (c without scale and "
        "offset on the projector's output), 'all' (d).",
        ("none", "hidden", "release", "paper", "all"),
    )
    stop_gradient: bool = _own(
        "stop_gradient",
        "Treat the other view's z, or code, as a constant. --nostop_gradient: SimSiam collapses (Sec. 4.1), SwAV "
        "diverges (Sec. 6.2).",
    )
    similarity: str = _own(
        "similarity",
        "D of the loss: minus the 'cosine', or the 'cross_entropy' of softmaxes over channels (Sec. 4.5).",
        ("cosine", "cross_entropy"),
    )
    symmetry: str = _own(
        "symmetry",
        "Which predictions count (Sec. 4.6): 'symmetric', of both views; 'asymmetric', of view 1 alone; "
        "'asymmetric_2x', likewise with two pairs of views of each image.",
        ("symmetric", "asymmetric", "asymmetric_2x"),
    )
    alternation_steps: str = _own(
        "alternation_steps",
        "SGD steps that use targets computed before the first of them (Sec. 5.2): a number, or 'epoch'. 1 is SimSiam. "
        "The targets take steps x batch x 2 x d x 4 bytes of the host's memory.",
    )
    eta_momentum: float = _own(
        "eta_momentum",
        "Targets are a moving average, with this weight of the old one, of z of an image's views over the epochs "
        "(Sec. 5.2: 0.8, with --predictor=identity); 0: z of the other view. Takes images x d x 4 bytes of the host's "
        "memory.",
    )
    temperature: float = _own("temperature", "T, by which similarities are divided before the softmax.")
    ema_momentum: float = _own(
        "ema_momentum", "m of the momentum encoder, at first; 0, for BYOL: none, the encoder's own z are the targets."
    )
    ema_schedule: str = _own(
        "ema_schedule", "m over the run: 'constant', or rising to 1 along a 'cosine'.", ("constant", "cosine")
    )
    queue_size: int = _own(
        "queue_size", "MoCo: keys of earlier batches that are negatives. SwAV: z of them that help to compute codes."
    )
    queue_from_epoch: float = _own("queue_from_epoch", "Epochs before SwAV uses its queue, times --epochs_scale.")
    num_prototypes: int = _own("num_prototypes", "K, SwAV's prototypes.")
    prototype_norm: str = _own(
        "prototype_norm",
        "Prototypes have length 1: normalised in the loss, with its 'gradient' (Sec. 6.2), or after each step, "
        "'outside' of it (SwAV).",
        ("gradient", "outside"),
    )
    freeze_prototypes_epochs: float = _own(
        "freeze_prototypes_epochs", "Epochs before the prototypes are trained, times --epochs_scale."
    )
    sinkhorn_epsilon: float = _own("sinkhorn_epsilon", "Entropy of SwAV's codes: smaller is harder.")
    sinkhorn_iterations: int = _own("sinkhorn_iterations", "Iterations of Sinkhorn-Knopp for SwAV's codes.")
    redundancy_weight: float = _own("redundancy_weight", "lambda, the weight of correlations between channels.")
    online_probe: bool = option(
        False,
        "Train a linear classifier beside the method, on features that it leaves as they are; needs labels. Its "
        "accuracy is reported apart: it is not that of a probe trained afterwards.",
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            defaults, value = field.metadata.get("methods"), getattr(self, field.name)
            if defaults and value is None:
                object.__setattr__(self, field.name, defaults.get(self.method))
            elif defaults:
                of_another = f"--{field.name} is a setting of {', '.join(defaults)}, not of --method={self.method}."
                check(self.method in defaults, of_another, value)
        super().__post_init__()

    def settings(self) -> dict[str, Any]:
        """What the method's class takes, by name."""
        return {name: getattr(self, name) for name in DEFAULTS[self.method]}

    def validate(self):
        check(self.width > 0, "--width must be positive.", self.width)
        check(self.projector_layers >= 2, "--projector_layers must be at least 2.", self.projector_layers)
        heads = ("projector_dim", "predictor_dim", "num_prototypes")
        for name in (*heads, "temperature", "sinkhorn_epsilon", "sinkhorn_iterations"):
            check(getattr(self, name) != 0, f"--{name} must be positive.", getattr(self, name))
        check((self.ema_momentum or 0) <= 1, "--ema_momentum must be at most 1.", self.ema_momentum)
        for method, name in (("mocov2", "ema_momentum"), ("mocov2", "queue_size")):
            check(self.method != method or getattr(self, name), f"--{name} must be positive with {method}.", 0)
        if self.method == "simsiam":
            self._validate_simsiam()

    def _validate_simsiam(self):
        steps = self.alternation_steps
        wanted = "--alternation_steps must be a whole number from 1, or 'epoch'."
        check(steps == "epoch" or (steps.isdecimal() and int(steps) >= 1), wanted, repr(steps))
        check(self.eta_momentum < 1, "--eta_momentum must be below 1.", self.eta_momentum)
        several = "--eta_momentum and --alternation_steps are two variants; give one of them."
        check(not self.eta_momentum or steps == "1", several, f"{self.eta_momentum} and {steps}")
        held = "--alternation_steps and --eta_momentum hold targets constant in any case, without --nostop_gradient."
        check(self.stop_gradient or not self.remembers_images, held, "--nostop_gradient")
        units = "--eta_momentum averages z of length 1, whose softmax is all but uniform; it takes --similarity=cosine."
        check(not self.eta_momentum or self.similarity == "cosine", units, self.similarity)
        pairs = "--alternation_steps keeps targets of two views, which --symmetry=asymmetric_2x has four of."
        check(steps == "1" or self.symmetry != "asymmetric_2x", pairs, steps)

    @property
    def pairs_of_views(self) -> int:
        """Pairs of views of each image in a step (Sec. 4.6)."""
        return 2 if self.symmetry == "asymmetric_2x" else 1

    @property
    def remembers_images(self) -> bool:
        """Whether targets of single images outlive their step."""
        return bool(self.eta_momentum) or self.alternation_steps not in (None, "1")
