"""Command lines that run an executable in a container: read-only data, one writable folder, nothing of the host's."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEFAULT_IMAGE", "RUNTIMES", "WORK", "Container", "Mount", "container_command", "stop_command"]

RUNTIMES = ("apptainer", "podman", "docker")
DEFAULT_IMAGE = "integralsw/osa:11.2"
"""Newest public tag of OSA."""
WORK = "/data/run"
"""Where the working directory lies inside."""
_INITIALISE = "if [ -r /init.sh ]; then . /init.sh >/dev/null; fi"
_PFILES = f'export PFILES="{WORK}/pfiles;$ISDC_ENV/pfiles:$HEADAS/syspfiles"'
_TEMPLATES = 'export CFITSIO_INCLUDE_FILES="$ISDC_ENV/templates"'


@dataclass(frozen=True)
class Mount:
    """A folder of the host that is seen inside, read-only."""

    source: Path
    target: str


@dataclass(frozen=True)
class Container:
    """What runs containers, and which image.

    Attributes
    ----------
    runtime : {"docker", "podman", "apptainer"}
    image : str
        Name with tag, or for Apptainer also a ``.sif`` file.
    """

    runtime: str
    image: str = DEFAULT_IMAGE


def container_command(
    container: Container,
    work: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    mounts: Sequence[Mount],
    folder: str = ".",
) -> list[str]:
    """Whole command line that runs a command in a container.

    Parameters
    ----------
    container : Container
    work : Path
        The one folder that is writable, seen as `WORK`; its name is the container's.
    command : sequence of str
        Executable and arguments, paths as they are inside.
    environment : mapping
        Variables that are set inside; none of the host's are.
    mounts : sequence of Mount
    folder : str
        Folder below ``work`` that the command runs in.
    """
    inside = WORK if folder == "." else f"{WORK}/{folder}"
    script = f'{_INITIALISE}; {_PFILES}; {_TEMPLATES}; cd {shlex.quote(inside)} && exec "$@"'
    shell = ["/bin/bash", "-c", script, "osa", *command]
    variables = [f"{name}={value}" for name, value in environment.items()]
    if container.runtime == "apptainer":
        head = ["apptainer", "--quiet", "exec", "--containall", "--cleanenv", "--no-home"]
        binds = [f"{m.source}:{m.target}:ro" for m in mounts] + [f"{work}:{WORK}:rw"]
        return [*head, *_pairs("--bind", binds), *_pairs("--env", variables), _apptainer_image(container), *shell]
    head = [container.runtime, "run", "--rm", "--init", "--name", work.name, "--network", "none", "--pull", "never"]
    user = ["--userns", "keep-id"] if container.runtime == "podman" else ["--user", f"{os.getuid()}:{os.getgid()}"]
    volumes = [f"{m.source}:{m.target}:ro" for m in mounts] + [f"{work}:{WORK}:rw"]
    return [*head, *user, *_pairs("--volume", volumes), *_pairs("--env", variables), container.image, *shell]


def stop_command(container: Container, work: Path) -> list[str] | None:
    """Command that ends a container left running by a killed client; Apptainer's end with their process."""
    return None if container.runtime == "apptainer" else [container.runtime, "kill", work.name]


def _apptainer_image(container: Container) -> str:
    local = container.image.endswith(".sif") or "://" in container.image
    return container.image if local else f"docker://{container.image}"


def _pairs(option: str, values: Sequence[str]) -> list[str]:
    return [text for value in values for text in (option, value)]
