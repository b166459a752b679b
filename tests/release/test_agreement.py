"""The version is in one place, and what else names it agrees."""

import shutil

import pytest
import yaml

import simsiam_tf
from release.agreement import date_of, disagreements, version_of
from tests.conftest import ROOT

NAMES = ("CHANGELOG.md", "CITATION.cff", "simsiam_tf/__init__.py")


@pytest.fixture
def checkout(tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_this_checkout_names_its_version_once():
    assert version_of(ROOT) == simsiam_tf.__version__
    assert 'version = "' not in (ROOT / "pyproject.toml").read_text().split("[tool.")[0]


def test_what_names_the_version_agrees_here():
    # Entries may gather below Unreleased between releases, and they alone.
    assert [problem for problem in disagreements(ROOT) if "Entries below" not in problem] == []
    assert date_of(ROOT)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("simsiam_tf/__init__.py", simsiam_tf.__version__, "9.8.7", "CHANGELOG.md must be '## 9.8.7 (YYYY-MM-DD)'"),
        ("CITATION.cff", f"version: {simsiam_tf.__version__}", "version: 9.8.7", "Received: ['9.8.7']"),
        ("CHANGELOG.md", f"## {simsiam_tf.__version__} (", "## 9.8.7 (", "Received: '## 9.8.7 ("),
        ("CHANGELOG.md", f"## {simsiam_tf.__version__} (", f"## {simsiam_tf.__version__} (soon, ", "(soon, "),
        ("CHANGELOG.md", "## Unreleased\n", "", "must begin with '## Unreleased'"),
        ("CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- A new thing.\n", "Entries below '## Unreleased'"),
    ],
)
def test_a_wrong_version_is_refused(checkout, name, old, new, words):
    change(checkout / name, old, new)
    assert any(words in problem for problem in disagreements(checkout)), disagreements(checkout)


def test_a_second_version_is_refused(checkout):
    file = checkout / "simsiam_tf" / "__init__.py"
    file.write_text(file.read_text() + '__version__ = "1.0.1"\n')
    with pytest.raises(ValueError, match=r"must hold __version__ once. Received: 2 lines"):
        version_of(checkout)


def test_the_citation_names_the_papers_authors_and_invents_nobody():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["authors"] == [{"name": "The simsiam_tf authors"}]
    paper = cited["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Chen", "He"]
    assert paper["year"] == 2021 and paper["url"] == "https://arxiv.org/abs/2011.10566"
    assert cited["license"] == "Apache-2.0"
