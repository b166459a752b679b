"""The readers of the package, each with what writes its inputs."""

from collections.abc import Callable

from tests.fuzz.target import Target
from tests.fuzz.targets.checkpoints import Checkpoints
from tests.fuzz.targets.coco import Coco
from tests.fuzz.targets.config import ConfigFile
from tests.fuzz.targets.flags import Flags
from tests.fuzz.targets.folder_index import FolderIndex
from tests.fuzz.targets.image import Images
from tests.fuzz.targets.keras_files import KerasFiles
from tests.fuzz.targets.metrics import Metrics
from tests.fuzz.targets.safetensors_files import SafetensorsFiles
from tests.fuzz.targets.shards import ShardFiles
from tests.fuzz.targets.torch_files import TorchFiles
from tests.fuzz.targets.voc import Voc

TARGETS: dict[str, Callable[[], Target]] = {
    "image": Images,
    "flags": Flags,
    "config": ConfigFile,
    "metrics": Metrics,
    "index": FolderIndex,
    "shards": ShardFiles,
    "keras": KerasFiles,
    "safetensors": SafetensorsFiles,
    "torch": TorchFiles,
    "checkpoints": Checkpoints,
    "coco": Coco,
    "voc": Voc,
}
