"""Lists the groups of flags of each command. The settings themselves are declared in simsiam_tf/config.

A flag is a field of one of these dataclasses; to add a flag, add a field (CONTRIBUTING.md). The doctor, the
inspection, the preview and the reproduction also take the flags of train.py, because they show or run what train.py
would.
"""

from simsiam_tf.cli.doctor_flags import asked_run, define_doctor_flags, doctor_config
from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import (
    define_evaluation_flags,
    define_inspect_flags,
    define_preview_flags,
    define_reproduce_flags,
    define_training_flags,
    define_workdir_flag,
    evaluation_config,
    inspect_config,
    preview_config,
    recipe_name,
    reproduce_config,
    training_config,
    training_config_of,
    workdir_flag,
)
from simsiam_tf.cli.transfer_flags import define_transfer_flags, transfer_config
from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.doctor import DoctorConfig
from simsiam_tf.config.evaluation import (
    ComparisonConfig,
    ExportConfig,
    FinetuneConfig,
    ImagesConfig,
    KNNConfig,
    ProbeConfig,
    TaskConfig,
)
from simsiam_tf.config.fields import SettingsGroup
from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.preview import PreviewConfig
from simsiam_tf.config.run import RunConfig
from simsiam_tf.config.scale import SizeConfig
from simsiam_tf.config.start import StartConfig
from simsiam_tf.config.transfer import BackboneConfig, FineTuningConfig, TransferRunConfig
from simsiam_tf.reproduce.config import ReproduceConfig

# The flags of train.py.
TRAINING: dict[str, type[SettingsGroup]] = {
    "model": ModelConfig,  # includes the settings of each method, in simsiam_tf/config/methods.py
    "optimizer": OptimizerConfig,
    "data": DataConfig,
    "augment": AugmentConfig,
    "devices": DeviceConfig,
    "run": RunConfig,
    "size": SizeConfig,
    "start": StartConfig,  # neither the preview nor the reproduction has these
}
# The flags of evaluate.py, which also has --workdir and some of the flags of "data" and "devices".
EVALUATION: dict[str, type[SettingsGroup]] = {
    "task": TaskConfig,
    "knn": KNNConfig,
    "probe": ProbeConfig,
    "finetune": FinetuneConfig,
    "comparison": ComparisonConfig,
    "images": ImagesConfig,
    "export": ExportConfig,
}
# The flags of transfer.py.
TRANSFER: dict[str, type[SettingsGroup]] = {
    "backbone": BackboneConfig,
    "detector": DetectorConfig,
    "optimizer": FineTuningConfig,
    "data": DetectionDataConfig,
    "devices": DeviceConfig,
    "run": TransferRunConfig,
}
# The flags of python -m simsiam_tf.cli.inspect, besides those of train.py.
INSPECTION: dict[str, type[SettingsGroup]] = {"inspect": InspectConfig}
# The flags of python -m simsiam_tf.cli.doctor, besides those of train.py.
DOCTOR: dict[str, type[SettingsGroup]] = {"doctor": DoctorConfig}
# The flags of python -m simsiam_tf.augment.preview, besides those of train.py.
PREVIEW: dict[str, type[SettingsGroup]] = {"preview": PreviewConfig}
# The flags of python -m simsiam_tf.reproduce, besides those of train.py.
REPRODUCTION: dict[str, type[SettingsGroup]] = {"reproduce": ReproduceConfig}

__all__ = [
    "DOCTOR",
    "EVALUATION",
    "INSPECTION",
    "PREVIEW",
    "REPRODUCTION",
    "TRAINING",
    "TRANSFER",
    "asked_run",
    "define_doctor_flags",
    "define_evaluation_flags",
    "define_inspect_flags",
    "define_preview_flags",
    "define_reproduce_flags",
    "define_training_flags",
    "define_transfer_flags",
    "define_workdir_flag",
    "doctor_config",
    "evaluation_config",
    "inspect_config",
    "preview_config",
    "recipe_name",
    "reproduce_config",
    "run",
    "training_config",
    "training_config_of",
    "transfer_config",
    "workdir_flag",
]
