"""What can go wrong with a metrics server or an API server, one class and one exit code for each.

Messages name the server without its credentials; `rightsize.collectors.prometheus.client` blanks
every secret it was given before a text gets here.
"""

from __future__ import annotations

from rightsize.errors import SourceError


class MetricsServerError(SourceError):
    """Something else that a metrics server or a Kubernetes API server answered.

    `passing` errors may go away by themselves, so the request is repeated a few times.
    `too_much` errors mean that the same question in smaller pieces may be answered.
    """

    exit_code = 20
    passing: bool = False
    too_much: bool = False

    def __init__(
        self,
        what: str,
        *,
        hint: str | None = None,
        retry_after: float | None = None,
        passing: bool | None = None,
        too_much: bool | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(what, hint=hint)
        self.retry_after = retry_after
        self.status = status
        if too_much is not None:
            self.too_much = too_much
        if passing is not None:
            self.passing = passing


class UnreachableError(MetricsServerError):
    """Nothing listens there, or the connection broke before an answer came."""

    exit_code = 21
    passing = True


class NameResolutionError(MetricsServerError):
    """The server's name has no address."""

    exit_code = 22


class TlsError(MetricsServerError):
    """The TLS handshake failed: unknown authority, wrong name, expired, client certificate."""

    exit_code = 23


class UnauthorizedError(MetricsServerError):
    """401: the server does not know who asks."""

    exit_code = 24


class ForbiddenError(MetricsServerError):
    """403: the server knows who asks and refuses."""

    exit_code = 25


class NotFoundError(MetricsServerError):
    """404: no Prometheus API under this address."""

    exit_code = 26


class QueryTooLargeError(MetricsServerError):
    """A limit on points, samples, series, time range or size, the server's or ours, even for the
    smallest piece of the question."""

    exit_code = 27
    too_much = True


class TooManyRequestsError(MetricsServerError):
    """429: the server asks for fewer requests, and still does after waiting."""

    exit_code = 28
    passing = True


class ServerFailedError(MetricsServerError):
    """500, 502 or 503 that does not go away."""

    exit_code = 29
    passing = True


class SlowServerError(MetricsServerError):
    """No whole answer within the time allowed, or the server gave up on the query itself."""

    exit_code = 30
    too_much = True


class MalformedAnswerError(MetricsServerError):
    """An answer that is no Prometheus answer: HTML, cut off, not JSON, a redirect."""

    exit_code = 31


class PartialAnswerError(MetricsServerError):
    """The server says that its answer lacks a part of the data."""

    exit_code = 32


class QueryRefusedError(MetricsServerError):
    """The server does not understand a query: too old, or no Prometheus query language."""

    exit_code = 33
