"""Whose page it is."""

from __future__ import annotations

import getpass
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_server.auth import IdentityProvider
from voila.voila_identity_provider import VoilaIdentityProvider

from integral_widgets.identity import USER, name_user, owner


class Named(IdentityProvider):
    """A provider that knows people."""


@pytest.fixture
def notebook():
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])


def visit(provider, user):
    return SimpleNamespace(identity_provider=provider, current_user=SimpleNamespace(username=user))


def test_without_an_identity_it_is_the_account(monkeypatch):
    for name in (USER, "JUPYTERHUB_USER"):
        monkeypatch.delenv(name, raising=False)
    assert owner() == f"account {getpass.getuser()}"


def test_a_hub_names_its_user(monkeypatch):
    monkeypatch.delenv(USER, raising=False)
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    assert owner() == "user ada"


def test_a_provider_that_knows_people_names_them_to_the_kernel(notebook, monkeypatch):
    monkeypatch.delenv(USER, raising=False)
    hostile = "o'neill\"; import sys #"
    named = name_user(visit(Named(), hostile), notebook=notebook, cwd=".")
    monkeypatch.setenv(USER, "")
    exec(named.cells[0].source, {})
    assert owner() == f"user {hostile}"


@pytest.mark.parametrize("provider", [IdentityProvider, VoilaIdentityProvider])
def test_a_provider_that_knows_only_a_token_names_nobody(provider, notebook):
    assert len(name_user(visit(provider(), "Anonymous Io"), notebook=notebook, cwd=".").cells) == 1
