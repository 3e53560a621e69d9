"""From a failed request or an unwelcome answer to the error that names its cause."""

from __future__ import annotations

import email.utils
import re
import socket
import ssl
import time
from collections.abc import Mapping

import orjson
import requests
from urllib3.exceptions import NameResolutionError as NameFailure

from rightsize.collectors.errors import (
    ForbiddenError,
    MalformedAnswerError,
    MetricsServerError,
    NameResolutionError,
    NotFoundError,
    QueryRefusedError,
    QueryTooLargeError,
    ServerFailedError,
    SlowServerError,
    TlsError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from rightsize.collectors.prometheus.connection import Connection
from rightsize.secrets import excerpt, guarded

# Texts of Prometheus, Thanos, Mimir, Cortex, VictoriaMetrics and Amazon Managed Prometheus when a
# query asks for more than they allow. Whole words: some repeat the query, and
# kube_pod_container_resource_limits is no limit.
_LIMIT = re.compile(
    r"too many|too large|too long|exceed|\blimits?\b|\bmaximum\b|cannot select more|out of memory"
    r"|larger than|matches? more than",
    re.IGNORECASE,
)
_LONGEST_TEXT = 300


def failed_request(error: requests.RequestException, place: Connection) -> MetricsServerError:
    """Say why no answer came."""
    causes = list(_causes(error))
    text = excerpt(str(causes[-1]) if causes else str(error), _LONGEST_TEXT)
    if any(isinstance(c, (socket.gaierror, NameFailure)) for c in causes):
        return NameResolutionError(
            f"{place.name}: the host name has no address",
            hint="check the name; inside a cluster it is <service>.<namespace>.svc",
        )
    if isinstance(error, requests.exceptions.SSLError) or any(
        isinstance(c, ssl.SSLError) for c in causes
    ):
        return TlsError(
            f"{place.name}: TLS failed ({text})",
            hint="give the authority with --ca-file, a client certificate with --client-cert, or "
            "use --insecure if you must",
        )
    if isinstance(error, requests.exceptions.Timeout):
        return SlowServerError(
            f"{place.name}: no answer within {place.timeout:g} s",
            hint="allow more time with --timeout",
            too_much=False,
        )
    if isinstance(error, (requests.exceptions.ProxyError, requests.ConnectionError)):
        via = " through the proxy" if place.proxies else ""
        return UnreachableError(
            f"{place.name}: cannot be reached{via} ({text})",
            hint="is it running? From outside the cluster: kubectl port-forward",
        )
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return MalformedAnswerError(f"{place.name}: the answer was cut off", passing=True)
    return MetricsServerError(
        f"{place.name}: {text}", hint="is this a Prometheus API, or a proxy before one?"
    )


def failed_answer(
    status: int, headers: Mapping[str, str], body: bytes, place: Connection
) -> MetricsServerError:
    """Say what an answer other than 200 means."""
    kind, said = _error_of(body)
    said = excerpt(said, _LONGEST_TEXT)
    where = f"{place.name}: HTTP {status}" + (f", {said}" if said else "")
    if status == 401:
        usual = "sign in with --bearer-token-file, --username or --sigv4-region"
        return UnauthorizedError(where, hint=place.refused_hint or usual)
    if status == 403:
        usual = "these credentials may not query; ask for read access"
        return ForbiddenError(where, hint=place.refused_hint or usual)
    if status == 404:
        return NotFoundError(
            where,
            hint="the address must end where /api/v1/query begins; Mimir wants /prometheus, "
            "VictoriaMetrics' cluster version /select/0/prometheus",
        )
    if status == 429:
        return TooManyRequestsError(
            where,
            hint="try again later or with --in-flight 1",
            retry_after=_retry_after(headers.get("Retry-After")),
        )
    if status in (408, 504) or kind == "timeout" or (status == 503 and "timed out" in said):
        return SlowServerError(where, hint="the query is too heavy for the server just now")
    if status in (413, 414) or (400 <= status < 500 and _LIMIT.search(said)):
        return QueryTooLargeError(where, hint="raise the server's limit, or narrow with --matcher")
    if status >= 500:
        return ServerFailedError(
            where,
            hint="look at the server's log",
            retry_after=_retry_after(headers.get("Retry-After")),
        )
    hint = "rightsize doctor shows what this server can do"
    return QueryRefusedError(where, hint=hint, status=status)


def _causes(error: BaseException) -> list[BaseException]:
    """The chain of causes, outermost first; urllib3 keeps some in `reason` and in `args`."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        current = todo.pop(0)
        if not isinstance(current, BaseException) or current in found:
            continue
        found.append(current)
        todo += [getattr(current, "reason", None), *current.args]
        todo += [current.__cause__, current.__context__]
    return found


def _error_of(body: bytes) -> tuple[str, str]:
    """The error's type and text: Prometheus' JSON, or the gist of anything else."""
    try:
        answer = orjson.loads(body)
        if isinstance(answer, dict):
            said = [answer.get("errorType"), answer.get("error") or answer.get("message")]
            kind, text = (one if isinstance(one, str) else "" for one in said)
            return kind, text
    except orjson.JSONDecodeError:
        pass
    text = guarded(body.decode("utf-8", "replace"))[:4000]
    title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    if title:
        text = title.group(1)
    elif "<html" in text.lower():
        text = "an HTML page"
    return "", " ".join(text.split())


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait: the header holds a number or an HTTP date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
