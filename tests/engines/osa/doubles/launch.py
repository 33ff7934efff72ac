"""What every executable of the installation of doubles runs; the steps' libraries are loaded when they are needed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import frame
import helpers


def find(name):
    if name in helpers.TABLE:
        return helpers.TABLE[name]
    import source_steps
    import steps

    return (steps.TABLE | source_steps.TABLE)[name]


frame.run(sys.argv[1], sys.argv[2:], find)
