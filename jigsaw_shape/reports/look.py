"""The look of all figures; each model or method has a colour and a mark of its own."""

import math
import textwrap
from collections.abc import Iterable, Mapping

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito, which colour-blind readers tell apart; the first is kept for humans.
HUMAN = "#D55E00"
NETWORK = "#8C8C8C"
_MODELS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
_MARKS = ("D", "s", "^", "v", "P", "X", "h")
INK, FAINT = "#222222", "#DDDDDD"

_LOOK = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 9.5,
    "axes.edgecolor": "#666666",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "svg.fonttype": "path",
    "svg.hashsalt": "jigsaw_shape",
}


def look():
    """Returns the context in which figures are made and encoded."""
    return matplotlib.rc_context(_LOOK)


class Looks(dict):
    """Colour and mark of each model or method by name, the same in all figures."""

    def __init__(self, models: Iterable[str]):
        """Gives the models their looks in their order.

        From the eighth on colours come again, with other marks: the first 49 differ.
        """
        super().__init__(
            (name, (_MODELS[n % 7], _MARKS[(n + n // 7) % 7]))
            for n, name in enumerate(models)
        )


def of(row: Mapping, looks: Looks) -> tuple[str, str]:
    """Returns colour and mark of a row's `model` and `group`."""
    if row["group"] == "human":
        return HUMAN, "o"
    if row["group"] == "network":
        return NETWORK, "d"
    return looks[row["model"]]


def number(value: float | None) -> float:
    """Returns a row's number for drawing: nan, which is not drawn, for null."""
    return math.nan if value is None else float(value)


def two_lines(name: str, width: int = 36) -> str:
    """Returns a name in two lines at most, of `width`: its start and its end."""
    lines = textwrap.wrap(name, width) or [""]
    if len(lines) > 2:
        lines = [name[:width], "…" + name[1 - width :]]
    return "\n".join(lines)


def caption(figure: Figure, text: str, width: int = 110) -> None:
    """Writes a remark below everything."""
    if text:
        figure.supxlabel(
            textwrap.fill(text, width), fontsize=8, color="#555555", x=0.01, ha="left"
        )


def legend_above(figure: Figure, *panels: Axes) -> None:
    """Puts one legend of all panels over the figure, as wide as fits."""
    handles = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(two_lines(label, 60), handle)
    if handles:
        lines = [line for label in handles for line in label.splitlines()]
        entry = 0.6 + 0.075 * max(map(len, lines))  # inches, about
        columns = max(1, min(int(figure.get_figwidth() / entry), len(handles)))
        figure.legend(
            handles.values(), handles, loc="outside upper center", ncols=columns
        )
