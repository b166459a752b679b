"""Which code a run was trained by."""

import pathlib
import shutil
import subprocess

import pytest

from simsiam_tf.training import environment
from simsiam_tf.training.environment import commit_of
from tests.conftest import ROOT


def test_a_checkout_tells_its_commit():
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert environment.environment()["git_commit"] == head.strip()


def test_the_commit_of_a_repository_around_an_installed_package_is_not_taken_for_ours(tmp_path):
    """As in an environment that lies in the user's own repository."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "mine"], check=True)
    copy = tmp_path / "site-packages" / "environment.py"
    copy.parent.mkdir()
    shutil.copy(environment.__file__, copy)
    assert environment._commit(copy) is None
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "vendored"], check=True)
    assert len(environment._commit(copy)) == 40


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment._commit(pathlib.Path(environment.__file__)) is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"git_commit": "0123456789"}, "0123456"),
        ({"git_commit": None, "versions": {"simsiam_tf": "1.0.0"}}, "unknown (simsiam_tf 1.0.0 as installed)"),
        ({"versions": [1]}, "unknown (simsiam_tf of unknown version as installed)"),
        ({}, "unknown (simsiam_tf of unknown version as installed)"),
    ],
)
def test_tables_name_the_commit_or_the_version(content, text):
    assert commit_of(content) == text
