"""Bad requests of every command: one line that names what is wrong, exit status 1 or 2, and nothing written."""

from __future__ import annotations

import shlex
import socket

import pytest

from integral_oda.cli import main

NO_NAME = "x" * 64
"""A label of a host name has 63 characters at most: refused without the network."""
BAD = [
    ("fit --out out", 2, "spectrum = none"),
    ("fit --out out --spectrum page.fits", 1, "page.fits: damaged or no FITS file"),
    ("fit --out out --spectrum page.fits --model powerlaw*", 2, "model = powerlaw*"),
    ("fit --out out --spectrum page.fits --e1 100 --e2 20", 2, "e2 = 20.0"),
    ("fit --out out --spectrum page.fits --flux 100-20", 2, "flux = 100-20"),
    ("fit --out out --spectrum page.fits --set index", 2, "set = index"),
    ("fit --out out --again list.json", 1, "list.json: no fit.json"),
    ("mosaic page.fits --out out", 1, "page.fits: damaged or no FITS file"),
    ("mosaic page.fits --out out --projection MERCATOR", 2, "projection = MERCATOR"),
    ("mosaic page.fits --out out --center 1,100", 2, "center = 1,100"),
    ("mosaic page.fits --out out --size a,b", 2, "size = a,b"),
    ("lightcurve --scw-list 255900280010 --out out --bursts", 2, "bursts = True"),
    ("lightcurve --scw-list 255900280010 --out out --e1 80 --e2 28", 2, "80-28 keV"),
    ("lightcurve --scw-list 255900280010 --out out --binning @down.txt", 2, "bin_edges"),
    ("spectrum --scw-list 255900280010 --out out --channels 7", 2, "channels = 7"),
    ("spectrum --scw-list 255900280010 --out out --channels down.txt", 2, "channels"),
    ("archive list --archive absent", 2, "archive = absent"),
    ("archive list --archive page.fits", 2, "archive = page.fits"),
    ("archive verify --archive absent", 2, "archive = absent"),
    ("archive index --archive absent", 2, "archive = absent"),
    ("archive index --archive . --jobs 0", 2, "--jobs = 0"),
    ("archive fetch --archive . 12", 2, "scw_list"),
    ("archive fetch --archive . 255900280010.001 --from ftp://x", 2, "from = ftp://x"),
    ("archive plan --archive . --source Crab --t1 soon --t2 later", 2, "T1 = soon"),
    ("archive plan --archive . --ra 4 --dec 3 --t1 1 --t2 2 --t-format fortnight", 2, "T_format = fortnight"),
    ("catalog merge list.json --out all.fits", 2, "list.json"),
    ("calibrate background --archive . --out out", 2, "archive = ."),
    ("compare --scw-list 255900280010 --out out --engines native", 2, "engines = native"),
    ("import absent --out out", 1, "absent: no such file or directory"),
    ("osa check --osa-version 9", 2, "osa_version = 9"),
    ("ic fetch --archive . --from somewhere", 2, "from = somewhere"),
    ("serve --port 99999", 2, "port = 99999"),
    (f"serve --ip {NO_NAME}", 2, f"ip = {NO_NAME}"),
    ("serve --ip 192.0.2.1", 2, "on 192.0.2.1"),
    ("serve --config absent.py", 2, "config = absent.py"),
    ("serve --store page.fits", 2, "store = page.fits"),
    ("app --store s3://bucket/store", 2, "store = s3://bucket/store"),
    ("jobs show absent --store store", 2, "job = absent"),
    ("cache prune --store store --max-size -1GB", 2, "max-size = -1GB"),
    ("cache import page.fits --store store", 1, "page.fits cannot be read as an exported store"),
    ("rerun absent --out out", 1, "absent is no crate"),
]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """What the command says before it ends with a status."""
    (tmp_path / "page.fits").write_text("<html>not found</html>\n")
    (tmp_path / "list.json").write_text("[1]\n")
    (tmp_path / "down.txt").write_text("20\n10\n30\n")
    monkeypatch.chdir(tmp_path)

    def refusal(words: str, status: int) -> str:
        monkeypatch.setattr("sys.argv", ["integral-oda", *shlex.split(words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == status
        told = capsys.readouterr()
        assert told.out == ""
        lines = told.err.splitlines()
        assert len(lines) == 1, told.err
        return lines[0]

    return refusal


@pytest.mark.parametrize(("words", "status", "named"), BAD, ids=[words for words, _, _ in BAD])
def test_a_bad_request_is_one_line(refused, tmp_path, words, status, named):
    told = refused(words, status)
    assert told.startswith("integral-oda: ")
    assert named in told
    assert {path.name for path in tmp_path.iterdir()} <= {"page.fits", "list.json", "down.txt", "store"}


def test_a_port_that_is_taken_is_one_line(refused):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"port = {port}" in refused(f"serve --headless --port {port}", 2)
