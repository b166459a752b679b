"""Notices what a reader must never do: write outside of its folder, and run or start what a file names."""

import os
import pathlib
import sys
from typing import Any

# The events of Python by which code of a file would be run, or a program or a connection started.
_RUNS = frozenset(
    ("pickle.find_class", "marshal.loads", "marshal.load", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
) | frozenset(("os.spawn", "socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request", "webbrowser.open"))
_CHANGES = frozenset(f"os.{name}" for name in ("remove", "rename", "mkdir", "rmdir", "symlink", "link", "truncate"))
_CHANGES |= {"os.chmod", "os.chown", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """Watches a reader inside a `with` block.

    Args:
        arena: the folder around the folder of a case. Of what it holds, only the case and `tmp` may change.
        case: the folder of a case.
    """

    def __init__(self, arena: pathlib.Path, case: pathlib.Path) -> None:
        self._arena, self._case, self._tmp = str(arena), str(case), str(arena / "tmp")
        self._is_active = False
        self.writes: list[str] = []
        self.runs: list[str] = []
        sys.addaudithook(self._hear)

    def __enter__(self) -> "Guard":
        self.writes, self.runs = [], []
        self._before = self._listing()
        self._is_active = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_active = False
        after = self._listing()
        if after != self._before:
            self.writes.append(f"changed: {sorted(set(after.items()) ^ set(self._before.items()))[:3]}")

    def _listing(self) -> dict[str, tuple[int, int]]:
        found = {}
        for folder, folders, files in os.walk(self._arena):
            folders[:] = [name for name in folders if f"{folder}/{name}" not in (self._case, self._tmp)]
            for name in [*folders, *files]:
                status = os.lstat(f"{folder}/{name}")
                # The times of the folders around the case change with it.
                found[f"{folder}/{name}"] = (status.st_size, 0 if name in folders else status.st_mtime_ns)
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_active:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = bool(set(mode) & set("wax+")) if isinstance(mode, str) else bool((flags or 0) & _WRITES)
            if writes and not self._is_allowed(path):
                self.writes.append(f"open {path!r}")
        elif event in _CHANGES:
            if not all(self._is_allowed(path) for path in arguments if isinstance(path, str | bytes)):
                self.writes.append(f"{event} {arguments!r}")
        elif _runs(event, arguments) and not _is_import():
            self.runs.append(f"{event} {str(arguments)[:200]}")

    def _is_allowed(self, path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return True
        whole = os.path.abspath(os.fsdecode(path))
        return whole == "/dev/null" or any(whole == f or whole.startswith(f + "/") for f in (self._case, self._tmp))


def _runs(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in _RUNS or (event == "exec" and arguments[0].co_filename.startswith("<string"))


def _is_import() -> bool:
    """Returns whether the code that runs now belongs to the import of a module."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
