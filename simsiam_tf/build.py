"""From a configuration to its model and optimiser."""

import keras

from simsiam_tf.backbones import BACKBONES
from simsiam_tf.config import Config, OptimizerConfig, resolve_stem
from simsiam_tf.methods import METHODS, SSLModel
from simsiam_tf.optim import SGD, WarmupCosine, scaled_learning_rate

_POLICIES = {"float64": "float64", "float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def set_precision(precision: str) -> None:
    """Sets Keras' floatx and dtype policy; to be called before anything is built."""
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy(_POLICIES[precision])


def make_model(config: Config, num_classes: int = 0) -> SSLModel:
    """The method around its backbone, freshly initialised; with the online probe, if it has one and K is given."""
    model = config.model
    backbone = BACKBONES[model.arch](cifar_stem=resolve_stem(model, config.data.image_size), width=model.width)
    return METHODS[model.method](
        backbone,
        projector_dim=model.projector_dim,
        projector_layers=model.projector_layers,
        projector_hidden_dim=model.projector_hidden_dim or None,
        predictor_dim=model.predictor_dim,
        bn_placement=model.bn_placement,
        stop_gradient=model.stop_gradient,
        online_probe_classes=num_classes if model.online_probe else 0,
    )


def make_optimizer(
    config: OptimizerConfig,
    model: SSLModel,
    global_batch_size: int,
    epochs: int,
    steps_per_epoch: int,
    scale_loss: bool = False,
) -> SGD:
    """The paper's SGD with its schedules (Sec. 3; Sec. 4.2 for the predictor's); `scale_loss` for float16."""
    total, warmup = epochs * steps_per_epoch, round(config.warmup_epochs * steps_per_epoch)
    held = steps_per_epoch if config.lr_decay == "epoch" else 1
    peak = scaled_learning_rate(config.base_learning_rate, global_batch_size)
    predictor_peak = peak * config.predictor_lr_multiplier
    decaying = WarmupCosine(predictor_peak, total, warmup, held)
    predictor_rate = predictor_peak if config.predictor_lr == "constant" else decaying
    return SGD(
        WarmupCosine(peak, total, warmup, held),
        config.sgd_momentum,
        config.weight_decay,
        overrides=[(model.predictor.trainable_variables, predictor_rate)],
        scale_loss=scale_loss,
    )


def make_trainer(config: Config, steps_per_epoch: int, num_classes: int = 0) -> SSLModel:
    """A method with its optimizer, every variable made; call it under the run's strategy.

    Args:
        config: the run.
        steps_per_epoch: of its schedules.
        num_classes: of the images, for the online probe.
    """
    model, batch = make_model(config, num_classes), config.data.global_batch_size
    scale_loss = config.devices.precision == "float16"
    optimizer = make_optimizer(config.optimizer, model, batch, config.run.epochs, steps_per_epoch, scale_loss)
    model.compile(optimizer)
    optimizer.build(model.trainable_variables)
    model.accumulate_over(config.devices.accumulate_steps)
    return model
