"""Finds what GitHub and the site would show differently in a page: Python-Markdown knows fewer forms of lists."""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,})")
_PART = re.compile(r" *(?:(?:[-*+]|\d+\.) |`{3,}|~{3,}|\|)")
# The first line of something that, without a blank line before it, the site would show as text of a paragraph.
_AFTER_BLANK = re.compile(r"^ {0,3}(?:[-*+] |1\. |\|.*\|$)")
_SAME = re.compile(r"^ *(?:[-*+] |\d+\. |\||> )")


def outside_code(markdown: str) -> Iterator[tuple[int, str, bool]]:
    """Yields the number of each line, the line, and whether it is outside of fenced code or opens it."""
    fence = ""
    for number, line in enumerate(markdown.split("\n"), 1):
        found = _FENCE.match(line)
        if not fence:
            fence = found["fence"] if found else ""
            yield number, line, True
        else:
            if found and found["fence"].startswith(fence) and line.strip() == found["fence"]:
                fence = ""
            yield number, line, False


def differences(markdown: str) -> list[str]:
    """Returns a sentence for each line that the site would show in another way than GitHub."""
    found, before, in_item = [], "", False
    for number, line, is_text in outside_code(markdown):
        indent = len(line) - len(line.lstrip())
        if 0 < indent < 4 and line.strip() and is_text and (not before or _PART.match(line)):
            found.append(f"line {number}: what belongs to an item of a list must be indented by four spaces")
        if is_text and before and not in_item and _AFTER_BLANK.match(line) and not before.startswith("#"):
            found.append(f"line {number}: a list or table needs a blank line before it")
        in_item = bool(is_text and line.strip() and (in_item or _SAME.match(line)))
        before = line.strip()
    return found
