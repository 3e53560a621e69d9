"""What a server knows, before anything is collected from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from rightsize.collectors.errors import MetricsServerError
from rightsize.collectors.prometheus.clusters import (
    clusters_of,
    matched_nothing,
    pods_running_twice,
    splitting_label,
)
from rightsize.collectors.prometheus.days import DAY_SECONDS, HOUR_SECONDS, Day
from rightsize.collectors.prometheus.facts import scrape_interval
from rightsize.collectors.prometheus.parse import envelope
from rightsize.collectors.prometheus.queries import (
    DAILY,
    MESH_CONTAINERS,
    POD_WINDOWS,
    USAGE,
    asked_together,
)
from rightsize.collectors.prometheus.query import Shape
from rightsize.collectors.prometheus.schedule import DAYS_AT_ONCE
from rightsize.collectors.prometheus.source import Endpoint, Source, open_source
from rightsize.config import PrometheusSettings
from rightsize.secrets import excerpt

_CPU = f'container_cpu_usage_seconds_total{{container=~"{MESH_CONTAINERS}",$M}}'
_LOOK_BACK_DAYS = (400, 31, 7)
# A row of inventory, with its labels, as Prometheus writes it; queries of a day ask for one value
# of each series.
_BYTES_A_SERIES = 400
_SECONDS_A_SERIES = 4e-5


@dataclass(frozen=True)
class MetricFinding:
    """One metric: how many series it has now, and what its absence costs."""

    metric: str
    series: int
    optional: bool
    costs: str


@dataclass(frozen=True)
class LabelFinding:
    """Something about labels that matters to the collector."""

    what: str
    good: bool
    effect: str


@dataclass(frozen=True)
class Estimate:
    """What a collect would ask of the server, from an hour's sample of the heavy queries."""

    days: int
    requests: int
    bytes: float
    seconds: float


@dataclass(frozen=True)
class Diagnosis:
    """Everything found out about one server."""

    server: str
    product: str
    version: str
    retention: str | None
    """As the server reports it."""
    first_day: datetime | None
    """First day with mesh containers, as far as was looked."""
    scrape_interval_seconds: float | None
    clusters: tuple[str, ...]
    metrics: tuple[MetricFinding, ...]
    labels: tuple[LabelFinding, ...]
    estimate: Estimate | None
    usable: bool
    """CPU or memory of mesh containers is there."""
    newest: datetime | None = None
    """Time of the newest data where that is old: everything here is as of then."""
    matched: str | None = None
    """Values that the labels of the matchers have, where these match nothing."""


def diagnose(
    settings: PrometheusSettings, *, days: int = 30, at: datetime | None = None
) -> list[Diagnosis]:
    """Examine each server.

    Parameters
    ----------
    days : int
        Days of the collect to estimate.
    at : datetime, optional
        Look at this time (UTC) rather than now, or at the newest data where that is older.

    Raises
    ------
    MetricsServerError
        If a server cannot be asked.
    """
    with open_source(settings) as source:
        now = int(source.now()) - 120
        if at is not None:
            now = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())
        found = []
        for endpoint in source.endpoints:
            newest = _newest(source, endpoint, now) if at is None else None
            found.append(_diagnose(source, endpoint, now, days, newest))
        if any(one.usable for one in found):
            return found
        matched = matched_nothing(settings)
        return [replace(one, matched=matched) for one in found]


def _newest(source: Source, endpoint: Endpoint, now: int) -> int | None:
    """When the newest sample of a mesh container was taken, if that is long ago."""
    if len(source.instant(f"count({_CPU})", now, endpoint)):
        return None
    seen = _days_seen(source, endpoint, now)
    # Between two looks lies a day.
    until = seen[-1] + DAY_SECONDS if seen else now
    text = f"max_over_time(max(timestamp({_CPU}))[1d:5m])"
    answer = source.instant(text, min(until, now), endpoint)
    return int(answer.column[0]) if len(answer) else None


def _diagnose(
    source: Source, endpoint: Endpoint, now: int, days: int, newest: int | None
) -> Diagnosis:
    now = newest or now
    metrics = _metrics(source, endpoint, now)
    found = {one.metric for one in metrics if one.series}
    usable = bool(found & {query.metrics[0] for query in USAGE[:2]})
    return Diagnosis(
        newest=None if newest is None else datetime.fromtimestamp(newest, UTC),
        server=endpoint.server.connection.name,
        product=endpoint.product.name,
        version=endpoint.product.version,
        retention=_retention(endpoint),
        first_day=_first_day(source, endpoint, now) if usable else None,
        scrape_interval_seconds=scrape_interval(source, now) if usable else None,
        clusters=tuple(clusters_of(source, now)) if usable else (),
        metrics=tuple(metrics),
        labels=tuple(_labels(source, endpoint, now, found)),
        estimate=_estimate(source, endpoint, now, days, metrics) if usable else None,
        usable=usable,
    )


def _metrics(source: Source, endpoint: Endpoint, now: int) -> list[MetricFinding]:
    about = {query.metrics[0]: query for query in DAILY if query.costs}
    names = "|".join(sorted(about))
    answer = source.single(f'count by (__name__) ({{__name__=~"{names}",$M}})', now, endpoint)
    counts = {
        labels.get("__name__", ""): int(value)
        for labels, value in zip(answer.labels, np.nan_to_num(answer.column), strict=True)
    }
    return [
        MetricFinding(metric, counts.get(metric, 0), query.optional, query.costs)
        for metric, query in about.items()
    ]


