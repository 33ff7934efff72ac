"""A real HTTP server on loopback that serves a folder as public archives do, and misbehaves on demand."""

from __future__ import annotations

import hashlib
import html
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class ArchiveServer:
    """Serves a folder; ``misbehave(name, what, ...)`` makes the next requests for files of that name go wrong.

    What can go wrong: ``cut:FRACTION`` (the connection ends there), ``stall:FRACTION`` (no more bytes come),
    ``404``, ``503``, ``503:SECONDS`` (Retry-After), ``short`` (fewer bytes, and a length that says so),
    ``long`` (a length of more bytes than there are), ``html``, ``no-range``, ``wrong-range``, ``swapped`` (bytes that
    are not the file's), ``digest`` (a checksum of another file), ``good``.
    """

    def __init__(self, root: Path, *, digests: bool = False) -> None:
        self.root, self.digests = root, digests
        self.plans: dict[str, list[str]] = defaultdict(list)
        self.requests: list[tuple[str, str, str]] = []
        self.sent: dict[str, int] = defaultdict(int)
        self.stall_s = 3.0
        self.rate: float | None = None
        self.etags = True
        handler = type("Handler", (_Handler,), {"archive": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def misbehave(self, name: str, *what: str) -> None:
        self.plans[name] += what

    def gets(self, name: str) -> list[str]:
        """Range headers of the requests for files of a name."""
        return [ranged for method, path, ranged in self.requests if method == "GET" and path.endswith(name)]


class _Handler(BaseHTTPRequestHandler):
    archive: ArchiveServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        path = self._path()
        if not path.is_file():
            return self._refuse(404)
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        return None

    def do_GET(self):
        path = self._path()
        self.archive.requests.append(("GET", self.path, self.headers.get("Range", "")))
        plan = self.archive.plans.get(path.name)
        what = plan.pop(0) if plan else "good"
        kind, _, detail = what.partition(":")
        if kind in ("404", "503") or not path.exists():
            return self._refuse(int(kind) if kind.isdigit() else 404, detail)
        content = self._listing(path) if path.is_dir() else path.read_bytes()
        return self._send(path, content, kind, detail)

    def _path(self) -> Path:
        return self.archive.root / unquote(urlsplit(self.path).path).strip("/")

    def _refuse(self, status: int, wait: str = "") -> None:
        body = b"<html>not now</html>"
        self.send_response(status)
        if wait:
            self.send_header("Retry-After", wait)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _listing(self, folder: Path) -> bytes:
        names = sorted(f"{p.name}/" if p.is_dir() else p.name for p in folder.iterdir())
        rows = "".join(f'<a href="{html.escape(name)}">{name}</a> 2020-01-01 12:00 1.2M\n' for name in names)
        return f'<html><h1>Index</h1><a href="?C=N">Name</a> <a href="../">Parent</a>\n{rows}</html>'.encode()

    def _send(self, path: Path, content: bytes, kind: str, detail: str) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if kind == "html":
            content, tag = b"<html><body>The archive is being maintained.</body></html>", ""
        if kind == "swapped":
            content = content[: len(content) // 2] + bytes(reversed(content[len(content) // 2 :]))
        first = self._first(tag, kind)
        body = content[first:]
        if kind == "short":
            body = body[: len(body) * 2 // 3]
        self.send_response(206 if first or kind == "wrong-range" else 200)
        if first or kind == "wrong-range":
            begin = first + 7 if kind == "wrong-range" else first
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body) + (1000 if kind == "long" else 0)))
        if tag and self.archive.etags:
            self.send_header("ETag", tag)
        if path.is_file() and (self.archive.digests or kind == "digest"):
            self.send_header("Repr-Digest", f"sha-256=:{_digest(content if kind != 'digest' else b'other')}:")
        self.end_headers()
        self._body(path, body, kind, detail)

    def _first(self, tag: str, kind: str) -> int:
        ranged = self.headers.get("Range", "")
        if not ranged or kind in ("no-range", "html"):
            return 0
        if self.headers.get("If-Range", tag) != tag:
            return 0
        return int(ranged.removeprefix("bytes=").partition("-")[0])

    def _body(self, path: Path, body: bytes, kind: str, detail: str) -> None:
        count = int(len(body) * float(detail)) if kind in ("cut", "stall") else len(body)
        try:
            for at in range(0, count, 65536):
                piece = body[at : min(at + 65536, count)]
                self.wfile.write(piece)
                self.archive.sent[path.name] += len(piece)
                if self.archive.rate:
                    time.sleep(len(piece) / self.archive.rate)
            self.wfile.flush()
        except OSError:
            pass
        if kind == "stall":
            time.sleep(self.archive.stall_s)
        if kind in ("cut", "stall", "long"):
            self.close_connection = True


def _digest(content: bytes) -> str:
    import base64

    return base64.b64encode(hashlib.sha256(content).digest()).decode()
