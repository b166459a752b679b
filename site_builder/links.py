"""Makes links between files of the repository into links between pages of the site."""

import pathlib
import posixpath
import urllib.parse
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

from site_builder.places import ROOT, file_of, page_of


class RepositoryLinks(Extension):
    """Changes the links of a page that lead to files of the repository.

    A link to a file that is in the site leads there. A link to another file becomes the path of that file, as code, or
    a link to the published repository if there is one. A link to a file that does not exist stays, and MkDocs, whose
    own check comes later, refuses it.

    Args:
        is_in_site: a function that says whether the site has a page or picture of a name.
        repository: the address of the published repository, if there is one.

    Attributes:
        page: the name of the page that is being made, relative to docs/.
    """

    def __init__(self, is_in_site: Callable[[str], bool], repository: str | None = None) -> None:
        super().__init__()
        self.is_in_site = is_in_site
        self.repository = repository
        self.page = "index.md"

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Puts the change behind the parsing of links (priority 20) and before MkDocs' check of them (0)."""
        md.treeprocessors.register(_Rewriter(md, self), "repository_links", 5)

    def changed(self, link: str) -> tuple[str | None, str]:
        """Returns the address that a link has on the site, `None` if it has none, and the file that it leads to."""
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
            return link, ""
        folder = posixpath.dirname(file_of(self.page))
        path = posixpath.normpath(posixpath.join(folder, urllib.parse.unquote(parts.path)))
        page = page_of(path)
        if page is not None and self.is_in_site(page):
            relative = posixpath.relpath(page, posixpath.dirname(self.page) or ".")
            return parts._replace(path=urllib.parse.quote(relative)).geturl(), path
        if path.startswith("..") or not (ROOT / path).exists():
            return link, path
        return (f"{self.repository}/blob/HEAD/{urllib.parse.quote(path)}" if self.repository else None), path


class _Rewriter(Treeprocessor):
    """Changes the links of a page that is parsed."""

    def __init__(self, md: Markdown, links: RepositoryLinks) -> None:
        super().__init__(md)
        self._links = links

    def run(self, root: Element) -> None:
        """Changes each link and each picture."""
        for element, attribute in list(_links_below(root)):
            address, path = self._links.changed(element.get(attribute, ""))
            if address is not None:
                element.set(attribute, address)
            else:
                _make_plain(element, path)


def _links_below(root: Element) -> Iterator[tuple[Element, str]]:
    for element in root.iter():
        attribute = {"a": "href", "img": "src"}.get(element.tag)
        if attribute and element.get(attribute):
            yield element, attribute


def _make_plain(element: Element, path: str) -> None:
    """Makes a link into its own text, with the path of the file as code; a text that is a path gives way to the path.

    The element stays, as a span: what follows it belongs to it.
    """
    text = "".join(element.itertext())
    element.tag = "span"
    element.attrib.clear()
    if path.endswith(text.strip("/")) or pathlib.PurePosixPath(text).suffix == pathlib.PurePosixPath(path).suffix != "":
        for child in list(element):
            element.remove(child)
        element.text = ""
        closing = ""
    else:
        closing = ")"
        if len(element):
            element[-1].tail = AtomicString((element[-1].tail or "") + " (")
        else:
            element.text = AtomicString((element.text or "") + " (")
    code = Element("code")
    code.text = AtomicString(path)
    code.tail = AtomicString(closing)
    element.append(code)
