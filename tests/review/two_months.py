"""A small cluster over two months whose saving is known: the node set follows what is requested.

Memory goes with CPU everywhere (2 GiB a core), so both resources explain the same, and machines run
for as long as the requests of a month need them: `requested / CORES_A_NODE` nodes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter, frame
from tests.tiny_mesh import Tiny, tiny_nodes, tiny_tables

GIB = 2.0**30
CORES_A_NODE = 3.375
APP_CORES = 0.4
SEPTEMBER, OCTOBER = date(2026, 9, 1), date(2026, 10, 1)
OLD_PRICE, NEW_PRICE = 0.192, 0.21


@dataclass(frozen=True)
class Month:
    """Days of one month. Proxies ask for `web` and `api` cores; `pods` of each."""

    first: date
    days: int
    pods: tuple[int, int] = (10, 5)
    web: float = 0.5
    api: float = 0.5
    requests: float = 1e6
    price: float = OLD_PRICE
    oom_kills: int = 0

    @property
    def cores(self) -> float:
        """What all pods request."""
        return self.pods[0] * (self.web + APP_CORES) + self.pods[1] * (self.api + APP_CORES)

    @property
    def nodes(self) -> float:
        return self.cores / CORES_A_NODE

    @property
    def usd_per_hour(self) -> float:
        return self.nodes * self.price


def written(path: Path, *months: Month, cluster: str = "two-months") -> Snapshot:
    """Write the months into one snapshot, or add them to it."""
    manifest = Manifest(cluster=cluster, source="demo", simulated=True, region="us-east-1")
    with SnapshotWriter(path, manifest) as writer:
        for month in months:
            for number in range(month.days):
                day = month.first + timedelta(days=number)
                start = datetime(day.year, day.month, day.day, tzinfo=UTC)
                record = DayRecord(start, start + timedelta(days=1), complete=True, rows={})
                writer.write_day(day, tables_of(month, start), record)
    return Snapshot(path)


def written_of(
    path: Path,
    month: Month,
    change: Callable[[int, dict[str, pd.DataFrame]], None] = lambda number, tables: None,
) -> Snapshot:
    """Write the days of one month anew, of which `change` alters the tables by the day's number."""
    shutil.rmtree(path, ignore_errors=True)
    manifest = Manifest(cluster="two-months", source="demo", simulated=True, region="us-east-1")
    with SnapshotWriter(path, manifest) as writer:
        for number in range(month.days):
            day = month.first + timedelta(days=number)
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            tables = tables_of(month, start)
            change(number, tables)
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={})
            writer.write_day(day, tables, record)
    return Snapshot(path)


def promise(workload: str, recommended: float, now: float = 0.5) -> dict[str, object]:
    """One earlier recommendation, as reports keep it."""
    return {
        "component": "sidecar",
        "namespace": "shop",
        "workload": workload,
        "container": "istio-proxy",
        "cpu_request": now,
        "memory_request": now * 2 * GIB,
        "recommended_cpu": recommended,
        "recommended_memory": recommended * 2 * GIB,
    }


def tables_of(month: Month, start: datetime) -> dict[str, pd.DataFrame]:
    tables = tiny_tables(_containers(month), start)
    names = tables["pods"]["pod"]
    whole = int(np.ceil(month.nodes))
    tables["pods"]["node"] = [f"node-{number % whole + 1}" for number in range(len(names))]
    tables["nodes"] = _nodes(month, start, whole)
    tables["traffic"] = _traffic(month, start)
    tables["prices"] = _prices(month, start)
    return tables


def _containers(month: Month) -> Sequence[Tiny]:
    def one(workload: str, pods: int, cores: float, kills: int = 0) -> Tiny:
        return Tiny(
            workload=workload,
            pods=pods,
            cpu=(0.02, 0.03),
            memory=(60 * 2.0**20,),
            cpu_request=cores,
            memory_request=cores * 2 * GIB,
            memory_limit=2 * GIB,
            app_cpu_request=APP_CORES,
            app_memory_request=APP_CORES * 2 * GIB,
            oom_kills=kills,
        )

    both = (
        ("web", month.pods[0], month.web, month.oom_kills),
        ("api", month.pods[1], month.api, 0),
    )
    return [one(*each) for each in both if each[1]]


def _nodes(month: Month, start: datetime, whole: int) -> pd.DataFrame:
    """Whole nodes all day, and the last one for the rest of the node-hours."""
    hours = np.clip(24 * (month.nodes - np.arange(whole)), 0, 24)
    begins = pd.Timestamp(start) + pd.Timedelta(minutes=5)
    lived = pd.to_timedelta(hours - 1 / 12, unit="h").round("ms")
    return tiny_nodes(whole).assign(first_seen=begins, last_seen=begins + lived)


def _traffic(month: Month, start: datetime) -> pd.DataFrame:
    rows = {
        "time": [pd.Timestamp(start) + pd.Timedelta(hours=1)],
        "source_namespace": ["shop"],
        "source_workload": ["web"],
        "destination_namespace": ["shop"],
        "destination_workload": ["api"],
        "destination_service": ["api.shop.svc.cluster.local"],
        "protocol": ["http"],
        "requests": [month.requests],
        "bytes": [1e9],
    }
    return frame("traffic", pd.DataFrame(rows))


def _prices(month: Month, start: datetime) -> pd.DataFrame:
    rows = {
        "instance_type": ["m5.xlarge"],
        "region": ["us-east-1"],
        "zone": [None],
        "purchase_option": ["on-demand"],
        "usd_per_hour": [month.price],
        "source": ["a price list"],
        "as_of": [pd.Timestamp(start)],
    }
    return frame("prices", pd.DataFrame(rows))
