"""Makes the heads on a backbone: the projector and the predictor (paper Sec. 3), prototypes and linear classifiers."""

import itertools
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BNPlacement, Predictor
from simsiam_tf.errors import check, check_choice, names_its_options
from simsiam_tf.networks.normalization import BatchNormalization
from simsiam_tf.networks.tracked import TracksItsVariables

OutputBN = Literal["none", "affine", "plain"]

# Batch norm on the projector's output in each row of Table 3.
_PROJECTOR_OUTPUT_BN: dict[BNPlacement, OutputBN] = {
    "none": "none",
    "hidden": "none",
    "release": "plain",
    "paper": "affine",
    "all": "affine",
}


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class MLP(TracksItsVariables, keras.Model):
    """Applies dense layers, with batch norm and ReLU between them. The constructor builds it.

    Args:
        input_dim: the width of the input.
        hidden_dims: the width of each hidden layer.
        output_dim: the width of the output.
        hidden_bn: whether there is batch norm before each hidden ReLU.
        output_bn: the batch norm on the output: `none`, `affine`, or `plain` without scale and offset.
        freeze_output_bias: whether the output layer has a bias that stays at its initial value, untrained and not
            decayed.
        **kwargs: further arguments of `keras.Model`.

    Raises:
        ValueError: if there is no such `output_bn`.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dims: tuple[int, ...],
        output_dim: int,
        hidden_bn: bool = True,
        output_bn: OutputBN = "none",
        freeze_output_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("output_bn", output_bn, get_args(OutputBN))
        self.config = {
            "input_dim": input_dim,
            "hidden_dims": tuple(hidden_dims),
            "output_dim": output_dim,
            "hidden_bn": hidden_bn,
            "output_bn": output_bn,
            "freeze_output_bias": freeze_output_bias,
        }
        widths = [input_dim, *hidden_dims, output_dim]
        last = len(hidden_dims)
        self.dense: list[keras.layers.Dense] = []
        self.norm: list[BatchNormalization | None] = []
        for i, (fan_in, width) in enumerate(itertools.pairwise(widths)):
            normalized = hidden_bn if i < last else output_bn != "none"
            # A bias before a batch norm does nothing; the release keeps one on the output, frozen.
            use_bias = not normalized or (i == last and freeze_output_bias)
            self.dense.append(_dense(fan_in, width, use_bias, name=f"dense{i + 1}"))
            affine = i < last or output_bn == "affine"
            self.norm.append(BatchNormalization(affine, name=f"bn{i + 1}") if normalized else None)
        self.build((None, input_dim))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes all variables, given the shape of the input, `[B, input_dim]`."""
        if self.dense[0].built:  # Keras calls build again when it loads a .keras file
            return
        for dense, norm in zip(self.dense, self.norm, strict=True):
            dense.build(input_shape)
            input_shape = (None, dense.units)
            if norm is not None:
                norm.build(input_shape)
        if self.config["freeze_output_bias"]:
            self.dense[-1].bias.trainable = False
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `[B, input_dim]` to `[B, output_dim]`."""
        for i, (dense, norm) in enumerate(zip(self.dense, self.norm, strict=True)):
            x = dense(x)
            if norm is not None:
                x = norm(x, training=training)
            if i + 1 < len(self.dense):
                x = keras.ops.relu(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), **self.config}


def make_projector(
    feature_dim: int,
    projector_dim: int = 2048,
    projector_layers: int = 3,
    projector_hidden_dim: int = 0,
    bn_placement: BNPlacement = "release",
) -> MLP:
    """Makes the projection MLP that gives z (paper Sec. 3).

    Args:
        feature_dim: D, the width of the features.
        projector_dim: d, the width of z.
        projector_layers: the number of dense layers: 3 on ImageNet, 2 on CIFAR-10 (App. D).
        projector_hidden_dim: the width of the hidden layers; 0 makes it D.
        bn_placement: the batch norm of a row of Table 3: `none` (a), `hidden` (b), `paper` (c), `release` (c without
            scale and offset on the output), `all` (d).

    Returns:
        The built MLP, `[B, D]` to `[B, d]`.

    Raises:
        ValueError: if there is no such `bn_placement`, or there are fewer than two layers.
    """
    check_choice("bn_placement", bn_placement, get_args(BNPlacement))
    check(projector_layers >= 2, "projector_layers must be at least 2.", projector_layers)
    output_bn = _PROJECTOR_OUTPUT_BN[bn_placement]
    return MLP(
        feature_dim,
        (projector_hidden_dim or feature_dim,) * (projector_layers - 1),
        projector_dim,
        hidden_bn=bn_placement != "none",
        output_bn=output_bn,
        freeze_output_bias=output_bn != "none",
        name="projector",
    )


def make_predictor(
    projector_dim: int = 2048,
    predictor_dim: int = 512,
    bn_placement: BNPlacement = "release",
    kind: Predictor = "mlp",
) -> keras.layers.Layer:
    """Makes the bottleneck predictor h that gives p = h(z) (paper Sec. 3).

    Args:
        projector_dim: d, the width of z and of p.
        predictor_dim: the width of the hidden layer: d / 4 in the paper.
        bn_placement: the batch norm of a row of Table 3, as for `make_projector`. The hidden layer has batch norm
            unless this is `none`; the output has it only if this is `all`.
        kind: `mlp`; or `identity`, p = z (Table 1a); or `fixed`, an MLP that keeps its initial weights (Table 1b).

    Returns:
        The built layer, `[B, d]` to `[B, d]`.

    Raises:
        ValueError: if there is no such `kind` or `bn_placement`.
    """
    check_choice("kind", kind, get_args(Predictor))
    check_choice("bn_placement", bn_placement, get_args(BNPlacement))
    if kind == "identity":
        return keras.layers.Identity(name="predictor")
    predictor = MLP(
        projector_dim,
        (predictor_dim,),
        projector_dim,
        hidden_bn=bn_placement != "none",
        output_bn="affine" if bn_placement == "all" else "none",
        name="predictor",
    )
    predictor.trainable = kind == "mlp"
    return predictor


def make_prototypes(projector_dim: int, num_prototypes: int) -> keras.layers.Dense:
    """Makes SwAV's prototypes c, which are the columns of a dense layer's kernel.

    Args:
        projector_dim: d, the width of z.
        num_prototypes: K.

    Returns:
        The built layer, `[B, d]` to scores `[B, K]`.
    """
    prototypes = _dense(projector_dim, num_prototypes, use_bias=False, name="prototypes")
    prototypes.build((None, projector_dim))
    return prototypes


def make_classifier(feature_dim: int, num_classes: int, name: str = "classifier") -> keras.layers.Dense:
    """Makes a linear classifier of features (paper App. A).

    Args:
        feature_dim: D, the width of the features.
        num_classes: K.
        name: the name of the layer, unique within a model.

    Returns:
        The built layer, `[B, D]` to logits `[B, K]`.
    """
    # The reference's linear evaluation starts from a normal kernel with std 0.01, and bias 0.
    # A fixed seed: the initial weights of other layers must not depend on whether there is a classifier.
    initial = keras.initializers.RandomNormal(stddev=0.01, seed=0)
    classifier = keras.layers.Dense(num_classes, kernel_initializer=initial, name=name)
    classifier.build((None, feature_dim))
    return classifier


def _dense(fan_in: int, units: int, use_bias: bool, name: str) -> keras.layers.Dense:
    """Makes a dense layer with PyTorch's default initialisation, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    bound = fan_in**-0.5
    return keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        name=name,
    )
