"""Writes the findings of an inspection as text."""

from collections.abc import Iterator, Sequence

from simsiam_tf.files import printable
from simsiam_tf.inspection.findings import Findings, Group


def lines_of(findings: Findings, max_names: int = 0) -> Iterator[str]:
    """Yields the findings as lines of text, which no terminal takes for commands.

    Args:
        findings: the findings.
        max_names: the number of names to show for each finding; 0: all.
    """
    for line in _lines(findings, max_names):
        yield printable(line)


def _lines(findings: Findings, most: int) -> Iterator[str]:
    yield "Summary"
    yield from (f"  {line}" for line in findings.summary)
    if findings.questions:
        yield "To decide before training"
        yield from (f"  {question}" for question in findings.questions)
    yield "Splits"
    for split in findings.splits:
        yield f"  {split.role}: {_counted(split.images, 'image')} of {split.name}"
        classes = [f"{name} {count:,}" for name, count in split.classes.items()]
        classes += [f"no class {split.without_class:,}"] if split.without_class else []
        yield from _names(classes, most)
    yield f"Left out: {_counted(sum(map(len, findings.left_out.values())), 'file or folder', 'files and folders')}"
    for reason, names in findings.left_out.items():
        yield f"  {reason_in_words(reason)}: {len(names):,}"
        yield from _names(names, most)
    yield "Sizes in pixels: least, median, greatest"
    for role, sizes in findings.sizes.items():
        for one in sizes:
            width, height = (", ".join(f"{value:,}" for value in span) for span in (one.width, one.height))
            yield f"  {role}, {one.kind}: width {width}; height {height} ({_counted(one.images, 'image')})"
    yield "Values in the sample"
    for role, values in findings.values.items():
        for value in values:
            yield f"  {role}, {value.kind}: {value.low:g} to {value.high:g} ({_counted(value.images, 'image')})"
    yield from _duplicates(findings, most)
    yield "Worth a look" if findings.odd else "Worth a look: no image"
    for kind, odd in findings.odd.items():
        yield f"  {kind}: {len(odd):,}"
        yield from _names([f"{one.role}: {one.name} ({one.why})" for one in odd], most)
    if findings.notes:
        yield "Notes"
        yield from (f"  {note}" for note in findings.notes)


def _duplicates(findings: Findings, most: int) -> Iterator[str]:
    parts: list[tuple[str, Sequence[Group]]] = [
        ("equal images in an evaluation split and another", findings.identical_between),
        ("near-duplicates in an evaluation split and another", findings.near_between),
    ]
    parts += [(f"equal {role} images", groups) for role, groups in findings.identical.items()]
    parts += [
        (f"near-duplicates among the {role} images of the sample", found) for role, found in findings.near.items()
    ]
    yield "Duplicates"
    for what, groups in parts:
        yield f"  {what}: {_counted(len(groups), 'group')}"
        yield from _names([described(group, most) for group in groups], most)


def described(group: Group, most: int = 0) -> str:
    """Returns a group of equal or nearly equal images as a phrase.

    Args:
        group: the group.
        most: the number of names to give for each split; 0: all.
    """
    parts = []
    for role, names in group.names.items():
        shown = names if not most else names[:most]
        more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
        parts.append((f"{role}: " if len(group.names) > 1 else "") + ", ".join(shown) + more)
    remarks = [
        "one file under several names" if group.one_file else "",
        f"in different classes: {', '.join(group.classes)}" if group.classes else "",
        "" if group.confirmed else "not compared in whole",
        f"{group.bits} of 144 bits differ" if group.bits else "",
    ]
    remark = "; ".join(filter(None, remarks))
    return " = ".join(parts) + (f" ({remark})" if remark else "")


def _names(names: Sequence[str], most: int) -> Iterator[str]:
    shown = names if not most else names[:most]
    yield from (f"    {name}" for name in shown)
    if len(names) > len(shown):
        yield f"    and {len(names) - len(shown):,} more (--max_names=0 prints all)"


def reason_in_words(kind: str) -> str:
    """Returns why files are left out, from their ending or another kind."""
    if kind.startswith("."):
        return f"ending {kind}, of no image that is read"
    return "name without an ending" if kind == "no ending" else kind


def _counted(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
