"""Edges between workloads, by hour, from Istio's standard metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.collectors.prometheus.parse import Answer, FloatArray, Grid, Labels

_MILLISECONDS = 1000.0
# The called side knows of mutual TLS; the calling side alone sees calls that leave the mesh.
_REPORTERS = ("destination", "waypoint", "source")


@dataclass(frozen=True)
class _Edge:
    source_namespace: str
    source_workload: str
    destination_namespace: str
    destination_workload: str
    destination_service: str
    protocol: str


class _Sums:
    """Hourly sums of one edge as one reporter saw it, each of shape (hours,)."""

    def __init__(self, hours: int) -> None:
        self.requests: FloatArray = np.zeros(hours)
        self.errors: FloatArray = np.zeros(hours)
        self.mutual_tls: FloatArray = np.zeros(hours)
        self.duration: FloatArray = np.zeros(hours)
        self.bytes: FloatArray = np.zeros(hours)
        self.tls_known = False


def traffic_frame(answers: Mapping[str, Answer], grid: Grid) -> pd.DataFrame:
    """Return the rows of table `traffic`.

    A call that both its ends reported counts once, as the called end saw it.
    """
    sums: dict[tuple[_Edge, str], _Sums] = {}
    hours = max(grid.count - 1, 0)
    for labels, row in _rows(answers["calls"]):
        one = _of(sums, labels, hours)
        one.requests += row
        if _failed(labels):
            one.errors += row
        _add_tls(one, labels, row)
    for labels, row in _rows(answers["connections"]):
        one = _of(sums, labels, hours)
        one.requests += row
        _add_tls(one, labels, row)
    for name in ("request_bytes", "response_bytes", "sent_bytes", "received_bytes"):
        for labels, row in _rows(answers[name]):
            _of(sums, labels, hours).bytes += row
    for labels, row in _rows(answers["durations"]):
        _of(sums, labels, hours).duration += row / _MILLISECONDS
    chosen: dict[_Edge, _Sums] = {}
    for reporter in _REPORTERS:
        for (edge, by), one in sums.items():
            if by == reporter and one.requests.any():
                chosen.setdefault(edge, one)
    return _long(chosen, grid)


def _rows(answer: Answer) -> list[tuple[Labels, FloatArray]]:
    filled = np.nan_to_num(answer.values[:, 1:])
    return list(zip(answer.labels, filled, strict=True))


def _of(sums: dict[tuple[_Edge, str], _Sums], labels: Labels, hours: int) -> _Sums:
    def name(label: str) -> str:
        return labels.get(label) or "unknown"

    # TCP metrics carry no protocol, or "tcp".
    protocol = labels.get("request_protocol") or "tcp"
    edge = _Edge(
        name("source_workload_namespace"),
        name("source_workload"),
        name("destination_workload_namespace"),
        name("destination_workload"),
        name("destination_service"),
        protocol,
    )
    key = edge, labels.get("reporter", "")
    if key not in sums:
        sums[key] = _Sums(hours)
    return sums[key]


def _failed(labels: Labels) -> bool:
    """5xx or no answer at all (Istio writes 0), or a gRPC status other than OK."""
    code = labels.get("response_code", "")
    if code.startswith("5") or code == "0":
        return True
    return labels.get("grpc_response_status", "") not in ("", "0")


def _add_tls(one: _Sums, labels: Labels, row: FloatArray) -> None:
    policy = labels.get("connection_security_policy", "unknown")
    one.tls_known |= policy in ("mutual_tls", "none")
    if policy == "mutual_tls":
        one.mutual_tls += row


def _long(edges: Mapping[_Edge, _Sums], grid: Grid) -> pd.DataFrame:
    parts = []
    for edge, one in edges.items():
        hour = np.flatnonzero(one.requests)
        tcp = edge.protocol == "tcp"
        parts.append(
            pd.DataFrame(
                {
                    "time": pd.to_datetime(grid.start + grid.step * (hour + 1), unit="s", utc=True),
                    "source_namespace": edge.source_namespace,
                    "source_workload": edge.source_workload,
                    "destination_namespace": edge.destination_namespace,
                    "destination_workload": edge.destination_workload,
                    "destination_service": edge.destination_service,
                    "protocol": edge.protocol,
                    "requests": one.requests[hour],
                    "errors": np.nan if tcp else one.errors[hour],
                    "mutual_tls": one.mutual_tls[hour] if one.tls_known else np.nan,
                    "duration_seconds": np.nan if tcp else one.duration[hour],
                    "bytes": one.bytes[hour],
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
