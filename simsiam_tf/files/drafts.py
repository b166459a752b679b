"""Names the drafts of files and folders, and removes those that a killed process left."""

import os
import pathlib
import platform
import re
import shutil
import zlib

# Several machines may write into one folder. A process is looked for on its own machine only.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"


def draft_path(folder: pathlib.Path, prefix: str) -> pathlib.Path:
    """Returns a path for a draft of this process, at which there is nothing.

    Drafts with the same prefix are removed if they are of a process of this machine that has ended, as after a kill.

    Args:
        folder: the folder of the draft, on this machine.
        prefix: the beginning of its name, different for each file that is written.
    """
    ours = folder / f"{prefix}{os.getpid()}-{_HOST}"
    name = re.compile(rf"{re.escape(prefix)}([0-9]+)-{_HOST}")
    entries = list(folder.iterdir()) if folder.is_dir() else []
    for entry in entries:
        match = name.fullmatch(entry.name)
        # In a container that is started again, a process can have the number of the one that was killed.
        if match and (entry == ours or not _is_alive(int(match[1]))):
            _remove(entry)
    return ours


def _is_alive(process: int) -> bool:
    """Returns whether a process of this machine may still run."""
    if os.name == "nt":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
