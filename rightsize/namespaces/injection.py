"""Workloads with a sidecar that had nothing to do."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.namespaces.traffic import UNKNOWN


@dataclass(frozen=True, slots=True)
class InjectionCandidate:
    """A workload without any mesh traffic. Requests are sums over its pods, None if not set."""

    namespace: str
    workload: str
    kind: str
    pods: int
    days: int
    cpu_request: float | None
    memory_request: float | None
    native: bool

    @property
    def label(self) -> str:
        """The label of the pod template; the annotation of the same name is deprecated."""
        return 'sidecar.istio.io/inject: "false"'


def injection_candidates(
    edges: pd.DataFrame, pods: pd.DataFrame, containers: pd.DataFrame, *, least_days: int = 7
) -> tuple[InjectionCandidate, ...]:
    """Return workloads with a sidecar that neither called nor were called, the largest first.

    Traffic without telemetry (UDP, excluded ports, addresses outside the mesh before a sidecar)
    is not seen here, and a workload that must be reached under STRICT mutual TLS needs its
    sidecar the day it is called: a candidate is to be asked about, not to be switched off.

    Parameters
    ----------
    edges : DataFrame
        As `rightsize.namespaces.traffic.edges` gives.
    pods, containers : DataFrame
        Tables of the snapshot, with `day`.
    least_days : int
        Days a workload must have been seen with its sidecar.
    """
    sidecars = containers[containers["component"] == "sidecar"]
    keys = ["day", "namespace", "pod"]
    owners = pods[[*keys, "workload", "workload_kind"]]
    joined = _plain(sidecars).merge(_plain(owners), on=keys, how="inner")
    joined["workload"] = joined["workload"].fillna(joined["pod"])
    last_day = joined["day"].max()
    busy, blind = _busy(edges)
    found = []
    for (namespace, workload), rows in joined.groupby(["namespace", "workload"]):
        days = int(rows["day"].nunique())
        newest = rows[rows["day"] == last_day]
        if (str(namespace), str(workload)) in busy or str(namespace) in blind:
            continue
        if days < least_days or newest.empty:
            continue
        found.append(
            InjectionCandidate(
                namespace=str(namespace),
                workload=str(workload),
                kind=str(newest["workload_kind"].iloc[0]),
                pods=int(newest["pod"].nunique()),
                days=days,
                cpu_request=_sum(newest["cpu_request"]),
                memory_request=_sum(newest["memory_request"]),
                native=bool(newest["native"].any()),
            )
        )
    return tuple(sorted(found, key=lambda c: (-(c.memory_request or 0.0), c.namespace, c.workload)))


def _busy(edges: pd.DataFrame) -> tuple[set[tuple[str, str]], set[str]]:
    """Workloads with traffic, and namespaces called at a workload that the metric does not name."""
    busy = set(zip(edges["source_namespace"], edges["source_workload"], strict=True))
    busy |= set(zip(edges["destination_namespace"], edges["destination_workload"], strict=True))
    blind = {place for place, workload in busy if workload == UNKNOWN and place != UNKNOWN}
    return busy, blind


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


def _sum(values: pd.Series) -> float | None:
    total = values.sum(min_count=1)
    return None if pd.isna(total) else float(total)
