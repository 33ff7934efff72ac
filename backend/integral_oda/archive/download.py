"""One file over HTTP: resumed where it broke off, checked, and given its name only when it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from integral_oda.archive.fits_table import read_hdus
from integral_oda.errors import DataError, OutputError, UnavailableError
from integral_oda.folders import is_offline

if TYPE_CHECKING:
    import requests
    import tenacity

__all__ = ["PATIENT", "AbsentError", "Policy", "download", "get_text", "remote_size"]

_CHUNK = 1 << 16
_PARTIAL, _WHOLE, _ABSENT, _BAD_RANGE = 206, 200, (404, 410), 416
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}


class AbsentError(UnavailableError):
    """The server says that there is no such file."""


class _PassingError(Exception):
    """What may go better the next time; ``wait_s`` is what the server asked for."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Policy:
    """How patient downloads are; the one policy of every request.

    Attributes
    ----------
    attempts : int
        How often in a row a request may bring nothing before it is given up.
    first_wait_s, longest_wait_s : float
        Wait after the first failure, doubled each time up to the longest, which also bounds what a server asks for.
    connect_s, stall_s : float
        Longest wait for a connection, and for the next bytes.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    connect_s: float = 10.0
    stall_s: float = 60.0


PATIENT = Policy()


def get_text(url: str, policy: Policy = PATIENT) -> str:
    """Get a page, such as the listing of a folder.

    Raises
    ------
    AbsentError
        If there is no such page.
    UnavailableError
        If the server cannot be reached or does not answer well, or the network is not to be used.
    """

    def once() -> str:
        with _request("GET", url, policy) as answer:
            _refuse_status(answer)
            text: str = answer.text
            return text

    return _patiently(url, once, policy)


def remote_size(url: str, policy: Policy = PATIENT) -> int | None:
    """Size of a file in bytes, None where the server does not say.

    Raises
    ------
    AbsentError, UnavailableError
        As for `get_text`.
    """

    def once() -> int | None:
        with _request("HEAD", url, policy) as answer:
            _refuse_status(answer)
            return _number(answer.headers.get("Content-Length"))

    return _patiently(url, once, policy)


def download(
    url: str,
    target: Path,
    parts: Path,
    policy: Policy = PATIENT,
    check: Callable[[Path], None] | None = None,
    told: Callable[[int], None] | None = None,
) -> Path:
    """Get a file; what an earlier attempt left is gone on with.

    Parameters
    ----------
    url : str
        What to get.
    target : Path
        Where it goes; it appears there whole and checked, or not at all.
    parts : Path
        Folder on the same disk for what is not whole yet.
    policy : Policy
        How patient to be.
    check : callable, optional
        Raises `DataError` if a file is not what it should be; that it is a FITS file unless given.
    told : callable, optional
        Told the number of bytes as they come.

    Raises
    ------
    AbsentError
        If there is no such file.
    UnavailableError
        If the server cannot be reached or breaks off again and again, or the network is not to be used.
    DataError
        If what comes again and again is not the file that is meant.
    OutputError
        If it cannot be written.
    """
    try:
        parts.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = parts / f"{hashlib.sha256(url.encode()).hexdigest()[:24]}.part"
        with part.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # another process may be at the same file
            if not _is_same(stream, part):  # that other one has finished it
                return target if target.exists() else download(url, target, parts, policy, check, told)
            transfer = _Transfer(url, part, stream, policy, check or _is_fits, told or _tell_nobody)
            _patiently(url, transfer.go_on, policy, lambda: part.stat().st_size)
            stream.flush()
            os.fsync(stream.fileno())
            part.replace(target)
            transfer.note.unlink(missing_ok=True)
    except OSError as exc:
        raise OutputError(f"{target}: cannot be written ({exc.strerror or exc})") from exc
    return target


def _is_same(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.fstat(stream.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _tell_nobody(count: int) -> None:
    """Report to nobody."""


def _is_fits(path: Path) -> None:
    read_hdus(path)


class _Transfer:
    """A file on its way, in one attempt or in several."""

    def __init__(
        self,
        url: str,
        part: Path,
        stream: IO[bytes],
        policy: Policy,
        check: Callable[[Path], None],
        told: Callable[[int], None],
    ) -> None:
        self.url, self.part, self.stream, self.policy, self.check, self.told = url, part, stream, policy, check, told
        self.note = part.with_suffix(".from")

    def go_on(self) -> None:
        """Get what is missing, and check the whole."""
        have = self.part.stat().st_size
        mark = self.note.read_text(encoding="utf-8") if self.note.exists() else ""
        headers = {"Range": f"bytes={have}-", "If-Range": mark} if have and mark else {}
        with _request("GET", self.url, self.policy, headers) as answer:
            if answer.status_code == _BAD_RANGE:
                self._forget()
                raise _PassingError("the file on the server has changed")
            _refuse_status(answer)
            total = self._begin(answer, have)
            self._receive(answer)
            self._check(answer, total)

    def _begin(self, answer: requests.Response, have: int) -> int | None:
        """Place the file for what comes; says how long the whole is to be, None if the server does not."""
        length = _number(answer.headers.get("Content-Length"))
        if answer.status_code == _PARTIAL:
            first, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if _number(first.partition("-")[0]) == have:
                return _number(total)
            self._forget()
            raise _PassingError(f"asked for bytes from {have} on, the server sends {first or 'others'}")
        self._forget()
        mark = answer.headers.get("ETag", "")
        mark = answer.headers.get("Last-Modified", "") if mark.startswith("W/") or not mark else mark
        self.note.write_text(mark, encoding="utf-8")
        return length

    def _forget(self) -> None:
        self.stream.truncate(0)
        self.note.unlink(missing_ok=True)

    def _receive(self, answer: requests.Response) -> None:
        # As they are sent: a server that calls a .gz file's compression its content's must not have it unpacked.
        for chunk in answer.raw.stream(_CHUNK, decode_content=False):
            self.stream.write(chunk)
            self.stream.flush()
            self.told(len(chunk))

    def _check(self, answer: requests.Response, total: int | None) -> None:
        size = self.part.stat().st_size
        if total is not None and size < total:
            raise _PassingError(f"broken off after {size} of {total} bytes")
        try:
            if total is not None and size > total:
                raise DataError(f"{size} bytes, {total} are expected")
            _compare_digests(self.part, answer.headers)
            self.check(self.part)
        except DataError as exc:
            self._forget()
            raise _PassingError(_without_path(exc, self.part)) from exc


def _without_path(exc: DataError, part: Path) -> str:
    return str(exc).removeprefix(f"{part}: ")


def _compare_digests(path: Path, headers: Any) -> None:
    """Compare with every checksum that the server publishes (RFC 9530, RFC 3230, Content-MD5)."""
    for kind, wanted in _published(headers).items():
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, kind).digest()
        if found != wanted:
            raise DataError(f"{kind} is {found.hex()}, the server says {wanted.hex()}")


def _published(headers: Any) -> dict[str, bytes]:
    import base64
    import binascii

    stated = [("md5", headers["Content-MD5"])] if "Content-MD5" in headers else []
    for name in ("Repr-Digest", "Digest"):
        stated += [tuple(item.strip().split("=", 1)) for item in headers.get(name, "").split(",") if "=" in item]
    found = {}
    for kind, value in stated:
        if kind.lower() in _DIGESTS:
            try:
                found[_DIGESTS[kind.lower()]] = base64.b64decode(value.strip(": "), validate=True)
            except binascii.Error:
                continue
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


_local = threading.local()


def _request(method: str, url: str, policy: Policy, headers: dict[str, str] | None = None) -> Any:
    """Make one request; a session a thread keeps connections."""
    import requests

    if is_offline():
        raise UnavailableError(f"{url}: the network is not to be used (INTEGRAL_ODA_OFFLINE)")
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
        _local.session.headers["Accept-Encoding"] = "identity"
    timeout = (policy.connect_s, policy.stall_s)
    return _local.session.request(
        method, url, headers=headers, timeout=timeout, stream=method == "GET", allow_redirects=True
    )


def _refuse_status(answer: requests.Response) -> None:
    status = answer.status_code
    if status in (_WHOLE, _PARTIAL):
        return
    if status in _ABSENT:
        raise AbsentError(f"{answer.url}: not there (HTTP {status})")
    if status in _PASSING:
        raise _PassingError(f"HTTP {status}", float(_number(answer.headers.get("Retry-After")) or 0))
    raise UnavailableError(f"{answer.url}: refused (HTTP {status})")


def _patiently(url: str, once: Callable[[], Any], policy: Policy, progress: Callable[[], int] = lambda: 0) -> Any:
    """Try until it goes well; only attempts in a row that brought nothing count."""
    import requests
    import tenacity
    import urllib3

    passing = (_PassingError, requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError,
               urllib3.exceptions.HTTPError)  # fmt: skip
    fruitless, most = 0, progress()

    def stop(_: tenacity.RetryCallState) -> bool:
        nonlocal fruitless, most
        fruitless = 0 if progress() > most else fruitless + 1
        most = max(most, progress())
        return fruitless >= policy.attempts

    def wait(state: tenacity.RetryCallState) -> float:
        exc = state.outcome.exception() if state.outcome else None
        asked = exc.wait_s if isinstance(exc, _PassingError) else 0.0
        return min(policy.longest_wait_s, max(asked, policy.first_wait_s * 2.0 ** max(fruitless - 1, 0)))

    retrying = tenacity.Retrying(retry=tenacity.retry_if_exception_type(passing), stop=stop, wait=wait, reraise=True)
    try:
        return retrying(once)
    except _PassingError as exc:
        if isinstance(exc.__cause__, DataError):
            raise DataError(f"{url}: {exc}") from exc
        raise UnavailableError(f"{url}: {exc}; given up after {policy.attempts} attempts that brought nothing") from exc
    except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
        raise UnavailableError(f"{url}: {_plainly(exc)}; given up after {policy.attempts} attempts") from exc


def _plainly(exc: Exception) -> str:
    """Say what went wrong below HTTP."""
    import requests

    if isinstance(exc, requests.ReadTimeout) or "Read timed out" in str(exc):
        return "the server stalls"
    text = " ".join(str(exc).split())
    for sign, meaning in (("NameResolution", "no such host, or no network"), ("refused", "connection refused")):
        if sign in text:
            return f"cannot be reached ({meaning})"
    return f"{type(exc).__name__} ({text[:100]})"
