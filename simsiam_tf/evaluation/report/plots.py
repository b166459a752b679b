"""Draws curves as SVG in the page's text colour, so that they are readable in light and in dark mode."""

import html
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

# Medium tones, for light and dark pages. They differ in lightness too, so that they can be told apart without colour.
COLOURS = ("#3f7fd9", "#e0752d", "#2f9e77", "#b85fb8", "#8d8d2a", "#7a7a7a")
_TEXT = "#010203"  # a placeholder, which `_svg` replaces by the page's text colour
_SIZE = (4.6, 3.0)  # inches


class Line(NamedTuple):
    """Holds one curve of a figure.

    Attributes:
        label: the text in the legend.
        x: the horizontal positions of the points, `[n]`.
        y: the heights of the points, `[n]`.
        run: the number of the run, which selects the colour.
        dashed: whether the line is dashed.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    run: int = 0
    dashed: bool = False


def plot(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    guide: tuple[float, str] | None = None,
    floor: float | None = None,
    logarithmic: bool = False,
) -> str:
    """Draws curves into one figure.

    Args:
        lines: the curves.
        x_label: the label of the horizontal axis, with its unit.
        y_label: the label of the vertical axis, with its unit.
        guide: the height of a dotted reference line, and its label; `None` for no line.
        floor: the height at or below which a linear vertical axis begins; `None` if it follows from the curves.
        logarithmic: whether the vertical axis is logarithmic.

    Returns:
        An `<svg>` element.
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    handles: list[Line2D] = []
    labels: list[str] = []
    for line in lines:
        style = "--" if line.dashed else "-"
        marker = "o" if len(line.x) <= 12 else ""
        colour = COLOURS[line.run % len(COLOURS)]
        handles += axes.plot(line.x, line.y, style, color=colour, marker=marker, markersize=3.5, linewidth=1.8)
        labels.append(line.label.replace("$", r"\$"))  # Matplotlib would read $ as the start of a formula
    if guide is not None:
        handles.append(axes.axhline(guide[0], color=_TEXT, linewidth=0.8, linestyle=":"))
        labels.append(guide[1])
    if logarithmic:
        axes.set_yscale("log")
    elif floor is not None:
        axes.set_ylim(bottom=min(floor, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(handles, labels, frameon=False, labelcolor=_TEXT, fontsize=8)
    _take_text_colour(axes)
    return _svg(figure, f"{y_label} over {x_label}: {', '.join(line.label for line in lines)}")


class Band(NamedTuple):
    """Holds one row of a figure of bands.

    Attributes:
        label: the text at the row's left.
        spans: for each span its beginning, its end and its name.
    """

    label: str
    spans: Sequence[tuple[float, float, str]]


def plot_bands(rows: Sequence[Band], x_label: str, names: Sequence[str]) -> str:
    """Draws a row of coloured spans for each band, in the width of `plot`.

    Args:
        rows: the bands, from the top down.
        x_label: the label of the horizontal axis, with its unit.
        names: the names that spans may have; the first one is drawn pale.

    Returns:
        An `<svg>` element.
    """
    figure = Figure(figsize=(_SIZE[0], 1.0 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    number = {name: i for i, name in enumerate(names)}
    shown: set[str] = set()
    for place, row in enumerate(rows):
        for start, end, name in row.spans:
            label = name if name not in shown else None
            colour, alpha = COLOURS[number[name] % len(COLOURS)], 0.9 if number[name] else 0.35
            axes.broken_barh([(start, end - start)], (place - 0.4, 0.8), label=label, color=colour, alpha=alpha)
            shown.add(name)
    axes.set_yticks(range(len(rows)), [row.label.replace("$", r"\$") for row in rows])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x_label)
    axes.legend(frameon=False, labelcolor=_TEXT, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.4), ncols=2)
    _take_text_colour(axes)
    axes.grid(visible=False)
    words = [f"{row.label}: {', '.join(dict.fromkeys(name for *_, name in row.spans))}" for row in rows]
    return _svg(figure, f"State over {x_label}: {'; '.join(words)}")


class Ranges(NamedTuple):
    """Holds one row of a figure of intervals.

    Attributes:
        label: the text at the row's left.
        of_names: by name a value, and the lower and the upper end of its interval.
    """

    label: str
    of_names: Mapping[str, tuple[float, float, float]]


def plot_ranges(rows: Sequence[Ranges], x_label: str) -> str:
    """Draws values with their intervals: a row for each measure, and in it a point for each name.

    Args:
        rows: the rows, from the top down. All have the same names; the last of them gets the first colour.
        x_label: the label of the horizontal axis, with its unit.

    Returns:
        An `<svg>` element.
    """
    return _svg(draw_ranges(rows, x_label, _TEXT), f"{x_label}: {', '.join(row.label for row in rows)}")


def draw_ranges(rows: Sequence[Ranges], x_label: str, text_colour: str) -> Figure:
    """Draws the figure of `plot_ranges`, for a picture in a file.

    Args:
        rows: the rows, from the top down.
        x_label: the label of the horizontal axis, with its unit.
        text_colour: the colour of text and axes.
    """
    names = list(rows[0].of_names)
    colours = [*(COLOURS[-1 - i % len(COLOURS)] for i in range(len(names) - 1)), COLOURS[0]]
    figure = Figure(figsize=(_SIZE[0] * 1.5, 1.1 + 0.16 * len(rows) * (len(names) + 1)), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
        offset = 0.22 * (number - (len(names) - 1) / 2)
        for place, row in enumerate(rows):
            value, low, high = row.of_names[name]
            label = name.replace("$", r"\$") if not place else None
            axes.plot([low, high], [place + offset] * 2, color=colour, linewidth=1.8)
            axes.plot([value], [place + offset], "o", color=colour, markersize=4.5, label=label)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(x_label)
    axes.legend(frameon=False, labelcolor=text_colour, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.16))
    _take_text_colour(axes, text_colour)
    return figure


def _take_text_colour(axes: Axes, colour: str = _TEXT) -> None:
    """Gives the axes' text and lines a colour, by default the page's text colour."""
    axes.set_facecolor("none")
    axes.tick_params(colors=colour, which="both", labelsize=8)
    axes.xaxis.label.set_color(colour)
    axes.yaxis.label.set_color(colour)
    axes.grid(color=colour, alpha=0.15, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_color(colour)
        spine.set_visible(side in ("left", "bottom"))


def _svg(figure: Figure, title: str) -> str:
    """Renders the figure as an `<svg>` element. Text is kept as text, not drawn as shapes."""
    figure.patch.set_alpha(0.0)
    text = io.StringIO()
    # The salt makes ids of clip paths and markers differ between the figures of a page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_TEXT, "currentColor")
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"', 1)
