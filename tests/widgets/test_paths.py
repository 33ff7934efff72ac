"""The notebooks are found in a checkout and beside an installed package."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from integral_oda.errors import UnavailableError
from integral_widgets import paths


def _copied_to(folder: Path):
    package = folder / "integral_widgets"
    package.mkdir(parents=True)
    copy = Path(shutil.copy(paths.__file__, package))
    spec = importlib.util.spec_from_file_location("copied_paths", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return package, module


def test_this_checkout_has_its_notebooks():
    root = paths.notebooks_root()
    assert (root / "apps").is_dir()
    assert (root / "benchmarks").is_dir()


def test_notebooks_of_a_checkout(tmp_path):
    package, module = _copied_to(tmp_path)
    (package.parent / "notebooks" / "apps").mkdir(parents=True)
    assert module.notebooks_root() == tmp_path / "notebooks"


def test_notebooks_of_an_installation_come_first(tmp_path):
    package, module = _copied_to(tmp_path)
    for parent in (package, package.parent):
        (parent / "notebooks" / "apps").mkdir(parents=True)
    assert module.notebooks_root() == package / "notebooks"


def test_lost_notebooks_are_told(tmp_path):
    _, module = _copied_to(tmp_path)
    with pytest.raises(UnavailableError, match="no notebooks in"):
        module.notebooks_root()
