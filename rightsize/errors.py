"""The errors a user can meet, each with the exit code that `docs/exit-codes.md` lists.

A `RightsizeError` says what failed, where, and what to try next. Anything else that is raised is
a programming error and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar

from rightsize.secrets import excerpt

_LONGEST = 20_000
"""Characters of a message: names come from strangers."""


class RightsizeError(Exception):
    """Base of every error with one message and an exit code.

    Parameters
    ----------
    what : str
        What failed and where, in one sentence.
    hint : str, optional
        What to do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        self.what = excerpt(what, _LONGEST)
        super().__init__(self.what)
        self.hint = None if hint is None else excerpt(hint, _LONGEST)

    def __str__(self) -> str:
        return self.what if self.hint is None else f"{self.what}\n  Next: {self.hint}"


class UsageError(RightsizeError):
    """Options that contradict each other, or a value that is out of range."""

    exit_code = 2


class InputFileError(RightsizeError):
    """A file of the user's that cannot be read, parsed or understood.

    `line` and `column` count from 1.
    """

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        path: object = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = "" if path is None else str(path)
        if line is not None:
            place += f":{line}" + ("" if column is None else f":{column}")
        super().__init__(f"{place}: {what}" if place else what, hint=hint)
        self.path, self.line, self.column = path, line, column


class AmbiguousChartError(InputFileError):
    """A values file that could belong to several charts or releases."""

    exit_code = 4


class SnapshotError(RightsizeError):
    """A snapshot that is missing, damaged, of another schema version, or in use."""

    exit_code = 5


class NoDataError(RightsizeError):
    """The source answers, and holds nothing that the command needs."""

    exit_code = 6


class OutputError(RightsizeError):
    """A folder or file that cannot be written (read-only, disk full, exists already)."""

    exit_code = 7


class VerificationError(RightsizeError):
    """Rendering shows something other than the recommended change."""

    exit_code = 8


class ToolMissingError(RightsizeError):
    """A program that the option needs (Helm, promtool) is not to be found."""

    exit_code = 9


class ChangesFoundError(RightsizeError):
    """`--fail-if-change`: recommendations differ from what is in force."""

    exit_code = 10


class FindingsError(RightsizeError):
    """`audit --fail-on`: the files hold findings of that severity or worse."""

    exit_code = 11


class FleetError(RightsizeError):
    """Some clusters of a fleet failed; the others are done, and the next run does what is missing."""

    exit_code = 12


class SourceError(RightsizeError):
    """Base of everything that goes wrong with a server. Codes 20-39 Prometheus, 40-49 AWS, 50 stores, 51 Dask."""

    exit_code = 20


class AwsError(SourceError):
    """AWS answered with something that cannot be used."""

    exit_code = 40


class AwsCredentialsError(AwsError):
    """No AWS credentials, an unknown profile, or credentials that AWS does not accept."""

    exit_code = 41


class AwsExpiredError(AwsError):
    """AWS credentials that were good and have expired."""

    exit_code = 42


class AwsAccessDeniedError(AwsError):
    """The credentials may not make this call, and no other source is left."""

    exit_code = 43


class AwsRegionError(AwsError):
    """A region that AWS does not have, or that the account has not switched on."""

    exit_code = 44


class AwsThrottledError(AwsError):
    """AWS still throttled the call after every retry."""

    exit_code = 45


class AwsUnreachableError(AwsError):
    """An AWS endpoint that cannot be reached."""

    exit_code = 46


class AmbiguousPriceError(AwsError):
    """Two prices for what must have one: neither is taken."""

    exit_code = 47


class AwsRoleError(AwsError):
    """A role that the credentials cannot assume."""

    exit_code = 48


class StoreError(SourceError):
    """An object store that cannot be read or written."""

    exit_code = 50


class StoreUnreachableError(StoreError):
    """An object store of which no answer comes: no cluster in it can be read."""


class SchedulerError(SourceError):
    """A Dask scheduler that cannot be reached, or workers with another release of rightsize."""

    exit_code = 51
