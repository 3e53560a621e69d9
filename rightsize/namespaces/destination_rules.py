"""DestinationRules from what was measured: connection pools and outlier detection.

Concurrency comes from Little's law: requests in flight = rate x mean duration. A pool is sized to
stand well above the busiest hour, and every setting is given with the throughput that it caps, so
that a rule sheds a runaway and never chokes a healthy service.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from rightsize.namespaces.traffic import CLUSTER_DOMAIN, UNKNOWN
from rightsize.namespaces.zone_preference import ZonePreference

HEADROOM = 4.0
"""Hourly means hide peaks within the hour, and a proxy's share of calls is uneven."""
_BURST = 3.0
_LEAST_CONNECTIONS = 128
_LEAST_REQUESTS = 10_000.0
_LEAST_DAYS = 7
_LEAST_RATE = 1.0
_ERRORS = 0.001
_MIN_PODS = 3
CONNECT_TIMEOUT_SECONDS = 2
"""Istio's default is 10 s; a connection within a region takes milliseconds, and 100 ms, as is
sometimes advised, fails on a single lost SYN (first retransmission after 1 s, RFC 6298)."""


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """Limits of one calling proxy towards one service, and what they cap.

    Envoy counts them in each proxy, not over the mesh.
    """

    max_connections: int
    http1_max_pending_requests: int | None
    http2_max_requests: int | None
    """Concurrent requests, HTTP/1.1 included; None for TCP."""
    connect_timeout_seconds: int
    caps_requests_per_second: float | None
    """Little's law: concurrency over mean duration, of one calling proxy; None for TCP."""
    seen_requests_per_second: float
    """Busiest hour of the busiest caller, by one of its pods."""


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """Ejection of pods that answer 5xx, sized to the replicas."""

    consecutive_5xx_errors: int
    interval_seconds: int
    base_ejection_seconds: int
    max_ejection_percent: int
    min_health_percent: int


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """The DestinationRule of one service."""

    namespace: str
    name: str
    host: str
    pool: ConnectionPool | None
    outliers: OutlierDetection | None
    reasons: tuple[str, ...]
    zones: ZonePreference | None = None
    """What zone preference, which outlier detection turns on, would do; None where zones are unknown
    or nothing is ejected."""


@dataclass(frozen=True)
class ServiceRules:
    """Rules that the data supports, and how many services have none and why."""

    rules: tuple[ServiceRule, ...]
    turned_down: Mapping[str, int]
    """Reason to number of services."""


def service_rules(
    edges: pd.DataFrame,
    pods: pd.DataFrame,
    errors: pd.DataFrame,
    zones: Mapping[str, ZonePreference] | None = None,
) -> ServiceRules:
    """Size a DestinationRule for each service that needs one and has the data for it.

    Parameters
    ----------
    edges : DataFrame
        As `rightsize.namespaces.traffic.edges` gives.
    pods : DataFrame
        The snapshot's table, for replicas of callers and of the called.
    errors : DataFrame
        `destination_service` and `error_share`: share of requests answered with 5xx in the worst
        hour (see `error_shares`).
    zones : mapping of str to ZonePreference, optional
        By host.
    """
    replicas = replicas_of(pods)
    worst = dict(zip(errors["destination_service"], errors["error_share"], strict=True))
    rules = []
    turned_down: dict[str, int] = {}
    for service, rows in edges.groupby("destination_service"):
        share = float(worst.get(service, 0.0))
        reason = _unfit(str(service), rows, share)
        rule = None if reason is not None else _rule(str(service), rows, replicas, share)
        if rule is not None:
            rules.append(_with_zones(rule, (zones or {}).get(str(service))))
        else:
            reason = reason or "TCP with too few pods to eject one"
            turned_down[reason] = turned_down.get(reason, 0) + 1
    return ServiceRules(tuple(rules), turned_down)


def _with_zones(rule: ServiceRule, zones: ZonePreference | None) -> ServiceRule:
    """Say what zone preference, which stays off in the rule, would do to the service."""
    if rule.outliers is None:
        return rule
    text = "the zones of its pods are not known" if zones is None else zones.text
    said = (
        "outlier detection alone would turn zone preference on (the mesh's localityLbSetting is "
        f"enabled by default and waits for it): it stays off in this rule; {text}"
    )
    return replace(rule, reasons=(*rule.reasons, said), zones=zones)


def error_shares(traffic: pd.DataFrame) -> pd.DataFrame:
    """Share of failed requests of each service in its worst hour with at least 100 requests."""
    rows = traffic.astype({"destination_service": object})
    hourly = rows.groupby(["destination_service", "time"], as_index=False)[
        ["requests", "errors"]
    ].sum()
    busy = hourly[hourly["requests"] >= 100]
    share = (busy["errors"] / busy["requests"]).groupby(busy["destination_service"]).max()
    return share.rename("error_share").reset_index()


