"""What the tutorials look at: the real sample window where it is, else one simulated in its place, and which it is."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from integral_oda.archive.sample import SAMPLE
from integral_oda.folders import archive_root

__all__ = ["TutorialWindow", "window_to_look_at"]


@dataclass(frozen=True)
class TutorialWindow:
    """A science window of an archive; shown in a notebook, it says whether it is an observation.

    Attributes
    ----------
    archive : Path
        Root of the archive.
    scw : str
        The science window, ``RRRRPPPPSSSF.VVV``.
    simulated : bool
        Whether it was drawn on this machine.
    """

    archive: Path
    scw: str
    simulated: bool

    def __str__(self) -> str:
        if self.simulated:
            return f"SIMULATED: science window {self.scw} was drawn on this machine, it is no observation."
        return f"Real data: science window {self.scw} of INTEGRAL/ISGRI (the sample)."

    def _repr_html_(self) -> str:
        colours = "background:#ffe08a;color:#3b2a00" if self.simulated else "background:#e3f0e3;color:#12340f"
        return f"<p style='padding:6px 10px;border-radius:4px;{colours}'>{html.escape(str(self))}</p>"


def window_to_look_at(archive: str | Path | None = None) -> TutorialWindow:
    """Name the sample's window where the archive has it; else simulate one of the same field there.

    Parameters
    ----------
    archive : str or Path, optional
        Root of the archive, else the user's.

    Raises
    ------
    OutputError
        If a window is to be simulated and the archive cannot be written.
    """
    root = Path(archive) if archive else archive_root()
    folder = Path(SAMPLE.folder)
    if (root / folder / Path(SAMPLE.member).name).is_file():
        return TutorialWindow(root, folder.name, simulated=False)
    from integral_oda.simulation.window import simulate_demo_window

    return TutorialWindow(root, str(simulate_demo_window(root)), simulated=True)
