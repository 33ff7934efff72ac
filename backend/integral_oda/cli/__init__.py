"""The command ``integral-oda``, one module a group of commands."""

from integral_oda.cli.command import main, make_app

__all__ = ["main", "make_app"]
