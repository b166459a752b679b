"""The documentation site builds without a warning, and neither it nor its reader's browser needs another host."""

import html.parser
import re
import urllib.parse

import pytest

from tests.chromium import CHROMIUM
from tests.conftest import ROOT
from tests.docs.site import browsed, build_site

pytestmark = pytest.mark.slow

# Hosts in the site that are not in our own text, and why no browser asks them.
NOT_ASKED = {
    "www.w3.org": "names of XML's vocabularies, in drawings and in the scripts that make them",
    "www.sitemaps.org": "the name of the vocabulary of sitemap.xml",
    "api.github.com": "the theme asks it for a link to a repository; the link in overrides/partials does not make it",
    "unpkg.com": "the theme asks it for Mermaid if a diagram has Mermaid's own class, and for what old browsers lack",
    "fontawesome.com": "a comment about the licence of icons in the theme",
    "github.com": "comments about licences and messages of errors in scripts, and the theme's test for a repository",
    "clipboardjs.com": "a comment about a licence in the theme's script",
    "lunrjs.com": "a comment about a licence in the theme's script",
    "tartarus.org": "a comment about a licence in the theme's script",
    "bit.ly": "a message of the theme's search about a query that it cannot read",
    "chevrotain.io": "messages of errors in Mermaid",
    "langium.org": "messages of errors in Mermaid",
    "lodash.com": "a comment about a licence in Mermaid",
    "underscorejs.org": "a comment about a licence in Mermaid",
    "openjsf.org": "a comment about a licence in Mermaid",
    "en.wikipedia.org": "a comment in Mermaid",
}
ADDRESS = re.compile(r"https?://([\w.-]+)")
ELSEWHERE = re.compile(r"\s*(https?:)?//", re.I)


class _Page(html.parser.HTMLParser):
    """Collects what a page loads, the hosts that it links to or names in its text, and those anywhere else.

    Attributes:
        loaded: addresses that a browser loads by itself.
        named: hosts of links, which a browser asks once a reader follows them, and hosts in the text.
        others: hosts in scripts and in other attributes.
    """

    def __init__(self, text):
        super().__init__()
        self.loaded, self.named, self.others = [], set(), set()
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._inside = tag
        values = {name: value or "" for name, value in attributes}
        for name, value in values.items():
            if name in ("src", "poster", "data") or (tag == "link" and name == "href"):
                self.loaded.append(value)
            elif name == "srcset":
                self.loaded += [candidate.split()[0] for candidate in value.split(",")]
            elif name == "style":
                self.loaded += loaded_by_styles(value)
            hosts = set(ADDRESS.findall(value))
            if tag == "a" and name == "href":
                self.named |= hosts
            else:
                self.others |= hosts

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        is_text = self._inside not in ("script", "style")
        (self.named if is_text else self.others).update(ADDRESS.findall(data))
        if self._inside == "style":
            self.loaded += loaded_by_styles(data)


def loaded_by_styles(text):
    """Returns the addresses that a style sheet loads."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    addresses = re.findall(r"""url\(\s*["']?([^"')]+)""", text) + re.findall(r"""@import\s+["']([^"']+)""", text)
    return [address for address in addresses if not address.startswith("data:")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pages(site):
    return {str(path.relative_to(site)): _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_make_docs_takes_warnings_as_errors():
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "mkdocs build" in line)
    assert "--strict" in line
    assert not re.search(r" (-q|--quiet)\b", line)  # it hides warnings from --strict too


def test_it_has_the_written_and_the_generated_pages(pages):
    assert len(pages) > 80
    written = {"index.html", "troubleshooting.html", "decisions/0011-rooms.html", "results/paper.html"}
    generated = {"flags.html", "recipes/all.html", "api/losses.html", "contributing.html", "rooms/methods.html"}
    assert written | generated <= set(pages)


def test_nothing_that_a_browser_loads_is_elsewhere(site, pages):
    loaded = {name: page.loaded for name, page in pages.items()}
    loaded |= {str(path.relative_to(site)): loaded_by_styles(path.read_text()) for path in site.rglob("*.css")}
    assert sum(map(len, loaded.values())) > 500
    assert [(name, address) for name, found in loaded.items() for address in found if ELSEWHERE.match(address)] == []


def test_every_host_is_in_our_text_or_known_not_to_be_asked(site, pages):
    named = set().union(*(page.named for page in pages.values()))
    others = set().union(*(page.others for page in pages.values()))
    for path in site.rglob("*"):
        if path.suffix in (".js", ".css", ".xml", ".json", ".txt") or path.name == "LICENSE":
            others |= set(ADDRESS.findall(path.read_text()))
    # The index of the search holds the text of the pages.
    in_index = set(ADDRESS.findall((site / "search" / "search_index.json").read_text()))
    assert in_index <= named
    assert others - in_index - set(NOT_ASKED) == set()
    assert set(NOT_ASKED) - others == set()  # no entry outlives what it excuses


def test_links_to_files_outside_the_site_are_code(site):
    (line,) = re.findall(r"<p>Its code.*", (site / "drawn.html").read_text())
    assert line == "<p>Its code (<span><code>simsiam_tf/losses/simsiam.py</code></span>):</p>"


def test_a_page_shows_the_source_it_asks_for(site):
    page = re.sub(r"<[^>]+>", "", (site / "drawn.html").read_text())
    assert re.search(r"simsiam_tf/losses/simsiam\.py, lines \d+ to \d+\n?def negative_cosine\(", page)
    assert "Computes D(p, stopgrad(z))" not in page
    assert "&lt;!-- code: nothing is put in here --&gt;" in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("page", "condition", "asked"),
    [
        ("index.html", "document.body", "/assets/javascripts/bundle."),
        ("flags.html?q=momentum", "document.querySelector('.md-search-result__link')", "/search/search_index.json"),
        (
            "drawn.html",
            "document.querySelectorAll('.katex').length == 2 && document.querySelector('.diagram svg')",
            "/assets/vendor/mermaid/mermaid.tiny.js",
        ),
    ],
    ids=["home", "search", "drawings"],
)
def test_a_browser_draws_it_and_asks_no_other_host(site, tmp_path, page, condition, asked):
    html, requests = browsed(site, page, condition, tmp_path)
    assert "/released" in requests
    assert [url for url in requests if urllib.parse.urlsplit(url).scheme not in ("", "data", "blob")] == []
    assert any(url.startswith(asked) for url in requests)
    if "q=" in page:
        assert re.search(r'md-search-result__link"|class="md-search-result__link', html)
    if page == "drawn.html":
        assert html.count('class="katex"') == 2
        assert re.search(r'<div class="diagram"><svg', html)
        assert "/assets/vendor/katex/fonts/KaTeX_Main-Regular.woff2" in requests
    else:
        assert not [url for url in requests if "vendor" in url]
