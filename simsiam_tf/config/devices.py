"""Declares the settings of the devices, the precision and the compilation."""

import dataclasses
import re
from typing import Literal

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

StrategyName = Literal["auto", "one", "mirrored", "multiworker", "slurm", "tpu"]
Precision = Literal["float64", "float32", "bfloat16", "float16"]
Jit = Literal["auto", "on", "off"]

# A name that Google's cloud gives to a TPU, and an address of one host. TensorFlow takes no address of IPv6.
_TPU_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_TPU_ADDRESS = re.compile(r"grpc://([A-Za-z0-9._-]+:[0-9]{1,5})")


@dataclasses.dataclass(frozen=True)
class DeviceConfig(SettingsGroup):
    """Devices and precision."""

    strategy: StrategyName = option(
        "auto",
        "Devices to use: 'one', 'mirrored' (all GPUs of this machine), 'multiworker' (several machines, named in "
        "TF_CONFIG), 'slurm' (the tasks of a SLURM job step), 'tpu', or 'auto', which chooses by --tpu, TF_CONFIG, the "
        "number of SLURM's tasks, --cpu_devices and the GPUs of this machine.",
        identity=False,
    )
    tpu: str = option(
        "",
        "Name of the Cloud TPU; 'local', the TPU of this machine; or the address of each of its hosts, as in "
        "grpc://10.0.0.2:8470,grpc://10.0.0.3:8470.",
        identity=False,
    )
    cpu_devices: int = option(
        1, "Number of logical devices to divide the CPU into, to try several replicas.", identity=False
    )
    precision: Precision = option(
        "float32",
        "Precision of the arithmetic. 'bfloat16' and 'float16' are mixed precision: weights, statistics and loss stay "
        "in float32. 'float16' also scales the loss. 'float64' is for checks.",
    )
    jit: Jit = option(
        "auto",
        "XLA for the training step: 'on', 'off' or 'auto'. 'auto' turns it on only where that is measured to be "
        "faster, so not on a CPU (docs/results/speed.md). 'on' needs one replica. A TPU always compiles.",
        identity=False,
    )
    steps_per_execution: int = option(
        1, "Number of steps that the devices take before they return to Python.", identity=False
    )
    accumulate_steps: int = option(
        1,
        "Number of parts in which each global batch is computed, to save memory. Batch norm, "
        "SimCLR's negatives, SwAV's codes and Barlow Twins' correlations are then computed within each part.",
    )
    deterministic: bool = option(
        False,
        "Make results identical, bit for bit, in repeated runs. This is slower: it turns oneDNN off on a CPU, and uses "
        "deterministic ops on a GPU.",
        identity=False,
    )

    def validate(self) -> None:
        """Checks that counts are positive, the form of --tpu, and that the strategy has the devices that are named."""
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
        check(
            not self.tpu or bool(_TPU_NAME.fullmatch(self.tpu) or self.tpu_addresses),
            "--tpu must be the name of a TPU, local, or different addresses with commas between them, as in "
            "grpc://10.0.0.2:8470,grpc://10.0.0.3:8470.",
            repr(self.tpu),
        )

    @property
    def tpu_addresses(self) -> list[str]:
        """Returns the addresses of hosts that --tpu names, as HOST:PORT; none if it has another form."""
        found = [_TPU_ADDRESS.fullmatch(part) for part in self.tpu.split(",")]
        addresses = [match[1] for match in found if match and 0 < int(match[1].rpartition(":")[2]) < 2**16]
        return addresses if len(set(addresses)) == len(found) else []
