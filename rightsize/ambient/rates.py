"""Requests of each workload and into each namespace, hour by hour, from the snapshot's traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.namespaces.traffic import UNKNOWN
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import plain_text

BUSY = 0.99
"""Quantile of the hours for which a proxy is sized."""
_COLUMNS = [
    "time", "source_namespace", "source_workload", "destination_namespace",
    "destination_workload", "protocol", "requests", "bytes",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rates:
    """Frames over hours; requests and bytes a second. Connections of TCP count as requests.

    `through` has a column for each (namespace, workload): what its pods sent and received.
    `into` has a column for each (namespace, protocol) that was called.
    """

    through: pd.DataFrame
    into: pd.DataFrame
    bytes_into: pd.DataFrame

    def busy_into(self, namespace: str, *, layer_7: bool = True) -> float:
        """Requests a second into a namespace in its busy hour; of HTTP and gRPC, or of TCP."""
        return _busy(self._of(self.into, namespace, layer_7))

    def busy_bytes(self, namespace: str) -> float:
        """Bytes a second of HTTP and gRPC into a namespace in its busy hour."""
        return _busy(self._of(self.bytes_into, namespace, True))

    def grpc_share(self, namespace: str) -> float:
        """gRPC's share of the requests of HTTP and gRPC."""
        both = self._of(self.into, namespace, True)
        total = float(both.to_numpy().sum())
        grpc = both.loc[:, both.columns.get_level_values(1) == "grpc"]
        return float(grpc.to_numpy().sum()) / total if total else 0.0

    @staticmethod
    def _of(frame: pd.DataFrame, namespace: str, layer_7: bool) -> pd.DataFrame:
        names, protocols = (frame.columns.get_level_values(level) for level in (0, 1))
        chosen = (names == namespace) & ((protocols != "tcp") == layer_7)
        return pd.DataFrame(frame.loc[:, chosen])


def read_rates(snapshot: Snapshot) -> Rates:
    """Rates of a whole snapshot, read day by day."""
    through: list[pd.Series] = []
    into: list[pd.Series] = []
    volume: list[pd.Series] = []
    for _, part in snapshot.by_day("traffic", columns=_COLUMNS):
        rows = plain_text(pd.DataFrame(part.to_pandas()))
        ends = [
            rows[["time", f"{end}_namespace", f"{end}_workload", "requests"]].set_axis(
                ["time", "namespace", "workload", "requests"], axis=1
            )
            for end in ("source", "destination")
        ]
        both = pd.concat(ends, ignore_index=True)
        both = both[both["workload"] != UNKNOWN]
        through.append(both.groupby(["time", "namespace", "workload"])["requests"].sum())
        called = rows.rename(columns={"destination_namespace": "namespace"})
        groups = called.groupby(["time", "namespace", "protocol"])
        into.append(groups["requests"].sum())
        volume.append(groups["bytes"].sum())
    return Rates(*(_wide(parts) for parts in (through, into, volume)))


def by_node(through: pd.DataFrame, pods: pd.DataFrame) -> pd.Series:
    """Requests a second through the ztunnel of each node in its busy hour.

    A workload's requests are shared evenly by its pods; the caller's node counts a request once and
    the called node once.

    Parameters
    ----------
    through : DataFrame
        Of `Rates`.
    pods : DataFrame
        `namespace`, `workload`, `node` of the pods that would be in ambient mode.
    """
    counts = pods.groupby(["namespace", "workload", "node"]).size()
    if counts.empty or through.empty:
        return pd.Series(dtype=float)
    wide = counts.unstack("node", fill_value=0).astype(float)
    shares = wide.div(wide.sum(axis=1), axis=0).reindex(through.columns).fillna(0.0)
    hours = through.to_numpy() @ shares.to_numpy()
    return pd.Series(np.quantile(hours, BUSY, axis=0), index=shares.columns, name="rate")


def _wide(parts: list[pd.Series]) -> pd.DataFrame:
    rows = pd.concat(parts) if parts else pd.Series(dtype=float)
    if rows.empty:
        columns = pd.MultiIndex.from_arrays([[], []])
        return pd.DataFrame(index=pd.DatetimeIndex([]), columns=columns, dtype=float)
    levels = list(rows.index.names[1:])
    return pd.DataFrame(rows.unstack(levels)).fillna(0.0) / 3600


def _busy(frame: pd.DataFrame) -> float:
    return float(frame.sum(axis=1).quantile(BUSY)) if frame.size else 0.0
