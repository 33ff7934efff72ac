"""Picture of rates of two engines: both above, their ratios and pulls below."""

from __future__ import annotations

from pathlib import Path

from integral_oda.products.comparison import Sequences
from integral_oda.products.fits_io import write_aside

__all__ = ["draw_sequences"]


def draw_sequences(
    path: str | Path, compared: Sequences, engines: tuple[str, str], title: str, label: str, *, logarithmic: bool
) -> None:
    """Draw a spectrum or a light curve of two engines.

    Parameters
    ----------
    path : str or Path
    compared : Sequences
    engines : tuple of str
    title, label : str
        Of the picture and of its horizontal axis.
    logarithmic : bool
        Whether that axis is.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    style = {"linestyle": "none", "markersize": 3, "capsize": 0}
    above.errorbar(compared.place, compared.first, compared.first_error, marker="o", label=engines[0], **style)
    above.errorbar(compared.place, compared.second, compared.second_error, marker="s", label=engines[1], **style)
    above.axhline(0, color="grey", linewidth=0.5)
    above.set(ylabel="counts/s", title=title)
    above.legend(frameon=False)
    middle.errorbar(compared.place, *compared.ratios, marker="o", color="black", **style)
    middle.axhline(1, color="grey", linewidth=0.5)
    middle.set(ylabel=f"{engines[1]} / {engines[0]}")
    below.plot(compared.place, compared.pulls, "k.", markersize=4)
    below.axhline(0, color="grey", linewidth=0.5)
    below.set(xlabel=label, ylabel="pull", xscale="log" if logarithmic else "linear")
    if not logarithmic:
        below.ticklabel_format(axis="x", useOffset=False)
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})
