"""What the jobs of the tests do."""

import os
import subprocess
import sys
import time
from pathlib import Path

from workflow_toys import image_query, wait_for

from integral_oda.errors import RequestError
from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store


def image(request, out, listener, stop):
    """A toy query; it waits for a file if it is asked to."""
    folder = Path(request["folder"])
    with (folder / "runs").open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    if request.get("gate"):
        wait_for(lambda: stop.is_set() or (folder / "open").exists())
    target = image_query(folder, request["windows"])
    done = execute([target], Store(folder / "store"), listener, cancel=stop)
    if done.cancelled:
        return None
    (out / "mosaic.txt").write_text(str(len(done.values[target]["inputs"])))
    sys.stdout.write("all is well\n")
    return {"computed": done.computed}


def refuse(request, out, listener, stop):
    raise RequestError("band", request["band"], "15 to 1000 keV")


def stumble(request, out, listener, stop):
    return 1 / 0


def deaf(request, out, listener, stop):
    """Work with a process of its own that does not listen when it is told to stop."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (Path(request["folder"]) / "child").write_text(str(child.pid))
    time.sleep(60)
