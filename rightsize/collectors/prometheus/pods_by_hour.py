"""One workload's proxies by pod and hour, asked live: what a canary is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from rightsize.border import promql_pattern, promql_string
from rightsize.collectors.prometheus.days import DAY_SECONDS, HOUR_SECONDS, Span
from rightsize.collectors.prometheus.parse import Answer, Grid
from rightsize.collectors.prometheus.query import Query, Shape
from rightsize.collectors.prometheus.source import Source, joined, open_source
from rightsize.config import PrometheusSettings

_WEEK = 7 * DAY_SECONDS


@dataclass(frozen=True)
class PodsByHour:
    """`hours` has `time` (end of the hour), `pod` and a column for each signal; NaN is unknown."""

    hours: pd.DataFrame
    busiest: float | None
    """Requests of one pod in the busiest hour of the week before; None where none is known."""


def pods_by_hour(
    settings: PrometheusSettings,
    namespace: str,
    workload: str,
    container: str,
    since: datetime,
    until: datetime | None = None,
) -> PodsByHour:
    """Ask for a workload's pods from one time to another; whole hours alone count.

    Raises
    ------
    MetricsServerError
        If a server cannot be reached or refuses.
    """
    with open_source(settings) as source:
        end = int(until.timestamp()) if until is not None else int(source.now())
        start = int(since.timestamp())
        first = -(-start // HOUR_SECONDS) * HOUR_SECONDS
        queries = _queries(namespace, workload, container)
        names = {name: _series(source, query, first, end) for name, query in queries.items()}
        frame = pd.concat(names, axis=1) if names else pd.DataFrame()
        before = _series(source, queries["requests"], first - _WEEK, first)
    hours = frame.rename_axis(["time", "pod"]).reset_index()
    most = float(before.max()) if len(before) else np.nan
    return PodsByHour(hours, most if np.isfinite(most) and most > 0 else None)


def _queries(namespace: str, workload: str, container: str) -> Mapping[str, Query]:
    pods = f'namespace={promql_string(namespace)},pod=~"{promql_pattern(workload)}-.+"'
    proxy = f"{pods},container={promql_string(container)},$M"
    served = f'reporter="destination",{pods}'

    def asked(name: str, text: str) -> Query:
        return Query(name, Shape.HOURS, f"sum by (pod) ({text})", ())

    def increase(metric: str, selector: str) -> str:
        return f"increase({metric}{{{selector}}}[1h])"

    killed = f'kube_pod_container_status_last_terminated_reason{{reason="OOMKilled",{proxy}}}'
    restarts = increase("kube_pod_container_status_restarts_total", proxy)
    texts = {
        "periods": increase("container_cpu_cfs_periods_total", proxy),
        "throttled": increase("container_cpu_cfs_throttled_periods_total", proxy),
        "memory": f"max_over_time(container_memory_working_set_bytes{{{proxy}}}[1h])",
        "restarts": restarts,
        "kills": f"{restarts} * on (namespace, pod, container) ({killed} > 0)",
        "requests": increase("istio_requests_total", f"{served},$M"),
        "errors": increase("istio_requests_total", f'{served},response_code=~"5..",$M'),
        "duration_seconds": increase("istio_request_duration_milliseconds_sum", f"{served},$M")
        + " / 1000",
    }
    return {name: asked(name, text) for name, text in texts.items()}


def _series(source: Source, query: Query, first: int, end: int) -> pd.Series:
    """Values by time and pod, of the hours that end in (first, end]."""
    parts = [pd.Series(dtype=float)]
    midnight = first // DAY_SECONDS * DAY_SECONDS
    while midnight < end:
        span = Span(midnight, min(midnight + DAY_SECONDS, end))
        answer = joined([future.result() for future in source.ask(query, span)])
        parts.append(_by_hour(answer, span.grid(query.shape), first, end))
        midnight += DAY_SECONDS
    found = pd.concat([part for part in parts if len(part)] or parts)
    once: pd.Series = found[~found.index.duplicated()]
    return once


def _by_hour(answer: Answer, grid: Grid, first: int, end: int) -> pd.Series:
    moments = grid.start + grid.step * np.arange(grid.count)
    inside = (moments > first) & (moments <= end)
    pods = [labels.get("pod", "") for labels in answer.labels]
    times = pd.to_datetime(moments[inside], unit="s", utc=True)
    table = pd.DataFrame(answer.values[:, inside].T, index=times, columns=pods)
    highest = table.T.groupby(level=0).max().T
    return pd.Series(highest.stack()).dropna()
