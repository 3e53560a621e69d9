"""Tiny pods, nodes and snapshots, so that a test reads as: these pods, these nodes, this plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.nodes.problem import Problem
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter
from rightsize.snapshot.schema import frame

MEBIBYTE = 2**20
DAY = date(2026, 3, 2)


@pytest.fixture
def make_pods() -> Callable[..., pd.DataFrame]:
    """`make_pods(("web", 3, 0.5, 256), ...)`: workload, replicas, cores, MiB[, scheduling]."""

    def build(
        *workloads: tuple[object, ...], daemonsets: tuple[tuple[str, float, float], ...] = ()
    ) -> pd.DataFrame:
        rows = []
        for name, replicas, cpu, memory, *rest in workloads:
            for i in range(int(str(replicas))):
                rows.append(
                    {
                        "namespace": "shop",
                        "workload": name,
                        "workload_kind": "Deployment",
                        "pod": f"{name}-{i}",
                        "cpu": cpu,
                        "memory": float(str(memory)) * MEBIBYTE,
                        "unset": 0,
                        "daemonset": False,
                        "scheduling": json.dumps(rest[0]) if rest else None,
                        "labels": json.dumps({"app": name}),
                    }
                )
        for name, cpu, memory in daemonsets:
            rows.append(
                {
                    "namespace": "kube-system",
                    "workload": name,
                    "workload_kind": "DaemonSet",
                    "pod": f"{name}-x",
                    "cpu": cpu,
                    "memory": memory * MEBIBYTE,
                    "unset": 0,
                    "daemonset": True,
                    "scheduling": None,
                    "labels": None,
                }
            )
        return pd.DataFrame(rows)

    return build


@pytest.fixture
def make_nodes() -> Callable[..., pd.DataFrame]:
    """`make_nodes(3, "m5.xlarge")`: nodes over three zones, with what EKS gives that type."""

    def build(
        number: int,
        name: str = "m5.xlarge",
        cpu: float = 3.92,
        memory: float = 14162,
        pods: int = 58,
        labels: dict[str, str] | None = None,
        taints: list[dict[str, str]] | None = None,
    ) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "node": [f"node-{i}" for i in range(number)],
                "instance_type": name,
                "region": "us-east-1",
                "zone": [f"us-east-1{'abc'[i % 3]}" for i in range(number)],
                "capacity_type": "on-demand",
                "arch": "amd64",
                "allocatable_cpu": cpu,
                "allocatable_memory": memory * MEBIBYTE,
                "allocatable_pods": float(pods),
                "labels": json.dumps(labels) if labels else None,
                "taints": json.dumps(taints) if taints else None,
            }
        )

    return build


@pytest.fixture
def small_snapshot(tmp_path: Path, make_nodes: Callable[..., pd.DataFrame]) -> Snapshot:
    """One day: six pods of two meshed workloads, one DaemonSet, three m5.xlarge."""
    start = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    seen = {
        "first_seen": pd.Timestamp(start + timedelta(minutes=5)),
        "last_seen": pd.Timestamp(start + timedelta(days=1)),
    }
    names = [f"web-{i}" for i in range(4)] + [f"api-{i}" for i in range(2)]
    pods = pd.DataFrame(
        {
            "namespace": "shop",
            "pod": [*names, "logs-0"],
            "workload": [*(name.split("-")[0] for name in names), "logs"],
            "workload_kind": [*["Deployment"] * 6, "DaemonSet"],
            "node": "node-0",
            "phase": "Running",
            "started": pd.Timestamp(start),
            **seen,
        }
    )
    app = pd.DataFrame(
        {"pod": [*names, "logs-0"], "container": "app", "cpu_request": 0.5, "component": None}
    )
    proxy = pd.DataFrame(
        {"pod": names, "container": "istio-proxy", "cpu_request": 0.1, "component": "sidecar"}
    )
    containers = pd.concat([app, proxy], ignore_index=True).assign(
        namespace="shop", init=False, native=False, memory_request=256.0 * MEBIBYTE
    )
    tables = {
        "pods": frame("pods", pods),
        "containers": frame("containers", containers),
        "nodes": frame("nodes", make_nodes(3).assign(**seen)),
    }
    manifest = Manifest("test", "prometheus", False, region="us-east-1")
    record = DayRecord(start, start + timedelta(days=1), True, {})
    with SnapshotWriter(tmp_path / "snapshot", manifest) as writer:
        writer.write_day(DAY, tables, record)
    return Snapshot(tmp_path / "snapshot")


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    """`make_problem([(cpu, memory, count), ...], [(cpu, memory, slots, price), ...])`."""

    def build(
        pods: list[tuple[int, int, int]],
        nodes: list[tuple[int, int, int, float]],
        *,
        limits: dict[int, int] | None = None,
        avoid: dict[int, list[int]] | None = None,
        **options: object,
    ) -> Problem:
        size = np.array([[cpu, memory, 1] for cpu, memory, _ in pods], dtype=float)
        capacity = np.array([node[:3] for node in nodes], dtype=float)
        limits = limits or {}
        groups = {k: i for i, k in enumerate(limits)}
        none = np.zeros(0, dtype=np.int64)
        return replace(
            Problem(
                size=size,
                count=np.array([count for *_, count in pods], dtype=np.int64),
                capacity=capacity,
                price=np.array([node[3] for node in nodes], dtype=float),
                fits=(size[:, None, :] <= capacity[None, :, :]).all(axis=2),
                group=np.array([groups.get(k, -1) for k in range(len(pods))], dtype=np.int64),
                limit=np.array(list(limits.values()), dtype=np.int64),
                avoid=tuple(
                    np.array((avoid or {}).get(k, none), dtype=np.int64) for k in range(len(pods))
                ),
                kind=np.arange(len(nodes)),
                zone=np.zeros(len(nodes), dtype=np.int64),
                on_demand=np.ones(len(nodes), dtype=bool),
            ),
            **options,
        )

    return build


@pytest.fixture
def check_packing() -> Callable[..., float]:
    """Checks a packing by plain sums and returns its cost; knows nothing of the planner."""

    def check(
        pods: list[tuple[int, int, int]],
        nodes: list[tuple[int, int, int, float]],
        offers: list[int],
        where: list[int],
    ) -> float:
        each = [(cpu, memory) for cpu, memory, count in pods for _ in range(count)]
        assert len(where) == len(each), "every pod is placed exactly once"
        left = [list(nodes[offer][:3]) for offer in offers]
        for (cpu, memory), node in zip(each, where, strict=True):
            assert 0 <= node < len(offers)
            for resource, amount in enumerate((cpu, memory, 1)):
                left[node][resource] -= amount
        assert min(min(rest) for rest in left) >= 0, "no capacity is exceeded"
        return sum(nodes[offer][3] for offer in offers)

    return check
