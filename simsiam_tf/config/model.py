"""Declares the settings of the backbone, and joins them with those of the method.

Flags and config.json hold the settings of all methods side by side; a `ModelConfig` holds those of one method.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from simsiam_tf.config.fields import Setting, SettingsGroup, option
from simsiam_tf.config.methods import METHOD_CONFIGS, MethodConfig, SimSiamConfig
from simsiam_tf.errors import check

Arch = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
ARCHS: tuple[str, ...] = get_args(Arch)
# The word before the colon in --arch=keras:VGG16, a network of keras.applications, and in --arch=keras_hub:FOLDER.
KERAS, KERAS_HUB = "keras", "keras_hub"
Stem = Literal["auto", "cifar", "imagenet"]


@dataclasses.dataclass(frozen=True)
class ModelConfig(SettingsGroup):
    """Method and networks.

    Attributes:
        of_method: the settings of the method. Their class tells which method it is.

    Example:
        ModelConfig.from_values({"method": "swav", "num_prototypes": 10})  # chooses the method by its name, as flags do
    """

    arch: str = option(
        "resnet50",
        f"Architecture of the backbone: {', '.join(ARCHS)}; {KERAS}:NAME, a network of keras.applications, such as "
        f"{KERAS}:EfficientNetV2B0; or {KERAS_HUB}:FOLDER, a preset of KerasHub. Networks of others begin with random "
        "weights, and are taken without their dropout.",
    )
    width: float = option(1.0, "Multiplier of the number of channels in every layer of the backbone.", positive=True)
    stem: Stem = option(
        "auto",
        "First layers of the backbone: 'cifar' (a 3x3 convolution, no max-pool; App. D), 'imagenet' (a 7x7 convolution "
        "of stride 2, and max-pool), or 'auto': 'cifar' for images of up to 64 pixels, else 'imagenet'.",
    )
    of_method: MethodConfig = dataclasses.field(default_factory=SimSiamConfig)
    online_probe: bool = option(
        False,
        "Also train a linear classifier on the features, without effect on the backbone. It needs labels. Its "
        "accuracy is reported separately, because it is not that of a probe trained afterwards.",
    )

    def validate(self) -> None:
        """Checks that there may be such a backbone, and that it has the settings that are given."""
        kind, colon, name = self.arch.partition(":")
        check(
            self.arch in ARCHS or bool(kind in (KERAS, KERAS_HUB) and colon and name),
            f"--arch must be one of {', '.join(ARCHS)}, or {KERAS}:NAME, or {KERAS_HUB}:FOLDER.",
            repr(self.arch),
        )
        if self.arch not in ARCHS:
            check(self.width == 1, f"--width is of our ResNets, not of --arch={self.arch}.", f"{self.width:g}")
            check(self.stem == "auto", f"--stem is of our ResNets, not of --arch={self.arch}.", self.stem)

    @property
    def method(self) -> str:
        """Returns the name of the method."""
        return self.of_method.method

    @classmethod
    def settings(cls) -> tuple[Setting, ...]:
        """Returns the settings of the networks, and those of every method."""
        method = Setting("method", str, SimSiamConfig.method, "Self-supervised method.", tuple(METHOD_CONFIGS))
        *networks, online_probe = cls._own_settings()
        return (method, *networks, *_settings_of_methods(), online_probe)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Makes the group from the values of its settings, by name.

        Args:
            values: the values by name. For a setting of a method, `None` stands for the default of that method.

        Raises:
            UsageError: if a value is not possible, or belongs to a setting that the method does not have.
        """
        config = _method_config(values)
        own, others = _names(config), {setting.name for setting in _settings_of_methods()}
        given = {name: value for name, value in values.items() if name in others and value is not None}
        for name, value in given.items():
            methods = [method for method, other in METHOD_CONFIGS.items() if name in _names(other)]
            refusal = f"--{name} is a setting of {', '.join(methods)}, not of --method={config.method}."
            check(name in own, refusal, value)
        networks = {name: value for name, value in values.items() if name not in others and name != "method"}
        return cls(of_method=config(**given), **networks)

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> Self:
        """Makes the group from the values in a config.json, which may be older than some of the settings.

        The file holds `null` for each setting that the method did not have when the file was written, and for no other.
        """
        absent = {setting.name: setting.absent for setting in cls._own_settings()}
        own = set(absent)
        absent |= {setting.name: setting.absent for setting in _method_config(values).settings()}
        return cls.from_values(absent | {n: value for n, value in values.items() if value is not None or n in own})

    def values(self) -> dict[str, Any]:
        """Returns the values of all settings, by name; `None` for those that the method does not have."""
        own = {"method": self.method, **self.of_method.values()}
        networks = {setting.name for setting in self._own_settings()}
        return {s.name: getattr(self, s.name) if s.name in networks else own.get(s.name) for s in self.settings()}


def _method_config(values: Mapping[str, Any]) -> type[MethodConfig]:
    method = values.get("method", SimSiamConfig.method)
    check(method in METHOD_CONFIGS, f"--method must be one of {', '.join(METHOD_CONFIGS)}.", repr(method))
    return METHOD_CONFIGS[method]


def _names(config: type[MethodConfig]) -> list[str]:
    return [setting.name for setting in config.settings()]


def _settings_of_methods() -> list[Setting]:
    """Returns each setting of any method, once.

    Its default is `None`; the defaults of the methods are in its help.
    """
    found: dict[str, dict[str, Setting]] = {}
    for method, config in METHOD_CONFIGS.items():
        for setting in config.settings():
            found.setdefault(setting.name, {})[method] = setting
    merged = []
    for of_methods in found.values():
        first = next(iter(of_methods.values()))
        defaults = ", ".join(f"{method} {setting.default}" for method, setting in of_methods.items())
        merged.append(dataclasses.replace(first, default=None, help=f"{first.help} By default: {defaults}."))
    return merged
