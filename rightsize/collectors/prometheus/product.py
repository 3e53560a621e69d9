"""Which product answers, and how it reads a range: found by asking, not from its name."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.collectors.errors import ForbiddenError, NotFoundError, QueryRefusedError
from rightsize.collectors.prometheus.client import Server
from rightsize.collectors.prometheus.parse import envelope, parse_instant

# Six minutes lie in the closed interval [0 s, 300 s], five in the half-open one.
_PROBE = "count_over_time(vector(1)[5m:1m])"
_PROBE_TIME = "1800000000"


@dataclass(frozen=True)
class Product:
    """A server's product, version, and whether `[5m]` holds a sample exactly 5 minutes old."""

    name: str
    version: str
    closed: bool

    def durations(self, text: str) -> str:
        """Write `$window`, `$hour` and `$day` so that they mean left-open intervals here."""
        if self.closed:
            lengths = ("4m59s999ms", "59m59s999ms", "23h59m59s999ms")
        else:
            lengths = ("5m", "1h", "1d")
        for name, length in zip(("$window", "$hour", "$day"), lengths, strict=True):
            text = text.replace(name, length)
        return text


def identify(server: Server) -> Product:
    """Ask a server what it is.

    Raises
    ------
    MetricsServerError
        If it cannot be asked, or speaks no PromQL.
    """
    body = server.call("/api/v1/query", {"query": _PROBE, "time": _PROBE_TIME})
    count = parse_instant(body, server=server.connection.name).column
    name, version = _build(server)
    return Product(name, version, closed=len(count) > 0 and count[0] == 6)


def _build(server: Server) -> tuple[str, str]:
    try:
        body = server.get("/api/v1/status/buildinfo", {})
        data, _ = envelope(body, server=server.connection.name)
    except (NotFoundError, ForbiddenError, QueryRefusedError):
        # Amazon Managed Prometheus and Cortex do not report it.
        return "prometheus-compatible", "unknown"
    application = str(data.get("application", "")).lower()
    version = str(data.get("version", "") or "unknown")
    if "mimir" in application:
        return "mimir", version
    if not data:
        # VictoriaMetrics' single server answers with an empty object.
        return "victoriametrics", "unknown"
    if version.startswith("victoria") or "victoria" in application:
        return "victoriametrics", version
    return "prometheus", version
