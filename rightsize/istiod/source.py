"""What the control-plane commands read of a snapshot: istiod's own rows, not the whole mesh's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.config import PolicySettings
from rightsize.istiod.observations import istiod_hours
from rightsize.istiod.sizing import IstiodAdvice, in_force, recommend_istiod
from rightsize.istiod.thresholds import Outlook, istiod_node, outlook
from rightsize.snapshot import Manifest, Snapshot


@dataclass(frozen=True)
class IstiodTables:
    """Tables of the snapshot; `usage` and `containers` hold istiod's containers only."""

    control_plane: pd.DataFrame
    usage: pd.DataFrame
    containers: pd.DataFrame
    pods: pd.DataFrame
    hpas: pd.DataFrame
    nodes: pd.DataFrame

    @property
    def hours(self) -> pd.DataFrame:
        """See `istiod_hours`."""
        return istiod_hours(
            self.control_plane, pods=self.pods, usage=self.usage, containers=self.containers
        )


def read_istiod(snapshot: Snapshot) -> IstiodTables:
    """Read istiod's part of a snapshot."""
    containers = snapshot.read("containers")
    containers = containers[containers["component"] == "istiod"]
    return IstiodTables(
        control_plane=snapshot.read("control_plane"),
        usage=usage_of(snapshot, containers["pod"]),
        containers=containers,
        pods=snapshot.read("pods"),
        hpas=snapshot.read("hpas"),
        nodes=snapshot.read("nodes"),
    )


def usage_of(
    snapshot: Snapshot,
    pods: pd.Series,
    *,
    days: list[date] | None = None,
    columns: list[str] | None = None,
) -> pd.DataFrame:
    """Rows of the snapshot's `usage` that belong to these pods, filtered day by day."""
    wanted = pa.array(sorted(set(pods.astype(str))), type=pa.string())
    parts = [
        part.filter(pc.is_in(part.column("pod").cast(pa.string()), value_set=wanted))
        for _, part in snapshot.by_day("usage", days=days, columns=columns)
    ]
    return pd.DataFrame(pa.concat_tables(parts).unify_dictionaries().to_pandas())


def size_istiod(
    tables: IstiodTables, manifest: Manifest, settings: PolicySettings | None = None
) -> IstiodAdvice:
    """Size istiod from its part of a snapshot.

    Raises
    ------
    NoDataError
        Where the tables hold nothing of istiod.
    """
    return recommend_istiod(
        tables.control_plane,
        usage=tables.usage,
        containers=tables.containers,
        pods=tables.pods,
        hpas=tables.hpas,
        region=manifest.region,
        istio_version=manifest.istio_version,
        settings=settings,
    )


def study_istiod(
    snapshot: Snapshot, settings: PolicySettings | None = None
) -> tuple[IstiodAdvice, Outlook]:
    """Size the snapshot's istiod and project when it outgrows what it has.

    Raises
    ------
    NoDataError
        Where the snapshot holds nothing of istiod.
    """
    tables = read_istiod(snapshot)
    advice = size_istiod(tables, snapshot.manifest, settings)
    ahead = outlook(
        tables.hours,
        advice.model,
        in_force=in_force(tables.containers),
        node=istiod_node(tables.pods, tables.containers, tables.nodes),
    )
    return advice, ahead
