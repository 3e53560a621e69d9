"""An istiod that follows a law we know, as the tables of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter
from rightsize.snapshot.schema import frame

MIB = 2**20
START = pd.Timestamp("2026-09-01T00:00Z")


@dataclass(frozen=True)
class Law:
    """Memory in MiB and CPU in cores of one pod, by driver."""

    level: float = 200.0
    service: float = 0.5
    proxy: float = 0.3
    cpu_level: float = 0.05
    cpu_proxy: float = 2e-4
    cpu_push: float = 0.01
    noise: float = 0.02


@dataclass(frozen=True)
class Mesh:
    """Mesh-wide load at the start, its growth over the window, and what goes wrong."""

    services: float = 600.0
    proxies: float = 1800.0
    growth: float = 0.3
    hours: int = 14 * 24
    pods: tuple[str, ...] = ("istiod-a", "istiod-b")
    law: Law = Law()
    leak_mib_per_hour: float = 0.0
    cap_mib: float = np.inf
    held_hours: int = 1
    """Memory is given back only after so many hours."""
    seed: int = 0


def hours_of(mesh: Mesh) -> pd.DataFrame:
    """Rows of (time, pod) with proxies, services, pushes, memory (bytes), cpu, age_hours."""
    rng = np.random.default_rng(mesh.seed)
    n = mesh.hours
    grown = np.linspace(1, 1 + mesh.growth, n)
    daily = 1 + 0.12 * np.sin(np.arange(n) / 24 * 2 * np.pi)
    parts = []
    for pod in mesh.pods:
        services = np.round(mesh.services * grown)
        proxies = mesh.proxies / len(mesh.pods) * grown * daily * rng.normal(1, 0.02, n)
        pushes = rng.gamma(3.0, proxies / 600)
        law = mesh.law
        memory = law.level + law.service * services + law.proxy * proxies
        memory = pd.Series(np.minimum(memory, mesh.cap_mib))
        memory = memory.rolling(mesh.held_hours, min_periods=1).max().to_numpy()
        memory = memory + mesh.leak_mib_per_hour * np.arange(n)
        cpu = law.cpu_level + law.cpu_proxy * proxies + law.cpu_push * pushes
        parts.append(
            pd.DataFrame(
                {
                    "time": START + pd.to_timedelta(np.arange(1, n + 1), "h"),
                    "pod": pod,
                    "proxies": proxies,
                    "services": services,
                    "endpoints": np.nan,
                    "pushes": pushes,
                    "pushed_mib": np.nan,
                    "cpu": cpu * rng.normal(1, law.noise, n),
                    "cpu_burst": cpu * 1.5,
                    "memory": memory * MIB * rng.normal(1, law.noise, n),
                    "age_hours": np.arange(n) + 50.0,
                }
            )
        )
    return pd.concat(parts).sort_values(["time", "pod"], ignore_index=True)


def control_plane_of(hours: pd.DataFrame) -> pd.DataFrame:
    """The same as the snapshot's long table."""
    metrics = [
        ("pilot_xds", "version=1.28.3", hours["proxies"]),
        ("pilot_services", "", hours["services"]),
        ("pilot_xds_pushes", "type=cds", hours["pushes"] * 1200),
        ("pilot_xds_pushes", "type=eds", hours["pushes"] * 2400),
        ("process_resident_memory_bytes", "", hours["memory"]),
        ("process_cpu_seconds_total", "", hours["cpu"] * 3600),
    ]
    parts = [
        hours[["time", "pod"]].assign(metric=metric, label=label, value=value)
        for metric, label, value in metrics
    ]
    return frame("control_plane", pd.concat(parts, ignore_index=True))


def histogram(
    metric: str, counts: dict[float, float], *, hours: int = 24, pod: str = "istiod-a"
) -> pd.DataFrame:
    """The same cumulative buckets in each of `hours` hours."""
    times = START + pd.to_timedelta(np.arange(1, hours + 1), "h")
    parts = []
    for bound, count in counts.items():
        label = f"le={'+Inf' if np.isinf(bound) else bound}"
        parts.append(
            pd.DataFrame(
                {"time": times, "pod": pod, "metric": f"{metric}_bucket", "label": label,
                 "value": count}
            )
        )  # fmt: skip
    return frame("control_plane", pd.concat(parts, ignore_index=True))


def containers_of(
    pods: tuple[str, ...] = ("istiod-a", "istiod-b"),
    *,
    cpu_request: float | None = 2.0,
    memory_request: float | None = 8 * 2**30,
    memory_limit: float | None = None,
    cpu_limit: float | None = None,
) -> pd.DataFrame:
    """istiod's containers with these sizes."""
    rows = pd.DataFrame(
        {
            "namespace": "istio-system",
            "pod": list(pods),
            "container": "discovery",
            "component": "istiod",
            "init": False,
            "native": False,
            "cpu_request": cpu_request,
            "cpu_limit": cpu_limit,
            "memory_request": memory_request,
            "memory_limit": memory_limit,
            "restarts": 0.0,
            "oom_kills": 0.0,
        }
    )
    return frame("containers", rows).assign(day=START)


def istiod_snapshot(path: Path, mesh: Mesh, *, convergence: dict[float, float]) -> Snapshot:
    """A snapshot that holds nothing but istiod and its metrics."""
    hours = hours_of(mesh)
    delays = histogram("pilot_proxy_convergence_time", convergence, hours=mesh.hours)
    table = pd.concat([control_plane_of(hours), delays])
    days = (table["time"] - pd.Timedelta("1s")).dt.floor("D")
    manifest = Manifest(cluster="tiny", source="demo", simulated=True, region="us-east-1")
    containers = containers_of(mesh.pods).drop(columns="day")
    pods = frame(
        "pods", {"namespace": "istio-system", "pod": list(mesh.pods), "workload": "istiod"}
    )
    with SnapshotWriter(path, manifest) as writer:
        for day in sorted(days.unique()):
            tables = {"control_plane": table[days == day], "containers": containers, "pods": pods}
            record = DayRecord(day, day + pd.Timedelta("1D"), complete=True, rows={})
            writer.write_day(day.date(), tables, record)
    return Snapshot(path)
