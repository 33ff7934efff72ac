"""The HTTP interface under load: clients at once, latency of a known answer, memory, replies without a corrupted byte.

Two simulated windows, a real server in a process of its own. Three parts: twenty clients that ask for a known image
as fast as they can; fifty clients that ask for known and for new products for some minutes; hundreds of replies of an
image of more than 8 MB, read as the online system's client reads them and compared bit by bit.

Run: python benchmarks/service_load.py [--minutes 5] [--replies 500]; writes benchmarks/reports/service_load.json.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import json
import os
import pickle
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

REPORT = Path(__file__).resolve().parent / "reports" / "service_load.json"
PORT, TOKEN = 28866, "0123456789abcdef"
URL = f"http://127.0.0.1:{PORT}/integral-oda"
RECIPE = {
    "seed": 5,
    "pointings": [{"ra": 84.6, "dec": 22.0}, {"ra": 86.0, "dec": 23.5}],
    "duration_s": 300,
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 150}}],
}
SHARED = {"instrument": "isgri", "query_type": "Real", "token": TOKEN, "session_id": "S" * 16, "E1_keV": 20}


def ask(**fields: Any) -> dict[str, Any]:
    """Reply to one request."""
    body = urllib.parse.urlencode({**SHARED, "query_status": "new", **fields}, doseq=True).encode()
    with urllib.request.urlopen(f"{URL}/run_analysis", body, timeout=120) as reply:
        return json.loads(reply.read())


def run(**fields: Any) -> dict[str, Any]:
    """Reply to a request that is followed to its end, as the client does it."""
    reply = ask(**fields)
    while reply["query_status"] not in ("done", "failed"):
        time.sleep(1)
        known = {"job_id": reply["job_monitor"]["job_id"], "query_status": reply["query_status"]}
        reply = ask(**{**fields, **known})
    return reply


def known_answers(clients: int, image: dict[str, Any], each: int = 25) -> dict[str, float]:
    """Latency of a known answer, all clients at once, each asking without a pause."""

    def client(_: int) -> list[float]:
        seconds = []
        for _ in range(each):
            started = time.perf_counter()
            body = urllib.parse.urlencode({**SHARED, "query_status": "new", **image}, doseq=True).encode()
            with urllib.request.urlopen(f"{URL}/run_analysis", body, timeout=120) as reply:
                size = len(reply.read())
            seconds.append(time.perf_counter() - started)
            time.sleep(1 + random.random())
        return [*seconds, float(size)]

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(client, range(clients)))
    seconds = sorted(value for values in found for value in values[:-1])
    return {
        "clients": clients,
        "median_s": round(statistics.median(seconds), 4),
        "p99_s": round(seconds[int(0.99 * len(seconds))], 4),
        "reply_mb": round(found[0][-1] / 1e6, 2),
    }


def crowd(clients: int, minutes: float, windows: tuple[str, ...], server: psutil.Process) -> dict[str, Any]:
    """Clients that ask for known and for new products until the time is over."""
    end, lock = time.monotonic() + 60 * minutes, threading.Lock()
    told: dict[str, Any] = {"asked": 0, "done": 0, "errors": []}
    memory: list[float] = []

    def client(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            fields: dict[str, Any] = {"scw_list": windows[:1], "E2_keV": 40}
            fields |= {"product_type": "isgri_image"} if chance.random() < 0.7 else {"product_type": "isgri_lc"}
            if fields["product_type"] == "isgri_lc":
                fields["time_bin"] = chance.choice([20, 50, 100, 150, 200])
            with lock:
                told["asked"] += 1
            try:
                status = run(**fields)["query_status"]
            except (OSError, ValueError, KeyError) as exc:
                status = repr(exc)
            with lock:
                told["done"] += status == "done"
                told["errors"] += [] if status == "done" else [status]
            time.sleep(chance.random())

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append(server.memory_info().rss / 2**20)
        time.sleep(5)
    third = max(1, len(memory) // 3)
    return {
        **told,
        "clients": clients,
        "minutes": minutes,
        "memory_mb_first_third": round(max(memory[:third]), 1),
        "memory_mb_last_third": round(max(memory[-third:]), 1),
    }


def whole_replies(count: int, image: dict[str, Any]) -> dict[str, Any]:
    """Replies of a large image, decoded as the client decodes them, against the file of the server."""
    digests, size = set(), 0
    for _ in range(count):
        body = urllib.parse.urlencode({**SHARED, "query_status": "new", **image}, doseq=True).encode()
        with urllib.request.urlopen(f"{URL}/run_analysis", body, timeout=120) as reply:
            content = reply.read()
        size = len(content)
        read = ast.literal_eval(str(json.loads(content)).replace("null", "None"))
        total = hashlib.sha256()
        for unit in read["products"]["numpy_data_product_list"][0]["data_unit_list"]:
            if unit["binarys"] is not None:
                total.update(pickle.loads(base64.b64decode(unit["binarys"])).tobytes())
        digests.add(total.hexdigest())
    return {"replies": count, "reply_mb": round(size / 1e6, 2), "different": len(digests) - 1}


def main() -> None:
    """Start the server, load it, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--replies", type=int, default=500)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        windows = tuple(str(scw) for scw in simulate(make_recipe(RECIPE), Path(folder) / "archive"))
        command = [sys.executable, "-m", "integral_oda", "serve", "--headless", "--port", str(PORT)]
        roots = ["--archive", f"{folder}/archive", "--store", f"{folder}/store"]
        with Path(folder, "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [*command, *roots], stdout=log, stderr=log, env={**os.environ, "JUPYTER_TOKEN": TOKEN}
            )
        try:
            report = measure(windows, psutil.Process(process.pid), chosen)
        finally:
            process.terminate()
            process.wait()
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def measure(windows: tuple[str, ...], server: psutil.Process, chosen: argparse.Namespace) -> dict[str, Any]:
    """All three parts."""
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{URL}/instr-list", timeout=5)
            break
        except urllib.error.URLError:
            time.sleep(0.2)
    image = {"product_type": "isgri_image", "scw_list": windows, "E2_keV": 40}
    assert run(**image)["query_status"] == "done"
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "known_answer": known_answers(20, image),
        "crowd": crowd(50, chosen.minutes, windows, server),
        "replies": whole_replies(chosen.replies, image),
    }


if __name__ == "__main__":
    main()
