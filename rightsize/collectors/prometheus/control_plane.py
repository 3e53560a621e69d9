"""What istiod and CoreDNS say of themselves, by hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rightsize.collectors.prometheus.istio_queries import METRIC_LABEL
from rightsize.collectors.prometheus.labels import PodKey, pod_key
from rightsize.collectors.prometheus.parse import Answer, FloatArray, Grid, Labels

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

# The one label of a metric that sizing looks at; series that differ in others add up.
_KEY_LABEL = {
    "pilot_xds": "version",
    "pilot_xds_pushes": "type",
    "pilot_push_triggers": "type",
    "pilot_inbound_updates": "type",
    "pilot_k8s_cfg_events": "type",
    "pilot_k8s_reg_events": "type",
    "coredns_dns_responses_total": "rcode",
    "istio_agent_dns_requests_total": "namespace",
    "istio_agent_dns_upstream_requests_total": "namespace",
}
# Labels that scraping adds: two series that differ in these alone are one, seen twice.
_SCRAPE = frozenset(
    {
        "job",
        "instance",
        "endpoint",
        "service",
        "prometheus",
        "prometheus_replica",
        "__replica__",
        "replica",
        "container",
        "node",
    }
)


@dataclass(frozen=True)
class _Group:
    pod: str
    metric: str
    label: str


def control_plane_frame(
    answers: Mapping[str, Answer], grid: Grid, starts: Mapping[PodKey, float]
) -> pd.DataFrame:
    """Return the rows of table `control_plane`.

    Parameters
    ----------
    grid : Grid
        Hour ends, the end of the day before included.
    starts : mapping of (namespace, pod) to float
        Start times of pods, epoch seconds: a counter of a new pod counts from zero.
    """
    gauges = ("istiod_gauges", "istiod_process")
    counters = ("istiod_counters", "istiod_cpu", "istiod_histograms")
    return _by_hour([answers[n] for n in gauges], [answers[n] for n in counters], grid, starts)


def dns_frame(
    answers: Mapping[str, Answer], grid: Grid, starts: Mapping[PodKey, float]
) -> pd.DataFrame:
    """Return the rows of table `dns`; arguments are those of `control_plane_frame`."""
    gauges = [answers[name] for name in ("dns_peaks", "dns_usage", "dns_agents")]
    return _by_hour(gauges, [answers["dns_counters"]], grid, starts)


def _by_hour(
    gauges: Sequence[Answer],
    counters: Sequence[Answer],
    grid: Grid,
    starts: Mapping[PodKey, float],
) -> pd.DataFrame:
    sums: dict[_Group, FloatArray] = {}
    for answer in gauges:
        for labels, row in _once(answer):
            _add(sums, _group(labels), row[1:])
    counted = [series for answer in counters for series in _once(answer)]
    there: dict[str, BoolArray] = {}
    for labels, row in counted:
        pod = _pod(labels)
        there[pod] = there.get(pod, np.zeros(len(row), dtype=bool)) | ~np.isnan(row)
    for labels, row in counted:
        gain = hourly_increase(row, grid, starts.get(pod_key(labels)), there[_pod(labels)])
        _add(sums, _group(labels), gain)
    return _long(sums, grid)


def hourly_increase(
    counter: FloatArray, grid: Grid, started: float | None, there: BoolArray
) -> FloatArray:
    """Increase from last sample to last sample; after a reset the counter's own value.

    A counter that appears counts from zero if its pod started within that hour, or if the pod was
    there an hour ago (istiod shows a series once there is something to count); else it is unknown.

    Parameters
    ----------
    counter : array of float, shape (hours + 1,)
    started : float or None
        Start time of the pod, epoch seconds.
    there : array of bool, shape (hours + 1,)
        Hours with a sample of any counter of the pod.
    """
    gain = np.diff(counter)
    gain = np.where(gain < 0, counter[1:], gain)
    appeared = np.isnan(counter[:-1]) & ~np.isnan(counter[1:])
    zero = appeared & there[:-1]
    if started is not None:
        ends = grid.start + grid.step * np.arange(1, len(counter))
        zero |= appeared & (started >= ends - grid.step) & (started <= ends)
    return np.where(zero, counter[1:], gain)


def _once(answer: Answer) -> list[tuple[Labels, FloatArray]]:
    """Each series once, its gaps filled by duplicates of it."""
    found: dict[frozenset[tuple[str, str]], tuple[Labels, FloatArray]] = {}
    for labels, row in zip(answer.labels, answer.values, strict=True):
        clean = np.where(row < 0, np.nan, row)
        key = frozenset((name, value) for name, value in labels.items() if name not in _SCRAPE) | {
            ("pod", _pod(labels))
        }
        if key in found:
            there = found[key][1]
            clean = np.where(np.isnan(there), clean, there)
        found[key] = (labels, clean)
    return list(found.values())


def _group(labels: Labels) -> _Group:
    metric = labels.get(METRIC_LABEL) or labels.get("__name__", "")
    key = "le" if metric.endswith("_bucket") else _KEY_LABEL.get(metric)
    label = f"{key}={labels[key]}" if key and key in labels else ""
    return _Group(_pod(labels), metric, label)


def _pod(labels: Labels) -> str:
    # A scrape job without a pod label still distinguishes istiods by address.
    return pod_key(labels)[1] or labels.get("instance", "")


def _add(sums: dict[_Group, FloatArray], group: _Group, row: FloatArray) -> None:
    there = sums.get(group)
    if there is None:
        sums[group] = row
        return
    sums[group] = np.where(np.isnan(there), row, there + np.where(np.isnan(row), 0.0, row))


def _long(sums: Mapping[_Group, FloatArray], grid: Grid) -> pd.DataFrame:
    groups: Sequence[_Group] = list(sums)
    if not groups:
        return pd.DataFrame()
    values = np.array([sums[group] for group in groups])
    series, hour = np.nonzero(~np.isnan(values))
    of = [groups[int(i)] for i in series]
    ends = pd.to_datetime(grid.start + grid.step * (hour + 1), unit="s", utc=True)
    return pd.DataFrame(
        {
            "time": ends,
            "pod": [group.pod for group in of],
            "metric": [group.metric for group in of],
            "label": [group.label for group in of],
            "value": values[series, hour],
        }
    )
