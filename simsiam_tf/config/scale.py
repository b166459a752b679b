"""The size of an experiment: multipliers of what its recipe says."""

import dataclasses

from simsiam_tf.config.fields import Validated, option
from simsiam_tf.config.run import Config
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class SizeConfig(Validated):
    """The size of an experiment, beside its settings."""

    epochs_scale: float = option(1.0, "Multiplier of --epochs, --warmup_epochs, and SwAV's settings in epochs.")
    batch_scale: float = option(1.0, "Multiplier of --global_batch_size.")
    head_scale: float = option(1.0, "Multiplier of --projector_dim, --projector_hidden_dim, --predictor_dim.")
    prototypes_scale: float = option(1.0, "Multiplier of --num_prototypes: codes need more images than prototypes.")
    queue_scale: float = option(1.0, "Multiplier of --queue_size.")

    def validate(self):
        for field in dataclasses.fields(self):
            check(getattr(self, field.name) > 0, f"--{field.name} must be positive.", getattr(self, field.name))

    def of(self, config: Config) -> Config:
        """The run at this size: its settings hold the numbers that they come to."""

        def times(number, scale, least=1):
            return max(least, round(number * scale)) if number else number

        model, optimizer, data, run = config.model, config.optimizer, config.data, config.run
        dims = ("projector_dim", "projector_hidden_dim", "predictor_dim")
        widths = {name: times(getattr(model, name), self.head_scale) for name in dims}
        widths["num_prototypes"] = times(model.num_prototypes, self.prototypes_scale)
        widths["queue_size"] = times(model.queue_size, self.queue_scale)
        lengths = {
            name: getattr(model, name) * self.epochs_scale
            for name in ("freeze_prototypes_epochs", "queue_from_epoch")
            if getattr(model, name)
        }
        return dataclasses.replace(
            config,
            model=dataclasses.replace(model, **widths, **lengths),
            optimizer=dataclasses.replace(optimizer, warmup_epochs=optimizer.warmup_epochs * self.epochs_scale),
            data=dataclasses.replace(data, global_batch_size=times(data.global_batch_size, self.batch_scale, 2)),
            run=dataclasses.replace(run, epochs=times(run.epochs, self.epochs_scale)),
        )
