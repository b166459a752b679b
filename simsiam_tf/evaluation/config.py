"""The settings of an evaluation; its flags are made from them like those of a run."""

import dataclasses

from simsiam_tf.settings import Validated, check, option


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Validated):
    """What evaluate.py does."""

    protocol: str = option("knn", "Evaluation.", ("knn", "linear", "export"))
    checkpoint: str = option("", "Checkpoint to judge; by default the run's latest.")
    knn_max_examples: int = option(0, "Images in the kNN's bank; 0: all.")
    knn_k: int = option(200, "Neighbours that vote.")
    knn_temperature: float = option(0.1, "Temperature of their weights exp(s / T).")
    linear_optimizer: str = option("lars", "Optimiser of the linear probe (App. A).", ("lars", "sgd"))
    linear_base_learning_rate: float = option(
        0.0, "The probe's learning rate per 256 images; 0: 0.02 for LARS, 30 for SGD (App. A)."
    )
    linear_batch_size: int = option(0, "The probe's batch; 0: 4096 for LARS, 256 for SGD (App. A).")
    linear_epochs: int = option(90, "The probe's epochs (App. A).")
    linear_augmentation: str = option(
        "linear_train",
        "'linear_train' embeds new random crops in each epoch (App. A); 'linear_eval' embeds each image once, its "
        "centre: far cheaper.",
        ("linear_train", "linear_eval"),
    )
    eval_batch_size: int = option(256, "Images embedded at a time.")

    def validate(self):
        for name in ("knn_k", "knn_temperature", "linear_epochs", "eval_batch_size"):
            check(getattr(self, name) > 0, f"--{name} must be positive.", getattr(self, name))
