"""The pages that are generated say what the code says, and the pages of the repository fit the site."""

import re
import subprocess
import sys

import markdown
import mkdocs.config
import pytest
from absl import flags

from flags import definitions
from site_builder import api_pages, examples, flags_page, hooks, indexes, places, recipes_page
from site_builder.differences import differences
from site_builder.links import RepositoryLinks
from site_builder.sources import source_of, with_sources
from tests.conftest import ROOT
from tests.docs.test_links import PAGES, headings, slug

MKDOCS = str(ROOT / "mkdocs.yml")


def test_pages_are_made_without_tensorflow():
    code = "import sys; from site_builder import hooks; assert len(hooks.generated_pages()) > 30; "
    code += "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_command_and_every_flag_is_on_the_page_of_flags(monkeypatch):
    page = flags_page.flags_page()
    anchors = re.findall(r"\{ #(\S+)(?: \.flag)? \}", page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#(\S+?)\)", page)) <= set(anchors)
    commands = {path.stem for path in (ROOT / "simsiam_tf" / "cli").glob("*.py") if "\n    run(" in path.read_text()}
    assert {command.name for command in flags_page.COMMANDS} == commands
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    definitions.define_training_flags()
    for name in flags.FLAGS:
        assert f"train--{name}" in anchors
    assert len(anchors) > 200


def test_a_flag_has_its_values_its_default_and_its_help():
    page = flags_page.flags_page()

    def entry(anchor):
        return re.search(rf"\{{ #{anchor} \.flag \}}\n\n(.*?)\n\n(?=#|$)", page, re.S)[1]

    assert entry("train--epochs").startswith("a whole number · default `100`\n")
    assert entry("train--stem").startswith(
        "`auto` `cifar` `imagenet` · default `auto`\n{ .flag-values }\n\nFirst layers"
    )
    assert entry("train--projector_dim").startswith("a whole number\n")  # by default that of the method
    assert entry("evaluate--protocol").startswith("names with commas between them · default `knn`")
    assert entry("train--dry_run").startswith("true or false · default `false`")
    assert "`--head_scale`" in entry("train--projector_dim")
    assert entry("every--verbosity").startswith("`quiet` `normal` `debug` · default `normal`")
    assert "doctor--epochs" not in page  # the doctor's flags of train.py are named, and not repeated


def test_texts_of_help_are_shown_as_they_are():
    text = "W/<name>.md, a_b * c_d | --jit, --dataset=folder, `--x=1`; /--no, [B, d] 'none'."
    html = markdown.markdown(flags_page._escaped(text), extensions=["tables", "attr_list"])
    assert re.sub(r"<code>(.*?)</code>", r"\1", html)[3:-4] == text.replace("<", "&lt;").replace(">", "&gt;").replace(
        "`", ""
    )
    assert re.findall("<code>(.*?)</code>", html) == ["--jit", "--dataset=folder", "--x=1"]


def test_every_recipe_is_on_the_page_of_recipes():
    rows = recipes_page.recipes_page().splitlines()
    paths = sorted((ROOT / "flags" / "recipes").rglob("*.flags"))
    assert len([row for row in rows if row.startswith("| `")]) == len(paths)
    (row,) = (row for row in rows if row.startswith("| `table1a_predictor_identity` "))
    assert "No predictor (Sec. 4.2, Table 1a): collapses." in row
    assert "`--predictor=identity`" in row


def test_the_lists_name_every_page():
    for folder in ("decisions", "results"):
        page = indexes.index_page(folder)
        assert all(f"({path.name})" in page for path in indexes.pages_in(folder))
    assert all(f"`simsiam_tf/{room}`" in indexes.rooms_page() for room in ("methods", "data/objects"))


def test_the_api_has_the_public_names_of_the_public_rooms():
    pages = api_pages.api_pages()
    for name in ("losses.negative_cosine", "methods.SimSiam", "augment.TwoViews", "features.knn", "detection.Detector"):
        assert f"\n::: simsiam_tf.{name}\n" in pages[f"api/{name.split('.')[0]}.md"]
    assert "| [`SimSiam`](methods.md#simsiam_tf.methods.SimSiam) | `simsiam_tf.methods` |" in pages["api/index.md"]


def test_examples_of_docstrings_become_code():
    assert examples.with_examples("A.\n\nExample:\n    >>> 1\n    1\n\nB.") == (
        "A.\n\nExamples:\n    >>> 1\n    1\n\nB."
    )
    assert examples.with_examples("A.\n\nExample:\n    f(x)[0]\n") == (
        "A.\n\nExamples:\n    ```python\n    f(x)[0]\n    ```\n"
    )


SOURCE = "<!-- code: simsiam_tf/losses/simsiam.py negative_cosine -->"


def test_a_comment_for_code_becomes_the_source():
    page = with_sources(f"a\n{SOURCE}\nb").split("\n")
    assert re.fullmatch(r'```python title="simsiam_tf/losses/simsiam\.py, lines \d+ to \d+"', page[1])
    assert page[2].startswith("def negative_cosine(")
    assert page[3] == "    if stop_gradient:"
    assert page[-2:] == ["```", "b"]
    fenced = f"````\n```\n{SOURCE}\n````\n~~~\n{SOURCE}\n~~~"
    assert with_sources(fenced) == fenced
    assert with_sources(f"- a\n\n  {SOURCE}").split("\n")[3].startswith("  def ")


def test_sources_are_of_methods_and_classes_too():
    lines, first, last = source_of("simsiam_tf/methods/base.py", "SSLModel.train_step")
    assert lines[0].startswith("def train_step(self")
    assert last - first > len(lines)
    lines, _, _ = source_of("simsiam_tf/config/fields.py", "Setting")
    assert lines[:3] == ["@dataclasses.dataclass(frozen=True)", "class Setting:", "    name: str"]


@pytest.mark.parametrize(
    "comment",
    [SOURCE.replace("negative", "positive"), SOURCE.replace("losses/", ""), "<!-- code: simsiam_tf/host.py -->"],
)
def test_a_comment_for_code_that_does_not_exist_is_refused(comment):
    with pytest.raises(ValueError, match="Received: "):
        with_sources(comment)


def test_comments_for_code_in_the_pages_are_right():
    for path in PAGES:
        with_sources(path.read_text())


def rewritten(text, page="tpu.md", repository=None):
    """The HTML of a page of which only some pages are in the site."""
    in_site = {"tpu.md", "folders.md", "results/scaling.md", "contributing.md", "decisions/index.md", "rooms/guard.md"}
    links = RepositoryLinks(in_site.__contains__, repository)
    links.page = page
    return markdown.markdown(text, extensions=[links]).removeprefix("<p>").removesuffix("</p>")


@pytest.mark.parametrize(
    ("page", "link", "address"),
    [
        ("tpu.md", "folders.md#a", "folders.md#a"),
        ("tpu.md", "#here", "#here"),
        ("tpu.md", "../CONTRIBUTING.md#adding", "contributing.md#adding"),
        ("results/scaling.md", "../../CONTRIBUTING.md", "../contributing.md"),
        ("results/scaling.md", "../decisions", "../decisions/index.md"),
        ("contributing.md", "docs/results/scaling.md", "results/scaling.md"),
        ("contributing.md", "simsiam_tf/guard", "rooms/guard.md"),
        ("rooms/guard.md", "../../docs/tpu.md", "../tpu.md"),
        ("tpu.md", "https://arxiv.org/abs/2011.10566", "https://arxiv.org/abs/2011.10566"),
        ("tpu.md", "none.md", "none.md"),  # for MkDocs to refuse
        ("tpu.md", "../none.py", "../none.py"),
    ],
)
def test_links_between_files_of_the_repository_become_links_between_pages(page, link, address):
    assert rewritten(f"[a]({link})", page) == f'<a href="{address}">a</a>'


def test_links_to_files_outside_the_site_become_paths_or_links_to_the_published_repository():
    path = "<code>simsiam_tf/losses/simsiam.py</code>"
    assert rewritten("[losses/simsiam.py](../simsiam_tf/losses/simsiam.py), b") == f"<span>{path}</span>, b"
    assert rewritten("[the `loss` here](../simsiam_tf/losses/simsiam.py).") == (
        f"<span>the <code>loss</code> here ({path})</span>."
    )
    assert rewritten("[the loss](../simsiam_tf/losses/simsiam.py)", repository="https://a.b/c") == (
        '<a href="https://a.b/c/blob/HEAD/simsiam_tf/losses/simsiam.py">the loss</a>'
    )


def test_the_address_of_the_repository_is_that_of_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\n')
    assert places.repository_address(tmp_path / "pyproject.toml") is None
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nurls = { Repository = "https://a.b/c/" }\n')
    assert places.repository_address(tmp_path / "pyproject.toml") == "https://a.b/c"


def test_the_site_gives_headings_the_anchors_that_github_gives_them():
    config = mkdocs.config.load_config(MKDOCS)
    toc = config.mdx_configs["toc"]
    found = sorted({heading for path in PAGES for heading in headings(path.read_text())})
    assert len(found) > 250
    for heading in found:
        html = markdown.markdown(f"# {heading}", extensions=["toc", "attr_list"], extension_configs={"toc": toc})
        assert re.search(r'id="([^"]*)"', html)[1] == slug(heading), heading


def test_every_entry_of_the_nav_is_a_page():
    config = mkdocs.config.load_config(MKDOCS)
    text = str(hooks.on_config(config).nav)
    entries = set(re.findall(r"'([\w/.-]+\.md)'", text))
    written = {str(path.relative_to(places.DOCS)) for path in places.DOCS.rglob("*.md")}
    assert entries == written | set(hooks.generated_pages())


def test_flags_in_a_line_are_kept_whole():
    html = "<p><code>python train.py --epochs=5</code></p><pre><span></span><code>--epochs</code></pre>"
    assert hooks.on_page_content(html, None, None, None) == html.replace(
        "--epochs=5", '<span class="whole">--epochs=5</span>'
    )


def test_what_the_site_would_show_in_another_way_than_github_is_found():
    text = "a\n- b\n\n- c\n  - d\n\n  e\n\n1. f\n   ```\n   - g\n   ```\n\nh\n| i |\n|---|\n"
    assert [difference.split(":")[0] for difference in differences(text)] == [
        *("line 2", "line 5", "line 7", "line 10", "line 15")
    ]
    good = "# a\n- b\n  2.6 c\n- d\n\n    - e\n\n    f\n\ng\n512. h\n\n| i |\n|---|\n| j |\n"
    good += "\na\n    + b\n\n```\na\n- k\n  - l\n```\n> - m\n> - n"
    assert differences(good) == []


def test_no_page_would_be_shown_in_another_way_than_on_github():
    assert [(path, found) for path in PAGES for found in differences(path.read_text())] == []
