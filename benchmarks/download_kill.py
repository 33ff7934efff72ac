"""A download of a real event file that is killed at every tenth of its length and gone on with.

python benchmarks/download_kill.py EVENT_FILE   writes reports/download_kill.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from integral_oda.archive.events import read_events

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "archive"))

from archive_server import ArchiveServer

REPORT = Path(__file__).resolve().parent / "reports" / "download_kill.json"
RATE = 40e6
CHILD = (
    "import sys\nfrom pathlib import Path\nfrom integral_oda.archive.download import download\n"
    "folder = Path(sys.argv[2])\ndownload(sys.argv[1], folder / 'tree' / Path(sys.argv[1]).name, folder / 'parts')\n"
)


def kill_and_resume(source: Path, folder: Path) -> dict[str, Any]:
    """Kill a process nine times while the file comes, and let the tenth end."""
    served = folder / "served"
    served.mkdir()
    shutil.copyfile(source, served / source.name)
    size = source.stat().st_size
    seen_in_tree, received = [], []
    with ArchiveServer(served) as server:
        server.rate = RATE
        command = [sys.executable, "-c", CHILD, f"{server.url}/{source.name}", str(folder)]
        for tenth in range(1, 10):
            child = subprocess.Popen(command)
            while sum(p.stat().st_size for p in folder.glob("parts/*.part")) < tenth / 10 * size:
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
            child.wait()
            received.append(round(sum(p.stat().st_size for p in folder.glob("parts/*.part")) / size, 4))
            seen_in_tree.append(len(list(folder.glob("tree/*"))))
        last = subprocess.run(command, check=False).returncode
        requests = server.gets(source.name)
        sent = server.sent[source.name]
    arrived = folder / "tree" / source.name
    same = hashlib.sha256(arrived.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    return {
        "file_bytes": size, "killed_at": received, "files_in_tree_after_each_kill": seen_in_tree,
        "last_exit_status": last, "same_sha256": same, "events_read": len(read_events(arrived)),
        "requests": len(requests), "resumed_requests": sum(r.startswith("bytes=") for r in requests),
        "sent_over_size": round(sent / size, 3),
    }  # fmt: skip


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    folder = Path(tempfile.mkdtemp())
    try:
        report = kill_and_resume(parser.parse_args().file, folder)
    finally:
        shutil.rmtree(folder)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
