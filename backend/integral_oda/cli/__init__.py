"""The command ``integral-oda``, one module a group of commands."""

from integral_oda.cli.command import app, main

__all__ = ["app", "main"]
