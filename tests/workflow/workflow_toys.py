"""Steps without science: what they make shows what it was made from, and a log tells who made it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, IntegralOdaError, NothingLeftError, UnavailableError
from integral_oda.workflow.graph import Node
from integral_oda.workflow.keys import digest

ERRORS: dict[str, type[IntegralOdaError]] = {
    "data": DataError,
    "nothing": NothingLeftError,
    "unavailable": UnavailableError,
}


@dataclass(frozen=True)
class Toy:
    """A step whose result lists its inputs and raw files.

    ``fails`` names an error to raise, ``log`` is a file that gets a line for each computation, ``seconds`` is the time
    that it takes; none of the three is part of the key.
    """

    name: str
    version: str = "1"
    tolerant: bool = False
    fails: str = ""
    log: Path | None = None
    seconds: float = 0.0
    bytes: int = 0

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Any:
        texts = {name: path.read_text(encoding="utf-8") for name, path in raw.items()}
        value = {"step": self.name, "parameters": dict(parameters), "inputs": list(inputs), "raw": texts}
        value = json.loads(json.dumps(value))
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"{os.getpid()} {self.name} {digest(value)}\n")
        time.sleep(self.seconds)
        if self.fails:
            raise ERRORS[self.fails](f"{self.name} cannot be made")
        return value

    def save(self, value: Any, folder: Path) -> None:
        (folder / "value.json").write_text(json.dumps(value), encoding="utf-8")
        with (folder / "bulk.bin").open("wb", buffering=0) as stream:
            for start in range(0, self.bytes, 4096):
                stream.write(self.name.encode()[:1] * min(4096, self.bytes - start))

    def load(self, folder: Path) -> Any:
        return json.loads((folder / "value.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Computed:
    """A step made of a function of its inputs."""

    name: str
    function: Callable[..., Any]
    version: str = "1"
    tolerant: bool = False
    retries: int = 0

    def compute(self, inputs: Sequence[Any], *_: Any) -> Any:
        return self.function(inputs)

    def save(self, value: Any, folder: Path) -> None:
        (folder / "value.json").write_text(json.dumps(value), encoding="utf-8")

    def load(self, folder: Path) -> Any:
        return json.loads((folder / "value.json").read_text(encoding="utf-8"))


def image_query(
    folder: Path,
    windows: Sequence[str] = ("w1", "w2", "w3"),
    *,
    band: tuple[float, float] = (28.0, 80.0),
    time_bin: float | None = None,
    catalogue: Sequence[str] = ("Crab",),
    bad: Sequence[str] = (),
    **toy: Any,
) -> Node:
    """The graph of an image query (of a light-curve query with a time bin) in the shape that the engines give it."""
    folder.mkdir(parents=True, exist_ok=True)
    gathered = []
    for scw in windows:
        events = folder / f"{scw}.events"
        if not events.exists():
            events.write_text(f"events of {scw}", encoding="utf-8")
        cor = Node(Toy("COR", fails="data" if scw in bad else "", **toy), scw, raw={"events": events})
        gti = Node(Toy("GTI", **toy), scw, inputs=(cor,))
        kind = "I" if time_bin is None else "T"
        cut = {"bands": [band]} if time_bin is None else {"bands": [band], "time_bin": time_bin}
        shadowgrams = Node(Toy(f"BIN_{kind}", **toy), scw, cut, (cor, gti))
        background = Node(Toy(f"BKG_{kind}", **toy), scw, inputs=(shadowgrams,))
        last = "IMA" if time_bin is None else "LCR"
        gathered.append(Node(Toy(last, **toy), scw, {"catalogue": list(catalogue)}, (shadowgrams, background)))
    joined = "MOSAIC" if time_bin is None else "LC"
    return Node(Toy(joined, tolerant=True, **toy), "all", inputs=tuple(gathered))


def computed_steps(events: Sequence[Any]) -> set[tuple[str, str]]:
    """Scope and step of what was computed, from the events that a listener collected."""
    return {(event.scope, event.step) for event in events if event.state == "computed"}


@dataclass(frozen=True)
class Gated(Toy):
    """A step that marks its begin with a file, and ends only when another file is there (or after a minute)."""

    folder: Path = Path()

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Any:
        aside = self.folder / f"aside-{parameters['number']}"
        aside.write_text(str(os.getpid()), encoding="utf-8")
        aside.replace(self.folder / f"begun-{parameters['number']}")
        deadline = time.monotonic() + 60
        while not (self.folder / "open").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return super().compute(inputs, parameters, raw)


@dataclass(frozen=True)
class Buggy(Toy):
    """A step with an error of the program."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Any:
        return 1 / 0


@dataclass(frozen=True)
class Unwritable(Toy):
    """A step that finds the disk full."""

    def save(self, value: Any, folder: Path) -> None:
        raise OSError(28, "No space left on device")


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so, and fail if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.02)
