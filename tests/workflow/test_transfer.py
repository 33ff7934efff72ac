"""Stores in a file, and the commands of ``integral-oda cache``."""

import io
import json
import shutil
import tarfile

import pytest
from typer.testing import CliRunner
from workflow_toys import image_query

from integral_oda.cli.cache import cache_app, format_size, parse_size
from integral_oda.errors import DataError, OutputError, RequestError
from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store
from integral_oda.workflow.transfer import Transferred, export_store, import_store


@pytest.fixture
def filled(tmp_path, store):
    execute([image_query(tmp_path / "archive", bytes=2000)], store)
    return store


@pytest.fixture
def other(tmp_path):
    kept = Store(tmp_path / "other")
    yield kept
    kept.close()


def spoil(store):
    """Damage one result; give its key."""
    key = next(store.keys())
    (store.folder(key) / "bulk.bin").write_bytes(b"spoilt")
    return key


@pytest.mark.parametrize("name", ["store.tar", "store.tar.gz", "store.tar.xz"])
def test_an_exported_store_serves_elsewhere(tmp_path, filled, other, name):
    assert export_store(filled, tmp_path / name) == Transferred(16, 0, 0)
    assert import_store(other, tmp_path / name) == Transferred(16, 0, 0)
    assert set(other.keys()) == other.index.keys() == set(filled.keys())
    assert other.verify().damaged == []
    assert execute([image_query(tmp_path / "archive", bytes=2000)], other).computed == 0
    assert import_store(other, tmp_path / name) == Transferred(0, 16, 0)


def test_some_results_are_exported(tmp_path, filled, other):
    key = next(filled.keys())
    assert export_store(filled, tmp_path / "one.tar", [key]) == Transferred(1, 0, 0)
    import_store(other, tmp_path / "one.tar")
    assert list(other.keys()) == [key]


def test_damage_is_not_exported(tmp_path, filled):
    spoil(filled)
    assert export_store(Store(filled.root), tmp_path / "store.tar") == Transferred(15, 0, 1)


def test_damage_in_the_archive_is_not_imported(tmp_path, filled, other):
    key = spoil(filled)
    with tarfile.open(tmp_path / "store.tar", "w") as archive:
        for item in list(filled.keys()):
            archive.add(filled.folder(item), arcname=item)
    assert import_store(other, tmp_path / "store.tar") == Transferred(15, 0, 1)
    assert not other.folder(key).exists()
    assert other.verify().damaged == []
    assert list((other.root / "aside").iterdir()) == []


@pytest.mark.parametrize("kept", [0, 10, 3000, 20000])
@pytest.mark.parametrize("name", ["store.tar", "store.tar.gz"])
def test_a_truncated_archive_is_told(tmp_path, filled, other, name, kept):
    export_store(filled, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: min(kept, len(content) - 500)])
    with pytest.raises(DataError, match=f"{name} cannot be read as an exported store"):
        import_store(other, tmp_path / name)
    assert other.verify().damaged == []
    assert list((other.root / "aside").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "{key}/../../evil", "/etc/evil", "{key}x/value", "readme.txt"])
def test_an_archive_cannot_write_elsewhere(tmp_path, other, name):
    key = "a" * 64
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        info = tarfile.TarInfo(f"{key}/good")
        archive.addfile(info, io.BytesIO(b""))
        info = tarfile.TarInfo(name.format(key=key))
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(DataError, match="is not an exported store: it has a member"):
        import_store(other, tmp_path / "evil.tar")
    assert list(tmp_path.rglob("evil")) == []
    assert list(other.keys()) == []


def test_an_archive_cannot_bring_links(tmp_path, other):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        info = tarfile.TarInfo(f"{'a' * 64}/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match="it has a member"):
        import_store(other, tmp_path / "evil.tar")


def test_an_archive_that_cannot_be_written_is_told(tmp_path, filled):
    with pytest.raises(OutputError, match=r"store\.tar cannot be written: No such file"):
        export_store(filled, tmp_path / "gone" / "store.tar")
    (tmp_path / "folder.tar").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        export_store(filled, tmp_path / "folder.tar")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# -- command line ----------------------------------------------------------------------------------------------------


def run(*arguments):
    done = CliRunner().invoke(cache_app, [str(item) for item in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return done.output, done.exception
    return done.output, done.exit_code


def test_info_as_text_and_json(filled):
    text, status = run("info", "--store", filled.root)
    assert status == 0
    assert f"{filled.root}: 16 results, " in text
    assert "BIN_I" in text
    values = json.loads(run("info", "--store", filled.root, "--json")[0])
    assert (values["entries"], values["bytes"], values["quarantined"]) == (16, filled.info().bytes, 0)
    assert ["MOSAIC", 1, filled.info().steps[-1][2]] in values["steps"]


def test_verify_is_clean_or_not(filled):
    assert run("verify", "--store", filled.root) == ("16 results checked, 0 damaged\n", 0)
    key = spoil(filled)
    text, error = run("verify", "--store", filled.root)
    assert f"{key}: bulk.bin has 6 bytes instead of 2000" in text
    assert (str(error), error.exit_status) == (f"1 of 16 results in {filled.root} are damaged", 1)
    values = json.loads(run("verify", "--store", filled.root, "--repair", "--json")[0])
    assert values["damaged"] == [[key, "bulk.bin has 6 bytes instead of 2000"]]
    assert run("verify", "--store", filled.root) == ("15 results checked, 0 damaged\n", 0)
    assert "set aside as damaged: 1" in run("info", "--store", filled.root)[0]


def test_prune_to_a_size(filled):
    values = json.loads(run("prune", "--max-size", "20kB", "--store", filled.root, "--json")[0])
    assert 0 < values["bytes_left"] <= 20_000
    assert values["removed"] + filled.info().entries == 16
    assert "; 0 B left" in run("prune", "--max-size", "0", "--store", filled.root)[0]


def test_export_and_import(tmp_path, filled):
    text, _ = run("export", tmp_path / "store.tar", "--store", filled.root)
    assert text.startswith("16 results written to")
    text, _ = run("import", tmp_path / "store.tar", "--store", tmp_path / "third")
    assert text == "16 results taken, 0 were there already, 0 damaged left out\n"
    shutil.rmtree(filled.root / "objects")
    (filled.root / "objects").mkdir()
    values = json.loads(run("import", tmp_path / "store.tar", "--store", filled.root, "--json")[0])
    assert values == {"moved": 16, "already_there": 0, "damaged": 0}


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GB", 20 * 10**9), ("1.5 TiB", 1649267441664), ("7", 7), ("0", 0), ("10k", 10_000), ("3 mib", 3 * 2**20)],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e9", "20 GX", "many", "1,5GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(RequestError, match=r"max-size = .*: a number with B, kB, MB"):
        parse_size(text)


def test_sizes_are_written():
    assert [format_size(size) for size in (0, 999, 1000, 1_440_000_000, 3 * 10**15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.4 GB",
        "3000.0 TB",
    ]
