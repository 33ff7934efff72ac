"""Whole command lines of the three container runtimes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from integral_oda.engines.osa.containers import Container, Mount, container_command, stop_command
from integral_oda.engines.osa.installation import Installation

WORK_FOLDER = Path("/scratch/integral-oda-osa-abc")
SCRIPT = (
    "if [ -r /init.sh ]; then . /init.sh >/dev/null; fi; "
    'export PFILES="/data/run/pfiles;$ISDC_ENV/pfiles:$HEADAS/syspfiles"; '
    'export CFITSIO_INCLUDE_FILES="$ISDC_ENV/templates"; '
    'cd /data/run/obs/scw_1 && exec "$@"'
)
SHELL = ["/bin/bash", "-c", SCRIPT, "osa", "ibis_gti", "swgDOL=scw/1/swg_ibis.fits", "mode=h"]
VARIABLES = [
    "COMMONLOGFILE=+/data/run/common.log",
    "COMMONSCRIPT=1",
    "DISPLAY=",
    "HOME=/data/run/home",
    "REP_BASE_PROD=/data/archive",
    "CURRENT_IC=/data/ic",
    "ISDC_REF_CAT=/data/ic/cat/hec/gnrl_refr_cat_0043.fits[1]",
]


def installation(runtime, image="integralsw/osa:11.2"):
    catalogue = "/isdc/cat/hec/gnrl_refr_cat_0043.fits[1]"
    return Installation("11.2", None, None, Container(runtime, image), Path("/isdc"), catalogue, Path("/scratch"))


def command_line(runtime, **image):
    command = ["ibis_gti", "swgDOL=scw/1/swg_ibis.fits", "mode=h"]
    line, _ = installation(runtime, **image).command(WORK_FOLDER, Path("/archive"), command, "obs/scw_1")
    return line


def spread(option, values):
    return [text for value in values for text in (option, value)]


VOLUMES = ["/archive:/data/archive:ro", "/isdc:/data/ic:ro", f"{WORK_FOLDER}:/data/run:rw"]


def test_docker():
    assert command_line("docker") == [
        *("docker", "run", "--rm", "--init", "--name", "integral-oda-osa-abc", "--network", "none"),
        *("--pull", "never", "--user", f"{os.getuid()}:{os.getgid()}"),
        *spread("--volume", VOLUMES),
        *spread("--env", VARIABLES),
        "integralsw/osa:11.2",
        *SHELL,
    ]


def test_podman():
    assert command_line("podman") == [
        *("podman", "run", "--rm", "--init", "--name", "integral-oda-osa-abc", "--network", "none"),
        *("--pull", "never", "--userns", "keep-id"),
        *spread("--volume", VOLUMES),
        *spread("--env", VARIABLES),
        "integralsw/osa:11.2",
        *SHELL,
    ]


@pytest.mark.parametrize(
    ("image", "told"),
    [("integralsw/osa:11.2", "docker://integralsw/osa:11.2"), ("/images/osa11.2.sif", "/images/osa11.2.sif")],
)
def test_apptainer(image, told):
    assert command_line("apptainer", image=image) == [
        *("apptainer", "--quiet", "exec", "--containall", "--cleanenv", "--no-home"),
        *spread("--bind", VOLUMES),
        *spread("--env", VARIABLES),
        told,
        *SHELL,
    ]


@pytest.mark.parametrize("runtime", ["docker", "podman", "apptainer"])
def test_only_the_working_directory_can_be_written_and_no_pfiles_of_the_host_go_in(runtime, monkeypatch):
    monkeypatch.setenv("PFILES", "/home/user/pfiles;/opt/heasoft/syspfiles")
    line = command_line(runtime)
    mounts = [line[k + 1] for k, text in enumerate(line) if text in ("--volume", "--bind")]
    assert [mount for mount in mounts if not mount.endswith(":ro")] == [f"{WORK_FOLDER}:/data/run:rw"]
    assert not any("/home/user/pfiles" in text for text in line)
    assert [text for text in line if text.startswith("PFILES=")] == []


def test_paths_are_told_as_they_are_inside():
    osa = installation("docker")
    raw = "/archive/scw/2559/255900280010.001/isgri_events.fits.gz[ISGR-EVTS-ALL]"
    assert (
        osa.seen(raw, Path("/archive")) == "/data/archive/scw/2559/255900280010.001/isgri_events.fits.gz[ISGR-EVTS-ALL]"
    )
    assert osa.seen("/isdc/idx/ic/ic_master_file.fits[1]", Path("/archive")) == "/data/ic/idx/ic/ic_master_file.fits[1]"
    assert osa.seen("/archives/other.fits", Path("/archive")) == "/archives/other.fits"


def test_a_container_left_running_is_ended_by_its_name():
    assert stop_command(Container("docker"), WORK_FOLDER) == ["docker", "kill", "integral-oda-osa-abc"]
    assert stop_command(Container("podman"), WORK_FOLDER) == ["podman", "kill", "integral-oda-osa-abc"]
    assert stop_command(Container("apptainer"), WORK_FOLDER) is None


def test_without_mounts_only_the_working_directory_is_seen():
    line = container_command(Container("docker"), WORK_FOLDER, ["true"], {}, [Mount(Path("/a"), "/b")])
    assert line.count("--volume") == 2
    assert "cd /data/run &&" in line[line.index("-c") + 1]
