"""Kernels as pictures: one panel a kernel, examples sorted by class."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

INK = "#23272e"


def draw_kernels(kernels: dict[str, np.ndarray], labels: np.ndarray, path: Path) -> Path:
    """Write `path`: for each kernel the correlations K(x, x') / sqrt(K(x, x) K(x', x')), by class.

    Arguments: kernels, name to an (n, n) matrix; labels, the (n,) digits. Returns `path`.
    """
    order = np.argsort(labels, kind="stable")
    classes, starts = np.unique(labels[order], return_index=True)
    edges = np.append(starts, len(labels))
    middles = (edges[:-1] + edges[1:] - 1) / 2

    with mpl.rc_context({"font.family": "DejaVu Sans", "text.color": INK, "axes.edgecolor": INK}):
        figure = Figure(figsize=(13, 6.2), dpi=130, layout="constrained")
        figure.suptitle(
            f"{len(labels):,} handwritten digits seen by an infinitely wide attention network",
            fontsize=14,
        )
        for axes, (name, kernel) in zip(
            figure.subplots(1, len(kernels)), kernels.items(), strict=True
        ):
            scale = np.sqrt(np.diag(kernel))
            correlation = (kernel / np.outer(scale, scale))[np.ix_(order, order)]
            # The darkest colour is the lowest hundredth: outliers would wash the classes out.
            low = float(np.quantile(correlation, 0.01))
            image = axes.imshow(
                correlation, cmap="magma", vmin=low, vmax=1, interpolation="antialiased"
            )
            for edge in starts[1:]:
                axes.axhline(edge - 0.5, color="white", linewidth=0.5, alpha=0.5)
                axes.axvline(edge - 0.5, color="white", linewidth=0.5, alpha=0.5)
            axes.set_xticks(middles, [str(c) for c in classes])
            axes.set_yticks(middles, [str(c) for c in classes])
            axes.tick_params(length=0, labelsize=11, colors=INK)
            axes.set_title(
                f"{name.upper()}: correlation of every pair, by digit", fontsize=12, pad=8
            )
            for side in axes.spines.values():
                side.set_visible(False)
            bar = figure.colorbar(image, ax=axes, shrink=0.82, pad=0.02, extend="min")
            bar.outline.set_visible(False)
            bar.ax.tick_params(length=0, colors=INK)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    return path
