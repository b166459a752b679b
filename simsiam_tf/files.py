"""Expands paths that users type, and reads and writes files whole or not at all."""

import atexit
import contextlib
import errno
import json
import logging
import math
import os
import pathlib
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from simsiam_tf.errors import UsageError, check

_log = logging.getLogger(__name__)

# The beginning of an address of a file elsewhere. As a path it would be a folder `gs:`. Pathlib makes one slash of two.
_ADDRESS = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]+:/")

# Errors of the disk itself, which every folder on it has: it is full, or it fails.
DISK_ERRORS = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EIO") if hasattr(errno, name)}
# Characters that TensorFlow reads as parts of a pattern when it looks for the files of a checkpoint.
_PATTERN_CHARACTERS = frozenset("*?[]{}" + ("" if os.sep == "\\" else "\\"))
# The aliases that `plain_path` has made, by the folders that they stand for.
_ALIASES: dict[pathlib.Path, pathlib.Path] = {}


def expand(path: str) -> str:
    """Returns the absolute path of a path that a user typed, with `~` expanded.

    Raises:
        UsageError: if the system cannot have a file of this name, or if it is an address, such as gs://bucket/run.
    """
    check(
        not _ADDRESS.match(path),
        "Files are read from this machine's file system and written to it; give a path without an address in front.",
        path,
    )
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError("it holds the character NUL")
    except ValueError as error:
        raise UsageError(f"A path must be a name that this system can have. Received: {path!r}.") from error
    return os.path.abspath(os.path.expanduser(path))


def plain_path(folder: pathlib.Path) -> pathlib.Path:
    """Returns a path of a folder that TensorFlow takes literally.

    TensorFlow reads the path of a checkpoint as a pattern, so that it finds nothing in a folder named `lr[0.1]`, and
    takes no path that is not UTF-8. For such a folder this is a symbolic link, which lasts as long as this process.

    Args:
        folder: the path of the folder.
    """
    if _is_plain(str(folder)):
        return folder
    alias = _ALIASES.get(folder)
    if alias is None or not alias.is_symlink():
        home = pathlib.Path(tempfile.mkdtemp(prefix="simsiam_tf-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)  # removes the link, not what it points to
        alias = _ALIASES[folder] = home / "folder"
        alias.symlink_to(folder, target_is_directory=True)
    return alias


def _is_plain(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not _PATTERN_CHARACTERS.intersection(path)


def set_aside(path: pathlib.Path, why: str) -> None:
    """Renames a file or folder that is in the way, and says so: `name` becomes `name.damaged`, `name.damaged-2`, ...

    Nothing that it holds is lost.

    Args:
        path: the file or folder.
        why: the reason, as a sentence without its full stop.
    """
    names = (f"{path.name}.damaged{number}" for number in ["", *(f"-{i}" for i in range(2, 1_000_000))])
    free = next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))
    path.rename(free)
    _log.warning(f"{why}; it is now called {free.name}: {path}")


def make_way(path: pathlib.Path, is_folder: bool = False) -> None:
    """Sets aside what stands at a path, if it is a folder where a file belongs, or the other way round.

    Args:
        path: the path of the file or the folder that belongs there.
        is_folder: whether a folder belongs there.
    """
    if os.path.lexists(path) and not (path.is_dir() if is_folder else path.is_file()):
        set_aside(path, f"{'A folder' if is_folder else 'A file'} belongs here, and something else was in its place")


@contextlib.contextmanager
def naming_the_file(path: pathlib.Path) -> Iterator[None]:
    """Adds the path to an OSError that names no file, inside a `with` block. Python names none when a disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes a file whole or not at all: an existing file is replaced only once the new one is complete.

    Args:
        path: the path of the file.

    Yields:
        The path of the draft to write inside the `with` block. It is removed if the block raises.
    """
    draft = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with naming_the_file(path):
            yield draft
            draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes a new folder whole or not at all.

    Args:
        path: the path of the folder, at which there must be nothing.

    Yields:
        The path of an empty folder to write into inside the `with` block. It is removed if the block raises.
    """
    draft = path.with_name(f"{path.name}.draft{os.getpid()}")
    try:
        with naming_the_file(path):
            draft.mkdir(parents=True)
            yield draft
            draft.replace(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all. File names in it need not be UTF-8.

    Args:
        path: the path of the file.
        text: the content.
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")


def expand_several(paths: str) -> list[str]:
    """Returns the absolute paths of one folder, or of several with commas between them; none for an empty string.

    A folder whose own name has commas is one folder.
    """
    if not paths:
        return []
    if "," not in paths or os.path.isdir(expand(paths)):
        return [expand(paths)]
    return [expand(part.strip()) for part in paths.split(",") if part.strip()]


def printable(text: str) -> str:
    r"""Returns a path or name as one line that no terminal takes for a command.

    Control characters, line separators and bytes that are not UTF-8 become escapes, as in Python.

    Example:
        >>> printable("a\nb.png")
        'a\\nb.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file whole or not at all: an existing file is replaced only once the new one is complete.

    Args:
        path: the path of the file.
        content: the value to write, of types that JSON knows.

    Raises:
        ValueError: if a number is not finite. JSON has no such numbers, and no record should hold one.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_regular(path: str | pathlib.Path, longest: int | None = None) -> bytes:
    """Reads a regular file. Anything else, such as a pipe or a device, is refused without waiting for its content.

    Args:
        path: the path of the file.
        longest: the greatest length in bytes; by default any.

    Raises:
        OSError: if it is no regular file, is longer, or cannot be read.
    """
    with opened_regular(path, longest) as (content, status):
        return content.read(status.st_size)


@contextlib.contextmanager
def opened_regular(path: str | pathlib.Path, longest: int | None = None) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    """Opens a regular file inside a `with` block.

    Args:
        path: the path of the file.
        longest: the greatest length in bytes; by default any.

    Yields:
        The file, and its status.

    Raises:
        OSError: if it is no regular file, is longer, or cannot be read.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if longest is not None and status.st_size > longest:
            raise OSError(errno.EFBIG, f"{status.st_size} bytes are more than {longest}", str(path))
        with open(file, "rb", closefd=False) as content:
            yield content, status
    finally:
        os.close(file)


def parse_json(text: bytes) -> Any:
    """Parses JSON that may be damaged.

    Args:
        text: the content of the file.

    Raises:
        ValueError: if it is not JSON in UTF-8, or holds a number that is not finite, which JSON has not.
    """
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text}, which is not finite")
    return number


def check_output(path: pathlib.Path) -> None:
    """Checks that a file or folder can be made at the path of --out, before the work whose result it gets.

    The folders above it are made.

    Args:
        path: the path, at which nothing exists yet, or a file to replace.

    Raises:
        UsageError: if it cannot be made.
    """
    probe = path.parent / f".write_test_{os.getpid()}"
    try:
        os.lstat(path)  # raises if the name itself is too long
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: pathlib.Path, error: OSError) -> UsageError:
    return UsageError(f"--out must be a path that can be written ({error.strerror}). Received: {path}.")
