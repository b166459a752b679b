"""Declares the size of an experiment: multipliers for the settings of its recipe."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.config.methods import MethodConfig
from simsiam_tf.config.run import Config
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class SizeConfig(SettingsGroup):
    """Size of the experiment (multipliers of other settings)."""

    epochs_scale: float = option(
        1.0,
        "Multiplier of --epochs, --warmup_epochs, --queue_from_epoch and --freeze_prototypes_epochs.",
        positive=True,
    )
    batch_scale: float = option(1.0, "Multiplier of --global_batch_size.", positive=True)
    learning_rate_scale: float = option(1.0, "Multiplier of --base_learning_rate.", positive=True)
    weight_decay_scale: float = option(1.0, "Multiplier of --weight_decay.")
    head_scale: float = option(
        1.0, "Multiplier of --projector_dim, --projector_hidden_dim and --predictor_dim.", positive=True
    )
    prototypes_scale: float = option(
        1.0, "Multiplier of --num_prototypes. Codes need more images than prototypes.", positive=True
    )
    queue_scale: float = option(1.0, "Multiplier of --queue_size.", positive=True)

    def apply(self, config: Config) -> Config:
        """Returns the configuration of a run at this size, with its numbers multiplied."""
        optimizer, data, run = config.optimizer, config.data, config.run
        return dataclasses.replace(
            config,
            model=dataclasses.replace(config.model, of_method=self._of_method(config.model.of_method)),
            optimizer=dataclasses.replace(
                optimizer,
                warmup_epochs=optimizer.warmup_epochs * self.epochs_scale,
                base_learning_rate=optimizer.base_learning_rate * self.learning_rate_scale,
                weight_decay=optimizer.weight_decay * self.weight_decay_scale,
            ),
            data=dataclasses.replace(data, global_batch_size=_times(data.global_batch_size, self.batch_scale, least=2)),
            run=dataclasses.replace(run, epochs=_times(run.epochs, self.epochs_scale)),
        )

    def _of_method(self, config: MethodConfig) -> MethodConfig:
        counts = {
            "projector_dim": self.head_scale,
            "projector_hidden_dim": self.head_scale,
            "predictor_dim": self.head_scale,
            "num_prototypes": self.prototypes_scale,
            "queue_size": self.queue_scale,
        }
        lengths = {"freeze_prototypes_epochs": self.epochs_scale, "queue_from_epoch": self.epochs_scale}
        values = config.values()
        scaled = {name: _times(values[name], scale) for name, scale in counts.items() if name in values}
        # A length of 0 is left out, so that it stays an integer in config.json.
        scaled |= {name: values[name] * scale for name, scale in lengths.items() if values.get(name)}
        return dataclasses.replace(config, **scaled)


def _times(count: int, scale: float, least: int = 1) -> int:
    """Multiplies a count, and keeps it at `least` or above. 0 has a meaning of its own, and stays 0."""
    if not count:
        return count
    product = count * scale
    # Beyond int64 the setting itself refuses the product; what is not finite cannot be rounded.
    check(product < float("inf"), "A multiplied setting must be a finite number.", f"{count} times {scale}")
    return max(least, round(product))
