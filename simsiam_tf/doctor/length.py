"""Checks how long a run will take."""

from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.doctor.opened import images_of, started, strategy_of
from simsiam_tf.progress import duration
from simsiam_tf.training.trial import Trial

# Seconds from which on the length of a run is worth a warning: a week.
_LONG = 7 * 86400.0


def length(asked: Asked) -> Outcome:
    """Computes the time of a run from the measured step and the measured reading.

    Args:
        asked: what is asked, with the facts `step` and `reading`.
    """
    config = started(asked.run)
    strategy, images, epochs = strategy_of(config), images_of(config), config.run.epochs
    computing, reading = asked.facts["step"], asked.facts["reading"]
    batch, ahead = config.data.global_batch_size, config.model.of_method.looks_ahead
    trial = Trial.of_parts(computing, reading, batch, has_accelerator(strategy), ahead)
    seconds = trial.seconds(config, images, epochs)
    value = f"about {duration(seconds)} for {epochs:,} epoch{'' if epochs == 1 else 's'}, from the start"
    if seconds > _LONG:
        one = trial.seconds(config, images, 1)
        advice = f"one epoch takes about {duration(one)}; lower --epochs or the sizes, or take a faster machine"
        return Outcome("warn", value, advice)
    return Outcome("pass", value)
