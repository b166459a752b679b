"""Answers MkDocs' events. mkdocs.yml names this file."""

import pathlib
import re
import shutil
import sys
from typing import Any

# MkDocs loads this file by its path, from wherever it is called.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from site_builder import api_pages, flags_page, indexes, recipes_page
from site_builder.differences import differences
from site_builder.links import RepositoryLinks
from site_builder.places import PAGES_OUTSIDE_DOCS, ROOT, repository_address
from site_builder.sources import with_sources

_log = get_plugin_logger("site_builder")
_links: RepositoryLinks
_CODE_IN_A_LINE = re.compile(r"(?<!<pre>)(?<!</span>)<code>([^<]*--[^<]*)</code>")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Sets the address of the repository if there is one, and replaces `FOLDER/*` in the nav by the folder's pages."""
    config.repo_url = repository_address()
    if config.repo_url:
        config.repo_name = "Repository"
    config.nav = _expanded(config.nav)
    return config


def _expanded(nav: Any) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(entry) for title, entry in nav.items()}
    if not isinstance(nav, list):
        return nav
    entries = []
    for entry in nav:
        is_folder = isinstance(entry, str) and entry.endswith("/*")
        entries += _pages_of(entry.removesuffix("/*")) if is_folder else [_expanded(entry)]
    return entries


def _pages_of(folder: str) -> list[Any]:
    if folder == "rooms":
        return [page for page in PAGES_OUTSIDE_DOCS.values() if page.startswith("rooms/")]
    return [f"{folder}/{path.name}" for path in indexes.pages_in(folder)]


def generated_pages() -> dict[str, str]:
    """Returns the pages that are not in docs/, as Markdown, by their names."""
    return {
        "flags.md": flags_page.flags_page(),
        "recipes/all.md": recipes_page.recipes_page(),
        "decisions/index.md": indexes.index_page("decisions"),
        "results/index.md": indexes.index_page("results"),
        "rooms/index.md": indexes.rooms_page(),
        **api_pages.api_pages(),
        **{page: (ROOT / path).read_text() for path, page in PAGES_OUTSIDE_DOCS.items()},
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, and the change of links, which asks what the site has."""
    global _links
    for name, text in generated_pages().items():
        files.append(File.generated(config, name, content=text))
    # What is left out of the site has no page there.
    in_site = {file.src_uri for file in files if file.inclusion.is_included()}
    _links = RepositoryLinks(in_site.__contains__, repository_address())
    config.markdown_extensions.append(_links)  # type: ignore[arg-type]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the sources into a page that it asks for, and tells the change of links which page it is.

    Raises:
        PluginError: if a page asks for the source of something that does not exist.
    """
    _links.page = page.file.src_uri
    for difference in differences(markdown):
        _log.warning("%s, %s.", page.file.src_uri, difference)  # an error, as every warning is
    try:
        return with_sources(markdown)
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keeps the flags in a line of text whole: a browser would end a line behind the hyphens of `--epochs`."""
    whole = re.compile(r"--[\w=.,:/-]{1,32}")
    return _CODE_IN_A_LINE.sub(
        lambda code: whole.sub(lambda flag: f'<span class="whole">{flag[0]}</span>', code[0]), html
    )


def on_post_build(config: MkDocsConfig) -> None:
    """Removes what nobody loads: maps for the developers of the theme, and the search in other languages."""
    assets = pathlib.Path(config.site_dir) / "assets"
    shutil.rmtree(assets / "javascripts" / "lunr", ignore_errors=True)
    for path in assets.rglob("*.map"):
        path.unlink()
