"""preview.png: each kernel as a heatmap, with its spectrum beside it."""

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# The picture brings its own background, so that it reads the same on light and dark pages.
PAPER, INK, ACCENT, WARNING = "#fbfbfa", "#24292f", "#1f6feb", "#c4320a"
DPI = 110


@dataclass(frozen=True)
class Panel:
    """One kernel: its name, the values shown, the shape of the whole, its spectrum (descending)."""

    name: str
    values: np.ndarray
    shape: tuple[int, int]
    spectrum: np.ndarray


def draw(panels: list[Panel], symmetric: bool) -> bytes:
    """A PNG image, one row of axes a kernel.

    Uses Matplotlib's objects alone: pyplot keeps global state, and worker threads share it.
    """
    figure = Figure(figsize=(9, 3.7 * len(panels)), dpi=DPI, facecolor=PAPER, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 2, squeeze=False, width_ratios=(1, 1.15))
    for (heat, spectrum), panel in zip(axes, panels, strict=True):
        rows, cols = panel.shape
        image = heat.imshow(
            panel.values,
            cmap="viridis",
            # The axes count rows of the whole, however many of them are shown.
            extent=(-0.5, cols - 0.5, rows - 0.5, -0.5),
            aspect="equal" if max(rows, cols) < 4 * min(rows, cols) else "auto",
        )
        bar = figure.colorbar(image, ax=heat, fraction=0.046, pad=0.03)
        bar.outline.set_edgecolor(INK)
        bar.ax.tick_params(colors=INK, labelsize=8)
        shown = panel.values.shape
        less = "" if shown == panel.shape else f", {shown[0]} x {shown[1]} evenly spaced"
        _title(heat, f"{panel.name}, {rows} x {cols}{less}")
        heat.set_xlabel("row of x2" if not symmetric else "row of x1", color=INK, fontsize=9)
        heat.set_ylabel("row of x1", color=INK, fontsize=9)
        for axis in (heat.xaxis, heat.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
        _spectrum(spectrum, panel, symmetric)
        for each in (heat, spectrum):
            each.set_facecolor(PAPER)
            each.tick_params(colors=INK, labelsize=8)
            for spine in each.spines.values():
                spine.set_edgecolor(INK)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def _spectrum(axes: Axes, panel: Panel, symmetric: bool) -> None:
    values = panel.spectrum
    place = np.arange(1, len(values) + 1)
    positive = values > 0
    axes.plot(place[positive], values[positive], ".-", color=ACCENT, ms=3, lw=1)
    if not positive.all():
        axes.plot(place[~positive], -values[~positive], "x", color=WARNING, ms=4, label="negative")
        axes.legend(loc="upper right", fontsize=8, labelcolor=INK, frameon=False)
    if positive.any():
        axes.set_yscale("log")
    axes.grid(True, which="major", color=INK, alpha=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("number, from the largest", color=INK, fontsize=9)
    what = "eigenvalues" if symmetric else "singular values"
    sampled = panel.values.shape != panel.shape
    _title(axes, f"{what} of what is shown" if sampled else what)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, color=INK, fontsize=10)
