"""Manages the folder of a run of transfer.py, which differs from that of train.py in its settings alone."""

import dataclasses
from typing import Any

from simsiam_tf.config.transfer import NO_WEIGHTS, TRANSFER_FORMAT, TransferConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand, is_file, user_path, write_json
from simsiam_tf.training.run_files import OF_TRANSFER, read_json
from simsiam_tf.training.workdir import Workdir

_RULE = "config.json must be one that transfer.py wrote."
_PATHS = ("data_dir", "eval_dir", "train_annotations", "eval_annotations", "index_dir")


def is_transfer(path: str) -> bool:
    """Returns whether a folder is that of a run of transfer.py.

    Args:
        path: the path of the folder, as the user typed it.
    """
    file = user_path(path) / "config.json"
    try:
        return bool(path) and is_file(file) and read_json(file).get("command_of_run") == OF_TRANSFER
    except (OSError, ValueError, AttributeError):  # damaged, which is refused when it is opened
        return False


@dataclasses.dataclass(frozen=True)
class TransferWorkdir(Workdir):
    """Reads and writes the files of one run of transfer.py."""

    @staticmethod
    def _kept(config: TransferConfig) -> dict[str, Any]:
        """Returns what config.json says of the settings, with absolute paths."""
        values = config.to_dict()
        for group, names in (("data", _PATHS), ("run", ("workdir",)), ("backbone", ("backbone",))):
            for name in names:
                path = values[group][name]
                values[group][name] = path if path in ("", NO_WEIGHTS) else expand(path)
        return {"format": TRANSFER_FORMAT, "command_of_run": OF_TRANSFER, "config": values}

    @staticmethod
    def _identity(config: TransferConfig) -> dict[str, Any]:
        """Returns the settings by which a resumed run is compared, with the place of its first weights."""
        weights = config.backbone.backbone
        return {**config.identity(), "backbone": weights if weights == NO_WEIGHTS else expand(weights)}

    def record_settings(self, config: TransferConfig) -> None:
        """Writes the settings of the latest command, which may differ from the first one's where the run stays."""
        write_json(self.config_path, {**read_json(self.config_path), **self._kept(config)})

    def config(self) -> TransferConfig:  # type: ignore[override]
        """Reads the settings that the run was started with, from config.json.

        Raises:
            UsageError: if config.json was not written by transfer.py, or was written by a newer version.
        """
        try:
            content = read_json(self.config_path)
            if content.get("command_of_run") != OF_TRANSFER:
                raise UsageError(f"--workdir must be the folder of a run of transfer.py. Received: {self.root}.")
            if content["format"] > TRANSFER_FORMAT:
                raise UsageError(
                    f"config.json is of format {content['format']}, and this version reads up to {TRANSFER_FORMAT}; "
                    f"use the version that wrote it, or a newer one. Received: {self.config_path}."
                )
            return TransferConfig.from_dict(content["config"])
        except UsageError:
            raise
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise UsageError(f"{_RULE} Received: {self.config_path}.") from error
