"""Turns what users type into paths: of this machine's file system, or of a bucket (`gs://bucket/name`)."""

import atexit
import os
import pathlib
import posixpath
import re
import shutil
import tempfile

from simsiam_tf.errors import UsageError, check

_BUCKET = "gs://"
# How TensorFlow reads from buckets: in pieces of 4 MiB, of which it keeps 256 MiB. By itself it asks for 64 MiB each
# time that a file is opened, whatever is read of it.
# TensorFlow asks for the size of a file each time, because another process may have written the file since.
_READING = {
    "GCS_READ_CACHE_BLOCK_SIZE_MB": "4",
    "GCS_READ_CACHE_MAX_SIZE_MB": "256",
    "GCS_STAT_CACHE_MAX_AGE": "0",
}
# The beginning of an address of a file elsewhere. As a path it would be a folder `gs:`. Pathlib makes one slash of two.
# What begins with gs: is one in any spelling; a folder of this machine with such a name can be given as ./gs:...
_ADDRESS = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]+:/|[Gg][Ss]:)")
# The names that Google Cloud Storage gives to buckets.
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
# Characters that TensorFlow reads as parts of a pattern when it looks for the files of a checkpoint.
_PATTERN_CHARACTERS = frozenset("*?[]{}" + ("" if os.sep == "\\" else "\\"))
# The aliases that `plain_path` has made, by the folders that they stand for.
_ALIASES: dict[pathlib.Path, pathlib.Path] = {}


def expand(path: str) -> str:
    """Returns the absolute path of a path that a user typed, with `~` expanded. An address in a bucket stays as it is.

    Raises:
        UsageError: if the system cannot have a file of this name, if it is an address of another kind than gs://, or
            if a name in a bucket has characters that TensorFlow reads as a pattern.
    """
    if path.startswith(_BUCKET):
        return _expand_address(path)
    check(
        not _ADDRESS.match(path),
        "A path must be one of this machine's file system, or begin with gs://, the address of a bucket.",
        path,
    )
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError("it holds the character NUL")
    except ValueError as error:
        raise UsageError(f"A path must be a name that this system can have. Received: {path!r}.") from error
    return os.path.abspath(os.path.expanduser(path))


def _expand_address(address: str) -> str:
    bucket, _, name = address.removeprefix(_BUCKET).partition("/")
    check(bool(_BUCKET_NAME.fullmatch(bucket)), "gs:// must be followed by the name of a bucket.", address)
    strange = [c for c in name if c in _PATTERN_CHARACTERS or c in "\\," or not c.isprintable()]
    check(not strange, "A name in a bucket must do without , * ? [ ] { } \\ and control characters.", repr(address))
    name = posixpath.normpath("/" + name.lstrip("/"))[1:]  # as if the bucket were the root: `..` cannot leave it
    return f"{_BUCKET}{bucket}/{name}" if name else f"{_BUCKET}{bucket}"


def read_buckets_in_pieces() -> None:
    """Makes TensorFlow, once it is loaded, read from buckets in small pieces, unless the environment says how."""
    for name, value in _READING.items():
        os.environ.setdefault(name, value)


def is_in_bucket(path: str | os.PathLike[str]) -> bool:
    """Returns whether an absolute path is an address in a bucket."""
    return os.fspath(path).startswith(_BUCKET)


def as_path(absolute: str) -> pathlib.Path:
    """Returns the path object of an absolute path.

    An address in a bucket becomes an `etils.epath.Path`, which has the methods of `pathlib.Path`, with these limits: it
    cannot be locked, mapped into memory or flushed; a file is replaced as a whole; and there are no folders but those
    that the names of files make. The functions of `simsiam_tf.files` know of them.

    Args:
        absolute: the path, as `expand` returns it.
    """
    if not is_in_bucket(absolute):
        return pathlib.Path(absolute)
    read_buckets_in_pieces()  # in time, unless the caller has loaded TensorFlow
    from etils import epath  # a tenth of a second, which only those who use buckets should wait for

    return epath.Path(absolute)  # type: ignore[return-value]


def user_path(path: str) -> pathlib.Path:
    """Returns the absolute path object of a path that a user typed.

    Raises:
        UsageError: if there can be no such path (see `expand`).
    """
    return as_path(expand(path))


def expand_several(paths: str) -> list[str]:
    """Returns the absolute paths of one folder, or of several with commas between them; none for an empty string.

    A folder whose own name has commas is one folder.
    """
    if not paths:
        return []
    if "," not in paths or (not paths.startswith(_BUCKET) and os.path.isdir(expand(paths))):
        return [expand(paths)]
    found = [expand(part.strip()) for part in paths.split(",") if part.strip()]
    mixed = len({is_in_bucket(part) for part in found}) > 1
    check(not mixed, "Folders with commas between them must all be in buckets, or none.", paths)
    return found


def is_below(path: str, folder: str) -> bool:
    """Returns whether an absolute path is that of a folder, or below it. Links of this machine are followed."""
    if is_in_bucket(path) != is_in_bucket(folder):
        return False
    if not is_in_bucket(path):
        path, folder = os.path.realpath(path), os.path.realpath(folder)
    return pathlib.PurePath(path).is_relative_to(folder)


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


def printable(text: str) -> str:
    r"""Returns a path or name as one line that no terminal takes for a command.

    Control characters, line separators and bytes that are not UTF-8 become escapes, as in Python.

    Example:
        >>> printable("a\nb.png")
        'a\\nb.png'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
