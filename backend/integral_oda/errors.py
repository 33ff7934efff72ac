"""The errors a user can meet, each with the exit status of the command line."""

from __future__ import annotations

__all__ = [
    "DataError",
    "IntegralOdaError",
    "NothingLeftError",
    "OutputError",
    "RequestError",
    "UnavailableError",
]


class IntegralOdaError(Exception):
    """Base of every error that a user is told in one sentence."""

    exit_status = 1


class RequestError(IntegralOdaError):
    """A request that cannot be carried out as it was asked.

    Parameters
    ----------
    parameter : str
        Name of the parameter as the query spells it (``"E1_keV"``).
    value : object
        The value that was given.
    allowed : str
        What is allowed, in words.
    """

    exit_status = 2

    def __init__(self, parameter: str, value: object, allowed: str) -> None:
        self.parameter, self.value, self.allowed = parameter, value, allowed
        super().__init__(f"{parameter} = {value}: {allowed}")

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, object, str]]:
        """Pickle by the three parts, so that it comes back whole from another process."""
        return type(self), (self.parameter, self.value, self.allowed)


class DataError(IntegralOdaError):
    """A file that is damaged or is not what it should be."""


class UnavailableError(IntegralOdaError):
    """Something outside, such as the network or OSA, that is not there."""


class NothingLeftError(IntegralOdaError):
    """Every science window of the query was left out."""


class OutputError(IntegralOdaError):
    """The place where results should go cannot be written."""