def replicas_of(pods: pd.DataFrame) -> Mapping[tuple[str, str], float]:
    """Fewest pods a workload had on any day, by namespace and workload."""
    alive = alive_by_day(pods)
    daily = alive.groupby(["day", "namespace", "workload"]).size()
    fewest = daily.groupby(["namespace", "workload"]).min().rename("pods").reset_index()
    return {
        (str(row["namespace"]), str(row["workload"])): float(row["pods"])
        for row in fewest.to_dict("records")
    }


def alive_by_day(pods: pd.DataFrame) -> pd.DataFrame:
    """Pods that were there at the end of each day; a pod without an owner is its own workload.

    Pods that were replaced during the day do not count beside those that replaced them.
    """
    text = pods.assign(
        namespace=pods["namespace"].astype(str),
        workload=pods["workload"].astype(object).fillna(pods["pod"].astype(object)).astype(str),
    )
    last = text["last_seen"].groupby(text["day"]).transform("max")
    found: pd.DataFrame = text[text["last_seen"] >= last - pd.Timedelta(10, "min")]
    return found


def _unfit(service: str, rows: pd.DataFrame, error_share: float) -> str | None:
    if not service.endswith(f".{CLUSTER_DOMAIN}"):
        return "not a service of the cluster"
    if rows["days"].max() < _LEAST_DAYS:
        return f"seen on fewer than {_LEAST_DAYS} days"
    if rows["requests"].sum() < _LEAST_REQUESTS:
        return f"fewer than {_LEAST_REQUESTS:,.0f} requests"
    if rows["busiest_hour"].sum() / 3600 < _LEAST_RATE:
        return f"fewer than {_LEAST_RATE:g} request a second at its busiest"
    if error_share <= _ERRORS:
        return f"needs none: at most {_ERRORS:.1%} errors in its worst hour"
    return None


def _rule(
    service: str, rows: pd.DataFrame, replicas: Mapping[tuple[str, str], float], error_share: float
) -> ServiceRule | None:
    name, namespace = service.split(".")[:2]
    called = rows[rows["destination_workload"] != UNKNOWN]
    owners = set(zip(called["destination_namespace"], called["destination_workload"], strict=True))
    pods = sum(replicas.get((str(n), str(w)), 0.0) for n, w in owners)
    outliers, why_outliers = _outliers(pods, error_share)
    pool, why_pool = _pool(rows, replicas)
    if outliers is None and pool is None:
        return None
    return ServiceRule(namespace, name, service, pool, outliers, (*why_pool, *why_outliers))


def _pool(
    rows: pd.DataFrame, replicas: Mapping[tuple[str, str], float]
) -> tuple[ConnectionPool | None, tuple[str, ...]]:
    """Limits for the busiest calling proxy."""
    callers = rows.groupby(["source_namespace", "source_workload"], as_index=False).agg(
        busiest=("busiest_hour", "sum"),
        duration=("duration_seconds", lambda values: values.sum(min_count=1)),
        requests=("requests", "sum"),
    )
    pods = [
        max(replicas.get((str(n), str(w)), 1.0), 1.0)
        for n, w in zip(callers["source_namespace"], callers["source_workload"], strict=True)
    ]
    callers["rate"] = callers["busiest"] / 3600 / pods
    busiest = callers.sort_values("rate", kind="stable").iloc[-1]
    rate, duration, requests = (float(busiest[n]) for n in ("rate", "duration", "requests"))
    if pd.isna(duration) or requests <= 0:
        return None, ("TCP: durations are not measured, so that no concurrency is known",)
    mean = max(duration / requests, 1e-4)
    concurrency = rate * mean * _BURST
    limit = max(_LEAST_CONNECTIONS, _power(concurrency * HEADROOM))
    caps = limit / mean
    return (
        ConnectionPool(
            max_connections=limit,
            http1_max_pending_requests=limit,
            http2_max_requests=limit,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            caps_requests_per_second=caps,
            seen_requests_per_second=rate,
        ),
        (
            f"{limit} at once lets {caps:,.0f} requests/s through from each calling pod at the mean "
            f"duration of {mean * 1000:.0f} ms; the busiest sent {rate:.1f}/s in its busiest hour, "
            f"{concurrency:.1f} at once with bursts of {_BURST:g}",
        ),
    )


def _outliers(pods: float, error_share: float) -> tuple[OutlierDetection | None, tuple[str, ...]]:
    if pods < _MIN_PODS:
        return None, (
            f"no outlier detection: {pods:.0f} pods, with fewer than {_MIN_PODS} an ejection "
            "puts the rest under too much load",
        )
    # At most so many ejected that two thirds stay, and always one may go.
    percent = max(math.floor(100 / 3), math.ceil(100 / pods))
    return (
        OutlierDetection(
            consecutive_5xx_errors=10 if error_share < 0.05 else 20,
            interval_seconds=10,
            base_ejection_seconds=30,
            max_ejection_percent=percent,
            min_health_percent=50,
        ),
        (
            f"up to {error_share:.1%} errors in an hour; at most {percent} % of {pods:.0f} pods are "
            "ejected, and below 50 % healthy detection switches itself off",
        ),
    )


def _power(value: float) -> int:
    """The next power of two."""
    return 1 << max(0, math.ceil(math.log2(max(value, 1.0))))
