"""Two users of one server at once: neither sees what the other asks."""

from __future__ import annotations

import sys

import psutil
import pytest

from integral_widgets.launcher import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCW = "255900280010.001"
PROVIDER = '''
from jupyter_server.auth import IdentityProvider, User


class ByHeader(IdentityProvider):
    """Takes the name that a proxy in front has checked."""

    auth_enabled = False

    def get_user(self, handler):
        return User(handler.request.headers.get("X-User", "nobody"))
'''


@pytest.fixture
def shared_app(archive, tmp_path, monkeypatch):
    """Address of a page whose server knows its users by name."""
    (tmp_path / "by_header.py").write_text(PROVIDER)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "voila.json").write_text('{"Voila": {"identity_provider_class": "by_header.ByHeader"}}')
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in sys.path if path)}")
    with serving(archive=archive, store=tmp_path / "store") as (url, process):
        yield url, psutil.Process(process.pid)


def test_neither_sees_the_others_queries_but_two_browsers_of_one_user_do(shared_app, chromium):
    url, _ = shared_app
    query = f"?scw_list={SCW}&src_name=SGR%201935%2B2154&bands=30-50"
    contexts = {name: chromium.new_context(extra_http_headers={"X-User": user})
                for name, user in (("ada", "ada"), ("bob", "bob"), ("ada again", "ada"))}  # fmt: skip
    for context in contexts.values():
        context.set_default_timeout(90_000)
    pages = {name: context.new_page() for name, context in contexts.items()}
    pages["ada"].goto(url + query)
    pages["bob"].goto(url)
    pages["ada"].get_by_role("button", name="Image", exact=True).click()
    pages["ada"].locator(".oda-result-bar").wait_for(timeout=120_000)

    pages["ada again"].goto(url)
    pages["ada again"].locator(".oda-result-bar").wait_for(timeout=60_000)
    assert "30-50" in pages["ada again"].locator(".oda-sources").inner_text()

    pages["bob"].get_by_role("button", name="▸ Your queries").click()
    pages["bob"].get_by_role("button", name="Refresh").click()
    pages["bob"].wait_for_timeout(1500)
    assert pages["bob"].locator(".oda-history-list option").count() == 0
    pages["bob"].goto(url + query)
    pages["bob"].get_by_role("button", name="▸ Your queries").wait_for()
    pages["bob"].wait_for_timeout(3000)
    assert pages["bob"].locator(".oda-result-bar").count() == 0
    for context in contexts.values():
        context.close()
