"""Every link of every Markdown file leads to a file that is there, and every anchor to a heading."""

import re
import urllib.parse

import pytest

from tests.conftest import ROOT

FOLDERS = ("docs", "launch", "flags", "simsiam_tf", "tests", "benchmarks")
PAGES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def text_of(page: str) -> str:
    """Returns a page without its blocks of code, the code in its lines, and its comments."""
    page = re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2`*\s*?$", "", page, flags=re.S | re.M)
    page = re.sub(r"<!--.*?-->", "", page, flags=re.S)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", page)


def slug(heading: str) -> str:
    """Returns the anchor that a heading has on GitHub."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().rstrip("#").strip())
    return re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")


def headings(page: str) -> list[str]:
    """Returns the headings of a page, in their order."""
    without_code = re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2`*\s*?$", "", page, flags=re.S | re.M)
    return re.findall(r"^#{1,6} +(.+?) *$", without_code, re.M)


def anchors(page: str) -> set[str]:
    """Returns the anchors of a page. The second of two equal headings has none that GitHub and the site agree on."""
    return {slug(heading) for heading in headings(page)}


def broken_links(path) -> list[str]:
    """Returns the links of a page that lead nowhere in the repository."""
    broken = []
    for link in LINK.findall(text_of(path.read_text())):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            continue
        target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
        is_there = target.exists() and target.is_relative_to(ROOT)
        if is_there and parts.fragment:
            is_there = target.suffix == ".md" and parts.fragment in anchors(target.read_text())
        broken += [] if is_there else [link]
    return broken


def test_all_pages_are_looked_at():
    names = {str(path.relative_to(ROOT)) for path in PAGES}
    assert len(names) > 60
    assert {"README.md", "CONTRIBUTING.md", "docs/troubleshooting.md", "launch/README.md"} <= names
    assert {"simsiam_tf/data/objects/README.md", "flags/recipes/README.md", "docs/decisions/0011-rooms.md"} <= names


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    assert broken_links(path) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_the_form_that_is_checked(path):
    text = text_of(path.read_text())
    assert not re.search(r"^ *\[[^\]]+\]: ", text, re.M)  # an address apart from its link
    assert not re.search(r"<(a|img|iframe|script)\b", text, re.I)


def test_broken_links_are_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# A [title](x.md), `--flag` & more\n\n```\n# no title\n```\n")
    page = tmp_path / "page.md"
    good = (
        "[a](other.md#a-title---flag--more) [b](#here) ![c](other.md) `[d](none.md)` <https://a.b> [e](https://a.b/c)"
    )
    page.write_text(f"# Here\n\n{good}\n\n```\n[f](none.md)\n```\n\n<!-- [g](none.md) -->\n[h\ni](other.md)\n")
    assert broken_links(page) == []
    bad = ["none.md", "other.md#no-title", "#there", "../../outside.md", "page.md#here-1"]
    page.write_text("# Here\n\n# Here\n\n" + " ".join(f"[a](<{link}>)" for link in bad) + "\n![a\nb](none.png)")
    assert broken_links(page) == [*bad, "none.png"]


def test_readme_links_to_many_files():
    assert len(LINK.findall(text_of((ROOT / "README.md").read_text()))) > 40
