"""Checks the folder of a run: what its file system can do, whose it is, and how much room it has."""

import pathlib

from simsiam_tf.config.run import Config
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.errors import UsageError
from simsiam_tf.files import is_file, is_in_bucket, is_locked, printable, try_folder, user_path
from simsiam_tf.training.checkpoint_files import free_space, saved_checkpoints
from simsiam_tf.training.kept_settings import identity_of, in_words
from simsiam_tf.training.workdir import Workdir

_MIB = 2**20
# Bytes that a run writes besides its checkpoints, at least: curves, records, pictures.
_BESIDES = 8 * _MIB
_NO_WORKDIR = Outcome("not asked", "needs --workdir")


def folder(asked: Asked) -> Outcome:
    """Tries to write, rename and lock in the folder of a run, and looks whether it is free for this run.

    Args:
        asked: what is asked, of which the settings of the run count.
    """
    if not asked.has_workdir:
        return _NO_WORKDIR
    root = user_path(asked.run.run.workdir)
    try:
        tried = try_folder(root)
    except OSError as error:
        advice = "give a folder that can be written by --workdir"
        return Outcome("fail", printable(f"{error.strerror or error}: {root}"), advice)
    if not tried.renames:
        advice = "checkpoints are renamed once they are whole; give a folder on another file system by --workdir"
        return Outcome("fail", printable(f"files cannot be renamed in {tried.place}"), advice)
    taken = _taken(Workdir(root), asked.run)
    if taken is not None:
        return taken
    if is_in_bucket(root):
        return Outcome("pass", "a bucket that can be written; it has no locks, so start one process only")
    if not tried.locks:
        advice = "start the run once only: nothing would keep two processes from writing into the folder"
        return Outcome("warn", printable(f"the file system of {tried.place} has no locks"), advice)
    return Outcome("pass", "files can be written, renamed and locked")


def _taken(workdir: Workdir, config: Config) -> Outcome | None:
    """Returns why a run cannot start in its folder; `None` if it can."""
    if is_locked(workdir.root / ".lock"):
        return Outcome("fail", "another process trains in the folder", "wait for it, or give another --workdir")
    if not is_file(workdir.config_path):
        return None
    if workdir.is_finished():
        return Outcome("warn", "the run in the folder is finished", "train.py would change nothing; see summary.json")
    if not saved_checkpoints(workdir.checkpoints):
        return None
    ours, theirs = identity_of(config), identity_of(workdir.config())
    other = [
        f"{name}: {in_words(theirs.get(name))}, now {in_words(ours[name])}"
        for name in ours
        if ours[name] != theirs.get(name)
    ]
    if other:
        value = printable(f"the folder holds a run with other settings ({'; '.join(other)})")
        return Outcome("fail", value, "give another --workdir")
    return None


def room(asked: Asked) -> Outcome:
    """Compares the free space of the disk with the checkpoints that a run keeps, and one that is being written.

    Args:
        asked: what is asked, of which the settings of the run and the fact `checkpoint`, in bytes, count.
    """
    if not asked.has_workdir:
        return _NO_WORKDIR
    root = user_path(asked.run.run.workdir)
    if is_in_bucket(root):
        return Outcome("pass", "a bucket grows with what is written into it")
    return judge(asked.facts["checkpoint"], asked.run.run.keep_checkpoints, _kept(root), free_space(root))


def _kept(root: pathlib.Path) -> int:
    try:
        return len(saved_checkpoints(root / "checkpoints"))
    except UsageError:
        return 0


def judge(size: int, keep: int, kept: int, free: int) -> Outcome:
    """Judges the room on a disk.

    Args:
        size: the bytes of a checkpoint.
        keep: the number of checkpoints to keep.
        kept: the number of checkpoints that are there already.
        free: the free bytes of the disk.
    """
    needed = size * max(1, keep + 1 - kept) + _BESIDES
    value = f"{free / _MIB:,.0f} MiB free, {needed / _MIB:,.0f} needed: {keep} checkpoints of {size / _MIB:,.1f} MiB, "
    value += "and one being written"
    if free < needed:
        return Outcome("fail", value, "make room, or lower --keep_checkpoints")
    if free < 2 * needed:
        return Outcome("warn", value, "other programs may fill the disk before the run ends; make room")
    return Outcome("pass", value)
