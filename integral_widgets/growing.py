"""The mosaic of the science windows done so far, made in a process of its own while a job is at work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from integral_oda.background import query_of
from integral_oda.errors import IntegralOdaError
from integral_oda.workflow.jobs import Job

if TYPE_CHECKING:
    from integral_oda.products.sky_image import SkyImage
    from integral_oda.products.source_list import Source

__all__ = ["Growing", "PartialImage", "main"]

IMAGES, STATE = "partial.fits", "partial.json"
_LOOK_S = 1.0
_PATIENCE = 5.0
"""A partial mosaic is made again after this many times what it took: it must not slow the job down."""


@dataclass(frozen=True)
class PartialImage:
    """What a job has by now.

    Attributes
    ----------
    image : SkyImage
        Of the first band.
    sources : tuple of Source
    windows, asked : int
        Science windows in it, and how many it will have.
    """

    image: SkyImage
    sources: tuple[Source, ...]
    windows: int
    asked: int


class Growing:
    """Partial mosaics of a job.

    Parameters
    ----------
    job : Job
        Of an image query.
    folder : Path
        Where they are written.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._shown = 0

    def start(self) -> None:
        """Begin; the process ends with the job, with `stop`, and with the page."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "integral_widgets.growing", str(self.job.folder), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def news(self) -> PartialImage | None:
        """The mosaic where it has grown since it was asked for last, else None."""
        from integral_oda.products.sky_image import read_sky_images
        from integral_oda.products.source_list import source_from_dict

        path = self.folder / STATE
        if not path.exists():
            return None
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["windows"] == self._shown:
            return None
        self._shown = state["windows"]
        image = read_sky_images(self.folder / state["file"])[0]
        sources = tuple(source_from_dict(values) for values in state["sources"])
        return PartialImage(image, sources, state["windows"], state["asked"])

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


def main(arguments: Sequence[str]) -> int:
    """Make partial mosaics of the job of a folder until it is over."""
    job, out = Job(Path(arguments[0])), Path(arguments[1])
    _end_with_the_page()
    shown, pause = 0, _LOOK_S
    while not job.state().is_over:
        started = time.monotonic()
        try:
            shown = _make(job, out, shown)
        except IntegralOdaError as exc:
            # Nothing is lost: the job itself tells what is wrong, and another look may find more.
            sys.stderr.write(f"{exc}\n")
        pause = max(_LOOK_S, _PATIENCE * (time.monotonic() - started))
        time.sleep(pause)
    return 0


def _end_with_the_page() -> None:
    """End as soon as the other end of standard input is closed."""
    import os
    import threading

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _make(job: Job, out: Path, shown: int) -> int:
    """Write the mosaic of what is done if that is more than was shown; gives the number of windows."""
    from integral_oda.analysis import result_so_far
    from integral_oda.products.sky_image import write_sky_images

    request = job.state().request
    found = result_so_far(query_of(request["kind"], request["query"]), Path(request["archive"]), request["store"])
    if found is None or len(found.windows) <= shown or found.asked < 2:
        return shown
    name = f"{len(found.windows)}-{IMAGES}"
    write_sky_images(out / name, found.value.images[:1])
    state = {
        "file": name,
        "windows": len(found.windows),
        "asked": found.asked,
        "sources": [source.as_dict() for source in found.value.sources],
    }
    aside = out / f".{STATE}.part"
    aside.write_text(json.dumps(state), encoding="utf-8")
    aside.replace(out / STATE)
    return len(found.windows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
