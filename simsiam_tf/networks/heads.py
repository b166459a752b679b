"""The projector and the predictor: one MLP builder (paper Sec. 3, "Baseline settings")."""

import itertools

import keras

from simsiam_tf.networks.normalization import BatchNormalization

BN_PLACEMENTS = ("none", "hidden", "release", "paper", "all")
PREDICTORS = ("mlp", "identity", "fixed")


@keras.saving.register_keras_serializable(package="simsiam_tf")
class MLP(keras.Model):
    """Dense layers with ReLU, and batch norm, between them; built on construction.

    Args:
        input_dim: width of the input.
        hidden_dims: width of each hidden layer.
        output_dim: width of the output.
        hidden_bn: batch norm before each hidden ReLU.
        output_bn: `none`, `affine`, or `plain` (no scale, no offset) batch norm on the output.
        freeze_output_bias: keep the output layer's bias at its initial value, outside of training and decay.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dims: tuple[int, ...],
        output_dim: int,
        hidden_bn: bool = True,
        output_bn: str = "none",
        freeze_output_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
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
        self.dense, self.norm = [], []
        for i, (fan_in, width) in enumerate(itertools.pairwise(widths)):
            normalized = hidden_bn if i < last else output_bn != "none"
            # A bias before a batch norm does nothing; the release keeps one on the output, frozen.
            use_bias = not normalized or (i == last and freeze_output_bias)
            self.dense.append(_dense(fan_in, width, use_bias, name=f"dense{i + 1}"))
            affine = i < last or output_bn == "affine"
            self.norm.append(BatchNormalization(affine, name=f"bn{i + 1}") if normalized else None)
        self.build((None, input_dim))

    def build(self, input_shape) -> None:
        if self.dense[0].built:  # a .keras file builds again what the constructor built
            return
        for dense, norm in zip(self.dense, self.norm, strict=True):
            dense.build(input_shape)
            input_shape = (None, dense.units)
            if norm is not None:
                norm.build(input_shape)
        if self.config["freeze_output_bias"]:
            self.dense[-1].bias.trainable = False
        self.built = True

    def call(self, x, training=False):
        """Maps `[B, input_dim]` to `[B, output_dim]`."""
        for i, (dense, norm) in enumerate(zip(self.dense, self.norm, strict=True)):
            x = dense(x)
            if norm is not None:
                x = norm(x, training=training)
            if i + 1 < len(self.dense):
                x = keras.ops.relu(x)
        return x

    def get_config(self):
        return {**super().get_config(), **self.config}


def _dense(fan_in: int, units: int, use_bias: bool, name: str) -> keras.layers.Dense:
    """A dense layer with PyTorch's default initialisation: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    bound = fan_in**-0.5
    return keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        name=name,
    )


def make_projector(
    feature_dim: int,
    projector_dim: int = 2048,
    projector_layers: int = 3,
    projector_hidden_dim: int = 0,
    bn_placement: str = "release",
) -> MLP:
    """The projection MLP that gives z (paper Sec. 3; Table 3 for `bn_placement`).

    Args:
        feature_dim: D of the backbone.
        projector_dim: d of z.
        projector_layers: number of dense layers: 3 on ImageNet, 2 on CIFAR-10 (App. D).
        projector_hidden_dim: width of the hidden layers; 0: that of the features.
        bn_placement: `none` (Table 3a), `hidden` (b), `paper` (c), `release` (c without scale and offset
            on the output), `all` (d).

    Returns:
        The built MLP, `[B, D]` to `[B, d]`.
    """
    output_bn = {"none": "none", "hidden": "none", "release": "plain", "paper": "affine", "all": "affine"}[bn_placement]
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
    projector_dim: int = 2048, predictor_dim: int = 512, bn_placement: str = "release", kind: str = "mlp"
) -> keras.layers.Layer:
    """The bottleneck predictor h that gives p = h(z) (paper Sec. 3; Table 3 for `bn_placement`, Table 1 for `kind`).

    Args:
        projector_dim: d of z and of p.
        predictor_dim: width of the hidden layer: d / 4 in the paper.
        bn_placement: as for `make_projector`; `all` puts batch norm on the output too.
        kind: `mlp`; `identity`, p = z (Table 1a); `fixed`, an MLP that stays as it was initialised (Table 1b).

    Returns:
        The built layer, `[B, d]` to `[B, d]`.
    """
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
    """SwAV's prototypes c, the columns of a matrix without a bias, built: `[B, d]` to scores `[B, K]`.

    Args:
        projector_dim: d of z.
        num_prototypes: K.
    """
    prototypes = _dense(projector_dim, num_prototypes, use_bias=False, name="prototypes")
    prototypes.build((None, projector_dim))
    return prototypes


def make_classifier(feature_dim: int, num_classes: int, name: str = "classifier") -> keras.layers.Dense:
    """A linear classifier of features (paper App. A), built: `[B, D]` to logits `[B, K]`.

    Args:
        feature_dim: D.
        num_classes: K.
        name: of the layer; two in one model need two.
    """
    # As the reference's linear evaluation initialises it: normal, std 0.01, bias 0.
    # A seed of its own, or other layers would begin with other weights because of it.
    initial = keras.initializers.RandomNormal(stddev=0.01, seed=0)
    classifier = keras.layers.Dense(num_classes, kernel_initializer=initial, name=name)
    classifier.build((None, feature_dim))
    return classifier
