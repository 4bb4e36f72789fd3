"""Draw a curve as an SVG picture; the same readings give the same bytes.

matplotlib is imported when something is drawn: the benchmarks themselves do without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Drawing(NamedTuple):
    """How a curve is drawn."""

    title: str
    x: str
    y: str


DRAWINGS = {
    "reload-rss": Drawing("Resident memory over reloads of one module", "reloads", "RSS in MB"),
    "wasm-rss": Drawing("Resident memory over loads and unloads of a WebAssembly component", "loads", "RSS in MB"),
}


def draw(name: str, readings: Sequence[tuple[float, float]], path: Path) -> None:
    """Draw the curve `name` into the file `path`."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    how = DRAWINGS[name]
    settings = {"svg.hashsalt": "hostcore", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    with mpl.rc_context(settings):
        figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
        axes.plot(*zip(*readings, strict=True), linewidth=1.2, color="#3f51b5")
        axes.set(title=how.title, xlabel=how.x, ylabel=how.y, xlim=(readings[0][0], readings[-1][0]))
        axes.set_ylim(0, 1.25 * max(value for _, value in readings))
        axes.grid(visible=True, linewidth=0.4)
        axes.spines[["top", "right"]].set_visible(False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
