"""One workload's proxies by pod and hour, asked live: what a canary is judged by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from rightsize.border import promql_pattern, promql_string
from rightsize.collectors.prometheus.days import DAY_SECONDS, HOUR_SECONDS, Span
from rightsize.collectors.prometheus.labels import node_of, pod_key
from rightsize.collectors.prometheus.parse import Answer, Grid
from rightsize.collectors.prometheus.query import Query, Shape
from rightsize.collectors.prometheus.source import Source, joined, open_source
from rightsize.collectors.prometheus.workloads import owners
from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError
from rightsize.results import Component

_POD = "namespace, pod, exported_namespace, exported_pod"
_SHORTEST = 60
"""Seconds of a part of an hour that two scrapes fall into."""
_WEEK = 7 * DAY_SECONDS
_MOST_OF_NAME = 52
"""Characters of a workload's name that its pods' names certainly begin with: Kubernetes cuts what is
before the random ending at 58, k8s.io/apiserver/pkg/storage/names."""
SIGNALS = (
    "cpu",
    "periods",
    "throttled",
    "memory",
    "restarts",
    "kills",
    "requests",
    "errors",
    "duration_seconds",
    "tcp_bytes",
)


@dataclass(frozen=True)
class Proxies:
    """One container of one workload."""

    namespace: str
    workload: str
    kind: str
    component: Component
    container: str
    native: bool


def pods_by_hour(
    settings: PrometheusSettings,
    proxies: Proxies,
    since: datetime,
    until: datetime | None = None,
) -> pd.DataFrame:
    """Ask for the pods that a workload owns, from a week before one time to another.

    Returns
    -------
    DataFrame
        A row for each hour and pod: `time` (end of the hour), `pod`, `partial` (a part of an hour, at
        either end, of which kills, restarts and memory alone are known), `uid` and `started` (of the
        pod that had this name; unknown is "" and NaT), and a column for each of `SIGNALS`; NaN is
        unknown. Hours in which a pod was made, or two had one name, are left out.

    Raises
    ------
    MetricsServerError
        If a server cannot be reached or refuses.
    NoDataError
        If no pod of the workload is known.
    """
    with open_source(settings) as source:
        end = int(until.timestamp()) if until is not None else int(source.now())
        begun = int(since.timestamp())
        first = begun // HOUR_SECONDS * HOUR_SECONDS - _WEEK
        mine = _members(source, proxies, first, end)
        if not mine:
            raise NoDataError(
                f"{source.endpoints[0].server.connection.name}: no pod of {proxies.kind} "
                f"{proxies.namespace}/{proxies.workload} in the metrics since {since:%Y-%m-%d %H:%M} UTC",
                hint="does kube-state-metrics show kube_pod_owner there? Is a --matcher in the way?",
            )
        signals = _signals(proxies)
        grid = Span(first, end).grid(Shape.HOURS)
        answers = {name: _asked(source, query, first, end) for name, query in signals.items()}
        starts = _asked(source, _starts(proxies), first, end)
        edges = list(_edges(source, signals, begun, end, mine))
    hours = _frame(answers, grid, mine).assign(partial=False)
    rows = pd.concat([hours, *(edge for edge in edges if len(edge))], ignore_index=True)
    return _with_lives(rows, starts, grid)


def _members(source: Source, proxies: Proxies, first: int, end: int) -> frozenset[str]:
    """Names of the pods that this workload owns, from the owner metrics."""
    inside = {p: f"{p}namespace={promql_string(proxies.namespace)}" for p in ("", "exported_")}
    names = ("kube_pod_owner", "kube_pod_info", "kube_replicaset_owner", "kube_job_owner")
    found = {
        name: _asked(
            source, _query(name, f"last_over_time({name}{{$S,$M}}[1h])", inside), first, end
        )
        for name in names
    }
    known = owners(*(found[name] for name in names))
    nodes = {pod_key(one): node_of(one) for one in found["kube_pod_info"].labels}
    pods = {*nodes, *(pod_key(one) for one in found["kube_pod_owner"].labels)}
    wanted = (proxies.kind, proxies.workload)
    mine = {pod for pod in pods if known.workload(pod, nodes.get(pod, "")) == wanted}
    return frozenset(name for namespace, name in mine if namespace == proxies.namespace)


def _selectors(proxies: Proxies, more: str) -> Mapping[str, str]:
    """Selectors by the prefix of their labels: `exported_` where scraping kept a metric's own so."""
    name = promql_pattern(proxies.workload[:_MOST_OF_NAME])
    return {
        prefix: f"{prefix}namespace={promql_string(proxies.namespace)},"
        f'{prefix}pod=~"{name}.*"' + more.replace("$P", prefix)
        for prefix in ("", "exported_")
    }


def _query(name: str, text: str, selectors: Mapping[str, str]) -> Query:
    """A question for series whose labels are called one way, or the other.

    Where a series has both, its own labels are the `exported_` ones.
    """
    own = [
        text.replace("$S", s if p else f'{s},exported_namespace=""') for p, s in selectors.items()
    ]
    return Query(name, Shape.HOURS, " or ".join(own), ())


def _starts(proxies: Proxies) -> Query:
    text = f"max by ({_POD}, uid) (last_over_time(kube_pod_start_time{{$S,$M}}[1h]))"
    return _query("starts", text, _selectors(proxies, ""))


