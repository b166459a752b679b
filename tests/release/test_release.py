"""`make release` refuses what is not ready, looks into the wheel, and says what is left to do."""

import subprocess
import zipfile

import pytest

from release.__main__ import ReleaseError, checked_version, what_remains
from release.wheel import wheel_faults
from tests.conftest import ROOT

INFO = "simsiam_tf-1.0.0.dist-info"


@pytest.fixture
def checkout(tmp_path):
    """A repository with one recipe, whose version, changelog and citation agree."""
    files = {
        "simsiam_tf/__init__.py": '__version__ = "1.0.0"\n',
        "flags/recipes/paper/one.flags": "--epochs=1\n",
        "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n## 1.0.0 (date not set)\n\n- All.\n",
        "CITATION.cff": "version: 1.0.0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return tmp_path


def write_wheel(folder, leave_out=(), version="1.0.0", **more):
    contents = {
        "simsiam_tf/__init__.py": "",
        "simsiam_tf/recipes/paper/one.flags": "",
        f"{INFO}/METADATA": f"Metadata-Version: 2.4\nName: simsiam-tf\nVersion: {version}\n",
        f"{INFO}/licenses/LICENSE": "",
        **more,
    }
    path = folder / "simsiam_tf-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as opened:
        for name in contents.keys() - set(leave_out):
            opened.writestr(name, contents[name])
    return path


def test_a_clean_checkout_passes(checkout):
    assert checked_version(checkout) == "1.0.0"


@pytest.mark.parametrize("name", ["simsiam_tf/__init__.py", "new.txt"])
def test_a_tree_with_changes_is_refused(checkout, name):
    with (checkout / name).open("a") as opened:
        opened.write("# more\n")
    with pytest.raises(ReleaseError, match=f"committed first. Received: 1, such as .*{name}"):
        checked_version(checkout)


def test_versions_that_disagree_are_refused(checkout):
    (checkout / "CITATION.cff").write_text("version: 1.0.1\n")
    with pytest.raises(ReleaseError, match=r"CITATION.cff must say 'version: 1.0.0'"):
        checked_version(checkout)


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        ({"leave_out": ["simsiam_tf/recipes/paper/one.flags"]}, "Missing: 1, such as simsiam_tf/recipes/paper/one"),
        ({"leave_out": [f"{INFO}/licenses/LICENSE"]}, "must hold LICENSE"),
        ({"flags/__init__.py": ""}, "Received: flags, simsiam_tf."),
        ({"version": "1.0.1"}, "must be 1.0.0. Received: 1.0.1."),
    ],
)
def test_a_faulty_wheel_is_refused(checkout, tmp_path, faulty, words):
    (problem,) = wheel_faults(write_wheel(tmp_path, **faulty), checkout, "1.0.0")
    assert words in problem


def test_a_good_wheel_has_no_faults(checkout, tmp_path):
    assert wheel_faults(write_wheel(tmp_path), checkout, "1.0.0") == []


def test_the_date_is_asked_for_until_it_is_set():
    assert "date not set" in what_remains("1.0.0", "date not set")[0]
    assert not any("date not set" in step for step in what_remains("1.0.0", "2026-12-24"))
    assert any("git tag -a v1.0.0" in step for step in what_remains("1.0.0", "2026-12-24"))


def test_nothing_claims_an_address_that_does_not_exist():
    for name in ("pyproject.toml", "CITATION.cff"):
        links = [word for word in (ROOT / name).read_text().replace('"', " ").split() if word.startswith("http")]
        assert set(links) <= {"https://arxiv.org/abs/2011.10566"}, name
