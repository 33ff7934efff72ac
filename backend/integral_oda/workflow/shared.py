"""A store that a team shares: results behind any fsspec URL (S3, SSH, ...), with a local store before it.

What is looked for is taken from the local store, else fetched and checked; what is computed lands in both. A result is
written into a folder of its own and becomes visible by one small object, ``index/<first two digits>/<key>.json``, that
is written last: it names the folder and holds the manifest. Locks and pruning are those of the local store.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from integral_oda.errors import DataError, OutputError, RequestError, UnavailableError
from integral_oda.folders import store_root
from integral_oda.workflow.graph import Task
from integral_oda.workflow.keys import digest
from integral_oda.workflow.locks import Lease
from integral_oda.workflow.manifest import MANIFEST_NAME, read_manifest
from integral_oda.workflow.store import Signer, Store, remove_tree

__all__ = ["SharedStore", "open_store"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")
_TRIES = 3
_WAIT_S = 0.5

Answer = TypeVar("Answer")


def open_store(root: str | Path) -> Store:
    """Open a store by its folder, or by an fsspec URL such as ``s3://bucket/store``.

    Parameters
    ----------
    root : str or Path
        Folder or URL. What comes from a URL is kept in the user's cache folder too.

    Raises
    ------
    RequestError
        When nothing can open such a URL.
    OutputError
        When the folder cannot be made.
    """
    if isinstance(root, str) and _URL.fullmatch(root):
        return SharedStore(root, store_root() / "shared" / digest(root.rstrip("/"))[:16])
    return Store(root)


class SharedStore(Store):
    """A store behind a URL, with a local one before it.

    Parameters
    ----------
    url : str
        Where the shared results lie.
    cache : Path
        Root of the local store.

    Raises
    ------
    RequestError
        When nothing can open such a URL.
    UnavailableError
        When fsspec, or what it needs for the URL, is not installed.
    """

    def __init__(self, url: str, cache: Path) -> None:
        super().__init__(cache)
        self.url = url.rstrip("/")
        try:
            self._files, self._base = import_module("fsspec.core").url_to_fs(self.url)
        except ImportError as exc:
            raise UnavailableError(f"the store {url} needs: pip install 'integral-oda[remote]' ({exc})") from exc
        except ValueError as exc:
            raise RequestError("store", url, f"a folder, or a URL that fsspec opens ({exc})") from exc

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedStore, (self.url, self.root)

    def find(self, key: str, lease: Lease | None = None) -> Path | None:
        """Find a result here, or fetch it; see `Store.find`."""
        return super().find(key, lease) or (super().find(key, lease) if self._fetch(key) else None)

    def peek(self, key: str) -> bool:
        """Whether a result is here or in the shared store, without fetching it."""
        return super().peek(key) or self._pointer(key) is not None

    def save(
        self, task: Task, value: Any, seconds: float, lease: Lease | None = None, sign: Signer | None = None
    ) -> Path:
        """Keep a result here and in the shared store; see `Store.save`."""
        folder = super().save(task, value, seconds, lease, sign)
        try:
            _insist(lambda: self._publish(task.key, folder))
        except OSError as exc:
            raise OutputError(f"the store {self.url} cannot be written: {exc.strerror or exc}") from exc
        return folder

    def _pointer_path(self, key: str) -> str:
        return f"{self._base}/index/{key[:2]}/{key}.json"

    def _pointer(self, key: str) -> dict[str, Any] | None:
        try:
            content = _insist(lambda: self._files.cat_file(self._pointer_path(key)))
            pointer = json.loads(content)
            return pointer if isinstance(pointer["folder"], str) and isinstance(pointer["manifest"], str) else None
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise UnavailableError(f"the store {self.url} cannot be read: {exc.strerror or exc}") from exc
        except (ValueError, KeyError, TypeError):
            return None

    def _fetch(self, key: str) -> bool:
        """Bring a result here; a damaged one counts as not there, and is written over when it is made again."""
        pointer = self._pointer(key)
        if pointer is None:
            return False
        aside = self.root / "aside" / f"fetch-{uuid.uuid4().hex}"
        with self.lock(aside.name).hold():
            try:
                aside.mkdir()
                self._download(pointer, aside)
                self._checked(key, aside)
                self._put_unless_there(aside, key)
            except (DataError, FileNotFoundError):
                return False
            except OSError as exc:
                raise UnavailableError(f"the store {self.url} cannot be fetched from: {exc.strerror or exc}") from exc
            finally:
                remove_tree(aside)
        return True

    def _download(self, pointer: dict[str, Any], aside: Path) -> None:
        (aside / MANIFEST_NAME).write_text(pointer["manifest"], encoding="utf-8")
        for name in read_manifest(aside).files:
            target = aside / name
            if not target.resolve().is_relative_to(aside.resolve()):
                raise DataError(f"the result has a file {name!r} outside its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            source = f"{self._base}/{pointer['folder']}/{name}"
            _insist(partial(self._files.get_file, source, str(target)))

    def _put_unless_there(self, aside: Path, key: str) -> None:
        folder = self.folder(key)
        folder.parent.mkdir(exist_ok=True)
        if not folder.exists():
            aside.rename(folder)

    def _publish(self, key: str, folder: Path) -> None:
        manifest = read_manifest(folder)
        place = f"objects/{key[:2]}/{key}/{uuid.uuid4().hex}"
        for name in manifest.files:
            target = f"{self._base}/{place}/{name}"
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(folder / name), target)
        text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
        self._files.makedirs(self._pointer_path(key).rpartition("/")[0], exist_ok=True)
        self._write_pointer(key, json.dumps({"folder": place, "manifest": text}))

    def _write_pointer(self, key: str, text: str) -> None:
        """Write the object that makes a result visible, aside first where a file may be seen half written."""
        path = self._pointer_path(key)
        aside = f"{path}.{uuid.uuid4().hex}"
        self._files.pipe_file(aside, text.encode("utf-8"))
        self._files.mv(aside, path)


def _insist(action: Callable[[], Answer]) -> Answer:
    """Try again when the network fails; what is not there is not there."""
    for attempt in range(_TRIES - 1):
        try:
            return action()
        except FileNotFoundError:
            raise
        except OSError:
            time.sleep(_WAIT_S * 2**attempt)
    return action()
