"""Connection pools and outlier detection that throttle or empty a service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A limit below which a pool throttles."""

    path: tuple[str, ...]
    least: int
    why: str
    fix: str


_BOUNDS = (
    _Bound(
        ("tcp", "maxConnections"),
        100,
        "Each client proxy may open no more connections; with HTTP/1.1 that is its requests at "
        "once. The next ones wait or fail with 503 UO.",
        "maxConnections: 1024  # or requests/s x seconds each of the busiest client, twice over",
    ),
    _Bound(
        ("http", "http1MaxPendingRequests"),
        100,
        "Requests beyond it fail with 503 UO at once: a burst of the length of one round trip "
        "fills it.",
        "http1MaxPendingRequests: 1024",
    ),
    _Bound(
        ("http", "http2MaxRequests"),
        100,
        "It caps requests at once for HTTP/1.1 and HTTP/2 alike: throughput is at most this "
        "over the response time (Little's law).",
        "http2MaxRequests: 1024",
    ),
    _Bound(
        ("http", "maxRequestsPerConnection"),
        100,
        "Every connection closes after so many requests: new TCP and TLS handshakes cost CPU in "
        "both proxies and latency. 1 turns keep-alive off.",
        "# delete maxRequestsPerConnection; unlimited is the default",
    ),
)


@rule("connect-timeout-short")
def connect_timeout(sources: Sources) -> Iterator[Hit]:
    for title, pool in _pools(sources):
        node = pool.get("tcp", "connectTimeout")
        seconds = None if node is None else _seconds(node.text or "")
        if node is not None and seconds is not None and seconds < 1:
            yield at(node, f"{title}: connectTimeout is {node.text}", "connectTimeout: 10s")
    for mesh in sources.mesh_configs:
        node = mesh.get("connectTimeout")
        seconds = None if node is None else _seconds(node.text or "")
        if node is not None and seconds is not None and seconds < 1:
            yield at(node, f"mesh config: connectTimeout is {node.text}", "connectTimeout: 10s")


@rule("connection-pool-throttles")
def throttles(sources: Sources) -> Iterator[Hit]:
    for title, pool in _pools(sources):
        for bound in _BOUNDS:
            node = pool.get(*bound.path)
            number = None if node is None else node.number
            if node is not None and number is not None and 0 < number <= bound.least:
                evidence = f"{title}: {bound.path[-1]} is {node.text}"
                yield at(node, evidence, bound.fix, why=bound.why)


@rule("outlier-ejects-all")
def ejects_all(sources: Sources) -> Iterator[Hit]:
    for title, policy in _policies(sources):
        percent = policy.get("outlierDetection", "maxEjectionPercent")
        if percent is not None and percent.number == 100:
            fix = "maxEjectionPercent: 50"
            yield at(percent, f"{title}: maxEjectionPercent is 100", fix)
        for name in ("consecutive5xxErrors", "consecutiveGatewayErrors"):
            errors = policy.get("outlierDetection", name)
            if errors is not None and errors.number == 1:
                fix = f"{name}: 5"
                yield at(errors, f"{title}: one error ejects a host ({name} is 1)", fix)


def _policies(sources: Sources) -> Iterator[tuple[str, Node]]:
    """Traffic policies of DestinationRules: their own, by port, by subset."""
    for obj in sources.of_kind("DestinationRule"):
        own = obj.root.get("spec", "trafficPolicy")
        subsets = obj.root.children("spec", "subsets")
        for policy in (own, *(subset.get("trafficPolicy") for subset in subsets)):
            if policy is not None:
                yield obj.title, policy
                for port in policy.children("portLevelSettings"):
                    yield obj.title, port


def _pools(sources: Sources) -> Iterator[tuple[str, Node]]:
    for title, policy in _policies(sources):
        pool = policy.get("connectionPool")
        if pool is not None:
            yield title, pool
    for obj in sources.of_kind("Sidecar"):
        own = obj.root.get("spec", "inboundConnectionPool")
        listeners = obj.root.children("spec", "ingress")
        for pool in (own, *(listener.get("connectionPool") for listener in listeners)):
            if pool is not None:
                yield obj.title, pool


def _seconds(text: str) -> float | None:
    for unit in ("ms", "s", "m", "h"):
        number = text.removesuffix(unit)
        if number != text:
            try:
                return float(number) * _UNITS[unit]
            except ValueError:
                return None
    return None