def _signals(proxies: Proxies) -> Mapping[str, Query]:
    own = _selectors(proxies, f",$Pcontainer={promql_string(proxies.container)}")
    reporter = {"sidecar": "destination", "gateway": "source"}.get(proxies.component)
    served = _selectors(proxies, f',reporter="{reporter}"' if reporter else "")
    family = "kube_pod_init_container" if proxies.native else "kube_pod_container"
    by = f"({_POD})"

    def increase(metric: str, more: str = "") -> str:
        return f"sum by {by} (increase({metric}{{$S,{more}$M}}[1h]))"

    restarts = increase(f"{family}_status_restarts_total")
    killed = f'{family}_status_last_terminated_reason{{$S,reason="OOMKilled",$M}}'
    duration = increase("istio_request_duration_milliseconds_sum")
    tcp = [increase(f"istio_tcp_{way}_bytes_total") for way in ("received", "sent")]
    texts = {
        "cpu": (increase("container_cpu_usage_seconds_total"), own),
        "periods": (increase("container_cpu_cfs_periods_total"), own),
        "throttled": (increase("container_cpu_cfs_throttled_periods_total"), own),
        "memory": (
            f"max by {by} (max_over_time(container_memory_working_set_bytes{{$S,$M}}[1h]))", own
        ),
        "restarts": (restarts, own),
        "kills": (f"{restarts} * on {by} (max by {by} ({killed}) > 0)", own),
        "requests": (increase("istio_requests_total"), served),
        "errors": (increase("istio_requests_total", 'response_code=~"5..",'), served),
        "duration_seconds": (f"{duration} / 1000", served),
        "tcp_bytes": (" + ".join(tcp), served),
    }  # fmt: skip
    return {name: _query(name, text, where) for name, (text, where) in texts.items()}


def _asked(source: Source, query: Query, first: int, end: int) -> Answer:
    """Values of the hours that end in [first, end]."""
    return joined([part.result() for part in source.ask(query, Span(first, end))])


def _series(answer: Answer, times: pd.DatetimeIndex, mine: Collection[str]) -> pd.Series:
    """Values by time and pod; of a series that several servers have, the highest."""
    pods = [pod_key(labels)[1] for labels in answer.labels]
    kept = [number for number, pod in enumerate(pods) if pod in mine]
    values = pd.DataFrame(answer.values[kept], index=[pods[i] for i in kept], columns=times)
    return pd.Series(values.groupby(level=0).max().T.stack()).dropna()


def _frame(answers: Mapping[str, Answer], grid: Grid, mine: Collection[str]) -> pd.DataFrame:
    times = pd.DatetimeIndex(pd.to_datetime(grid.moments, unit="s", utc=True))
    series = {name: _series(answer, times, mine) for name, answer in answers.items()}
    if not any(len(one) for one in series.values()):
        return pd.DataFrame({"time": times[:0], "pod": [], **{name: [] for name in SIGNALS}})
    series = {name: one for name, one in series.items() if len(one)}
    frame = pd.concat(series, axis=1).reindex(columns=list(SIGNALS)).astype(float)
    return frame.rename_axis(["time", "pod"]).reset_index()


def _edges(
    source: Source, signals: Mapping[str, Query], since: int, end: int, mine: Collection[str]
) -> Iterator[pd.DataFrame]:
    """Kills, restarts and memory of the parts of an hour at both ends, which no whole hour shows."""
    over = -(-since // HOUR_SECONDS) * HOUR_SECONDS
    parts = {(since, min(over, end)), (max(since, end // HOUR_SECONDS * HOUR_SECONDS), end)}
    for start, stop in parts:
        if stop - start >= _SHORTEST:
            answers = {
                name: _asked(source, _at_once(signals[name], stop - start), start, stop)
                for name in ("kills", "restarts", "memory")
            }
            yield _frame(answers, Grid(stop, HOUR_SECONDS, 1), mine).assign(partial=True)


def _at_once(query: Query, seconds: int) -> Query:
    return replace(query, shape=Shape.DAY, text=query.text.replace("[1h]", f"[{seconds}s]"))


def _with_lives(rows: pd.DataFrame, starts: Answer, grid: Grid) -> pd.DataFrame:
    """Add `uid` and `started` of the pod that had the name, and leave out hours of two such pods."""
    seen: dict[tuple[float, str], list[tuple[str, float]]] = {}
    for labels, values in zip(starts.labels, starts.values, strict=True):
        for moment in np.flatnonzero(~np.isnan(values)):
            key = grid.moments[moment], pod_key(labels)[1]
            seen.setdefault(key, []).append((labels.get("uid", ""), values[moment]))
    ends = rows["time"].map(lambda time: -(-time.timestamp() // HOUR_SECONDS) * HOUR_SECONDS)
    lives = [
        seen.get((end, pod)) or seen.get((end - HOUR_SECONDS, pod)) or [("", np.nan)]
        for end, pod in zip(ends, rows["pod"], strict=True)
    ]
    started = np.array([max(start for _, start in life) for life in lives])
    alone = np.array([len(set(life)) == 1 for life in lives])
    whole = ~(started > ends - HOUR_SECONDS) | rows["partial"].to_numpy()
    found = rows.assign(
        uid=[life[-1][0] for life in lives], started=pd.to_datetime(started, unit="s", utc=True)
    )
    kept: pd.DataFrame = found[alone & whole].reset_index(drop=True)
    return kept
