"""Whose page this is: Jupyter's identity, or without one the account."""

from __future__ import annotations

import os
from typing import Any

from integral_oda.background import account

__all__ = ["USER", "name_user", "owner"]

USER = "INTEGRAL_ODA_USER"
"""Environment variable of the kernel: the user whom Jupyter's identity provider has named."""


def owner() -> str:
    """Owner of the jobs of this page, as the HTTP interface names its users.

    JupyterHub tells its user's servers the name in the environment; `name_user` hands on that of any other provider.
    """
    named = os.environ.get(USER) or os.environ.get("JUPYTERHUB_USER")
    return f"user {named}" if named else account()


def name_user(handler: Any, notebook: Any, cwd: str) -> Any:  # noqa: ARG001  Voila's names
    """Tell the kernel of a page who its user is: a hook for ``VoilaConfiguration.prelaunch_hook``.

    Parameters
    ----------
    handler : tornado.web.RequestHandler
        Of the visit.
    notebook : nbformat.NotebookNode
        About to be run; given back with a cell in front where the identity provider names its users.
    cwd : str
        Where it runs.
    """
    import nbformat

    from integral_oda.service.access import named_user

    name = named_user(handler)
    if name is not None:
        code = f"import os\n\nos.environ[{USER!r}] = {name!r}"
        form: Any = nbformat.v4  # without types
        notebook.cells.insert(0, form.new_code_cell(code))
    return notebook