def _labels(source: Source, endpoint: Endpoint, now: int, found: set[str]) -> list[LabelFinding]:
    def there(text: str) -> int:
        answer = source.single(f"count({text})", now, endpoint)
        return int(np.nan_to_num(answer.column[0])) if len(answer) else 0

    findings = []
    if "container_cpu_usage_seconds_total" in found:
        runs = there(_CPU)
        findings.append(
            LabelFinding(
                "cAdvisor's label id",
                there(_CPU.replace("$M", 'id!="",$M')) == runs > 0,
                "distinguishes restarted containers; without it a restart is seen as a reset",
            )
        )
        twins = there(f"count by (namespace, pod, container, id) ({_CPU}) > 1")
        findings.append(
            LabelFinding(
                f"{twins} containers are scraped twice" if twins else "no container scraped twice",
                twins == 0,
                "each counts once; two scrape jobs or replicas cost twice the query time",
            )
        )
    if split := splitting_label(source, now, endpoint):
        findings.append(
            LabelFinding(
                f"the server holds {split}",
                False,
                f"choose one with --matcher {split.label}={split.values[0]}: collect refuses both",
            )
        )
    if twice := pods_running_twice(source, now, endpoint):
        findings.append(
            LabelFinding(
                f"{len(twice)} pods have two uids or nodes at once: {', '.join(twice[:3])}",
                False,
                "two clusters may be mixed: choose one with --matcher, or ask its own server",
            )
        )
    if "kube_pod_info" in found:
        renamed = there('kube_pod_info{exported_pod!="",$M}')
        findings.append(
            LabelFinding(
                "kube-state-metrics without honorLabels"
                if renamed
                else "kube-state-metrics with its own labels",
                renamed == 0,
                "exported_pod and exported_namespace are read instead",
            )
        )
    if "kube_node_labels" in found:
        typed = there('kube_node_labels{label_node_kubernetes_io_instance_type!="",$M}')
        findings.append(
            LabelFinding(
                "instance types in kube_node_labels",
                typed > 0,
                "without them give --objects, or they are inferred from capacity",
            )
        )
    return findings


def _retention(endpoint: Endpoint) -> str | None:
    try:
        body = endpoint.server.get("/api/v1/status/runtimeinfo", {})
        data, _ = envelope(body, server=endpoint.server.connection.name)
        return excerpt(str(data["storageRetention"]), 100)
    except (MetricsServerError, KeyError, TypeError):
        # Only Prometheus itself reports it.
        return None


def _first_day(source: Source, endpoint: Endpoint, now: int) -> datetime | None:
    """The first day on which mesh containers were seen, looking once a day."""
    seen = _days_seen(source, endpoint, now)
    return datetime.fromtimestamp(seen[0], UTC) if seen else None


def _days_seen(source: Source, endpoint: Endpoint, now: int) -> list[int]:
    """Moments, a day apart, at which mesh containers were seen, as far back as may be asked."""
    for back in _LOOK_BACK_DAYS:
        first = now - back * DAY_SECONDS
        try:
            moments, counts = source.daily(f"count({_CPU})", first, now, endpoint)
        except MetricsServerError as error:
            # Amazon Managed Prometheus and many Mimirs allow 32 days at once.
            if not error.too_much:
                raise
            continue
        return [moments[int(i)] for i in np.flatnonzero(counts > 0)]
    return []


def _estimate(
    source: Source, endpoint: Endpoint, now: int, days: int, metrics: Sequence[MetricFinding]
) -> Estimate:
    """Scale the heavy queries of one hour to a day; add the inventory by its series.

    Half an hour beside it separates a series' labels, which come once, from its points.
    """
    end = now // HOUR_SECONDS * HOUR_SECONDS
    sizes = []
    started = time.monotonic()
    for length in (HOUR_SECONDS // 2, HOUR_SECONDS):
        before = endpoint.server.traffic.received_bytes
        started = time.monotonic()
        for query in (*USAGE, POD_WINDOWS):
            source.measure(endpoint, query, Day(end - length, end))
        sizes.append(endpoint.server.traffic.received_bytes - before)
    seconds = (time.monotonic() - started) * 24
    heavy = sizes[1] + (sizes[1] - sizes[0]) * 46
    light = sum(
        finding.series
        for finding in metrics
        for query in DAILY
        if query.metrics[0] == finding.metric and query.shape in (Shape.DAY, Shape.MORNING)
    )
    windows = [query for query in DAILY if query.shape is Shape.WINDOWS]
    by_run = asked_together([query for query in DAILY if query.shape is not Shape.WINDOWS])
    return Estimate(
        days=days,
        requests=days * len(windows) + -(-days // DAYS_AT_ONCE) * len(by_run),
        bytes=float(days * (heavy + light * _BYTES_A_SERIES)),
        seconds=days * (seconds + light * _SECONDS_A_SERIES) / max(endpoint.server.gate.width, 1),
    )
