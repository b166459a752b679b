"""Declares the settings of the devices, the precision and the compilation."""

import dataclasses
from typing import Literal

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

StrategyName = Literal["auto", "one", "mirrored", "multiworker", "tpu"]
Precision = Literal["float64", "float32", "bfloat16", "float16"]
Jit = Literal["auto", "on", "off"]


@dataclasses.dataclass(frozen=True)
class DeviceConfig(SettingsGroup):
    """What it runs on, and how."""

    strategy: StrategyName = option(
        "auto",
        "Devices: 'one', 'mirrored' (every GPU of this machine), 'multiworker' (several machines, which TF_CONFIG "
        "names), 'tpu', or 'auto': what --tpu, TF_CONFIG, --cpu_devices and the GPUs suggest.",
        identity=False,
    )
    tpu: str = option("", "Name of the Cloud TPU, or 'local'.", identity=False)
    cpu_devices: int = option(1, "Logical devices made of the CPU, to try several replicas.", identity=False)
    precision: Precision = option(
        "float32",
        "Arithmetic. 'bfloat16' and 'float16' are mixed, with float32 weights, statistics and loss; 'float16' scales "
        "the loss. 'float64' is for checks.",
    )
    jit: Jit = option(
        "auto",
        "Compile the training step by XLA: 'on', 'off', or 'auto': where that was measured to be faster, which on a "
        "CPU it is not (docs/results/speed.md). Needs one replica; a TPU compiles always.",
        identity=False,
    )
    steps_per_execution: int = option(
        1, "Steps that the devices take on their own before Python hears of them again.", identity=False
    )
    accumulate_steps: int = option(
        1,
        "Parts that each global batch is computed in, one after another, when it does not fit into memory. Batch "
        "norm, the negatives of SimCLR, SwAV's codes and Barlow Twins' correlations are then of a part.",
    )
    deterministic: bool = option(
        False,
        "Give the same bits each time, more slowly: on a GPU, and on a CPU where TensorFlow uses oneDNN.",
        identity=False,
    )

    def validate(self) -> None:
        """Checks that counts are positive, and that the strategy has the devices that are named."""
        for name in ("cpu_devices", "steps_per_execution", "accumulate_steps"):
            check(getattr(self, name) >= 1, f"--{name} must be at least 1.", getattr(self, name))
        check(
            self.strategy in ("auto", "mirrored") or self.cpu_devices == 1,
            f"--strategy={self.strategy} takes no --cpu_devices above 1.",
            self.cpu_devices,
        )
        check(
            self.strategy in ("auto", "tpu") or not self.tpu,
            f"--tpu goes with --strategy=tpu, not with --strategy={self.strategy}.",
            repr(self.tpu),
        )
