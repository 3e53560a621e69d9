"""One day of the demo mesh as the snapshot's tables."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.demo.control_plane import control_plane_rows
from rightsize.demo.load import MINUTES, DaySamples, day_samples, rps_of, services_on
from rightsize.demo.parameters import midnight
from rightsize.demo.shapes import node_shape
from rightsize.demo.topology import MIB, Mesh, Pod, daemon_pods

_WINDOWS = MINUTES // 5
_CFS_PERIODS = 600


def day_tables(mesh: Mesh, day: date) -> dict[str, pd.DataFrame]:
    """Every table of the snapshot for one day."""
    samples = day_samples(mesh, day)
    return {
        "usage": usage_rows(samples, day),
        "pods": _pod_rows(mesh, samples, day),
        "containers": _container_rows(mesh, samples, day),
        "nodes": _node_rows(mesh, day),
        "namespaces": _namespace_rows(mesh),
        "hpas": _hpa_rows(mesh),
        "pdbs": _pdb_rows(),
        "control_plane": control_plane_rows(mesh, samples, day),
        "traffic": _traffic_rows(mesh, samples, day),
        "proxies": _proxy_rows(mesh, samples, day),
    }


def usage_rows(samples: DaySamples, day: date) -> pd.DataFrame:
    """Windows of five samples: CPU summed, memory's maximum; windows without a sample left out."""
    shape = (len(samples.pods), _WINDOWS, 5)
    alive = samples.alive.reshape(shape)
    seen = _windows_seen(samples)
    cpu = samples.cpu.reshape(shape).sum(axis=2) / 1e6 / 300
    memory = np.where(alive, samples.memory.reshape(shape), 0).max(axis=2).astype(float)
    limited = np.array([[pod.sizes.cpu_limit is not None] for pod in samples.pods], dtype=bool)
    periods = np.where(limited, np.count_nonzero(alive, axis=2) * _CFS_PERIODS, np.nan)
    throttled = np.where(limited, samples.throttled.reshape(shape).sum(axis=2), np.nan)
    times = _window_ends(day)
    rows, windows = np.nonzero(seen)
    names = {
        "namespace": [pod.workload.namespace for pod in samples.pods],
        "pod": [pod.name for pod in samples.pods],
        "container": [pod.workload.container for pod in samples.pods],
    }
    return pd.DataFrame(
        {
            "time": times[windows],
            **{name: _coded(values, rows) for name, values in names.items()},
            "cpu": cpu[seen],
            "seconds": 300.0,
            "memory": memory[seen],
            "periods": periods[seen],
            "throttled_periods": throttled[seen],
        }
    )


def _windows_seen(samples: DaySamples) -> npt.NDArray[np.bool_]:
    """Windows with a sample. (pods, windows)"""
    return np.asarray(samples.alive.reshape(len(samples.pods), _WINDOWS, 5).any(axis=2))


def _window_ends(day: date) -> pd.DatetimeIndex:
    start = pd.Timestamp(midnight(day))
    return pd.date_range(start + pd.Timedelta(5, "min"), periods=_WINDOWS, freq="5min", unit="ms")


def _coded(values: list[str], rows: np.ndarray) -> pd.Categorical:
    categories, codes = np.unique(np.array(values, dtype=object), return_inverse=True)
    return pd.Categorical.from_codes(codes[rows], categories=pd.Index(categories))


def _seen(samples: DaySamples, day: date) -> pd.DataFrame:
    """Ends of the first and last window with a sample, for each pod."""
    windows = _windows_seen(samples)
    ends = _window_ends(day)
    first = windows.argmax(axis=1)
    last = _WINDOWS - 1 - windows[:, ::-1].argmax(axis=1)
    return pd.DataFrame({"first_seen": ends[first], "last_seen": ends[last]})


def _pod_rows(mesh: Mesh, samples: DaySamples, day: date) -> pd.DataFrame:
    pods = samples.pods
    rows = pd.DataFrame(
        {
            "namespace": [pod.workload.namespace for pod in pods],
            "pod": [pod.name for pod in pods],
            "workload": [pod.workload.name for pod in pods],
            "workload_kind": [pod.workload.kind for pod in pods],
            "node": [node_name(pod.node) for pod in pods],
            "phase": "Running",
            "described": True,
            "qos_class": "Burstable",
            "started": pd.to_datetime([pod.start for pod in pods]),
            "host_network": False,
            "annotations": [_annotations(pod) for pod in pods],
        }
    )
    rows = pd.concat([rows, _seen(samples, day)], axis=1)
    return pd.concat([rows, _daemon_rows(mesh, day)], ignore_index=True)


def _annotations(pod: Pod) -> str | None:
    if not pod.annotated:
        return None
    sizes = pod.sizes
    values = {
        "sidecar.istio.io/proxyCPU": f"{(sizes.cpu_request or 0) * 1000:.0f}m",
        "sidecar.istio.io/proxyCPULimit": f"{(sizes.cpu_limit or 0) * 1000:.0f}m",
        "sidecar.istio.io/proxyMemory": f"{(sizes.memory_request or 0) / MIB:.0f}Mi",
        "sidecar.istio.io/proxyMemoryLimit": f"{(sizes.memory_limit or 0) / MIB:.0f}Mi",
    }
    return json.dumps(values, sort_keys=True)


def _daemon_rows(mesh: Mesh, day: date) -> pd.DataFrame:
    ends = _window_ends(day)
    return pd.DataFrame(
        [
            {
                "namespace": "kube-system",
                "pod": daemon_name(name, node),
                "workload": name,
                "workload_kind": "DaemonSet",
                "node": node_name(node),
                "phase": "Running",
                "described": True,
                "qos_class": "Burstable",
                "started": pd.Timestamp(mesh.parameters.begins - timedelta(days=3)),
                "host_network": name != "ebs-csi-node",
                "first_seen": ends[0],
                "last_seen": ends[-1],
            }
            for node in range(mesh.parameters.nodes)
            for name, _, _ in daemon_pods()
        ]
    )


def _container_rows(mesh: Mesh, samples: DaySamples, day: date) -> pd.DataFrame:
    pods = samples.pods
    kills = samples.killed.sum(axis=1).astype(float)
    mesh_rows = pd.DataFrame(
        {
            "namespace": [pod.workload.namespace for pod in pods],
            "pod": [pod.name for pod in pods],
            "container": [pod.workload.container for pod in pods],
            "component": [pod.workload.component for pod in pods],
            "init": [pod.workload.native for pod in pods],
            "native": [pod.workload.native for pod in pods],
            "cpu_request": [pod.sizes.cpu_request for pod in pods],
            "cpu_limit": [pod.sizes.cpu_limit for pod in pods],
            "memory_request": [pod.sizes.memory_request for pod in pods],
            "memory_limit": [pod.sizes.memory_limit for pod in pods],
            "restarts": kills,
            "oom_kills": kills,
        }
    )
    apps = [pod for pod in pods if pod.workload.app_cpu > 0]
    app_rows = pd.DataFrame(
        {
            "namespace": [pod.workload.namespace for pod in apps],
            "pod": [pod.name for pod in apps],
            "container": "app",
            "init": False,
            "native": False,
            "cpu_request": [pod.workload.app_cpu for pod in apps],
            "memory_request": [pod.workload.app_memory for pod in apps],
            "memory_limit": [pod.workload.app_memory for pod in apps],
            "restarts": 0.0,
            "oom_kills": 0.0,
        }
    )
    daemons = pd.DataFrame(
        [
            {
                "namespace": "kube-system",
                "pod": daemon_name(name, node),
                "container": name,
                "init": False,
                "native": False,
                "cpu_request": cpu,
                "memory_request": float(memory) or np.nan,
                "restarts": 0.0,
                "oom_kills": 0.0,
            }
            for node in range(mesh.parameters.nodes)
            for name, cpu, memory in daemon_pods()
        ]
    )
    rows = pd.concat([mesh_rows, app_rows, daemons], ignore_index=True)
    # The demo has no native sidecar, nor does anything go unreported.
    return rows.assign(requests_known=True, limits_known=True, left_out=0.0)


def _node_rows(mesh: Mesh, day: date) -> pd.DataFrame:
    p = mesh.parameters
    shape = node_shape(p.instance_type)
    ends = _window_ends(day)
    return pd.DataFrame(
        {
            "node": [node_name(n) for n in range(p.nodes)],
            "instance_type": p.instance_type,
            "instance_type_source": "label",
            "region": p.region,
            "zone": [zone_of(p.region, n) for n in range(p.nodes)],
            "capacity_type": "on-demand",
            "arch": shape.arch,
            "node_group": "general",
            "kind": "ec2",
            "capacity_cpu": shape.capacity_cpu,
            "capacity_memory": shape.capacity_memory,
            "allocatable_cpu": shape.cpu,
            "allocatable_memory": shape.memory,
            "allocatable_pods": float(shape.pods),
            "kubelet_version": KUBELET,
            "first_seen": ends[0],
            "last_seen": ends[-1],
        }
    )


def _namespace_rows(mesh: Mesh) -> pd.DataFrame:
    apps = sorted({w.namespace for w in mesh.workloads if w.component == "sidecar"})
    return pd.DataFrame(
        {
            "namespace": [*apps, "istio-system", "kube-system"],
            "labels": [json.dumps({"istio-injection": "enabled"})] * len(apps) + ["{}", "{}"],
        }
    )


def _hpa_rows(mesh: Mesh) -> pd.DataFrame:
    rows = []
    for workload in mesh.workloads:
        bounds = mesh.autoscaling(workload)
        if bounds is None:
            continue
        low, high, target = bounds
        rows.append(
            {
                "namespace": workload.namespace,
                "hpa": workload.name,
                "workload": workload.name,
                "workload_kind": "Deployment",
                "min_replicas": low,
                "max_replicas": high,
                "metric_type": "Resource",
                "metric": "cpu",
                "target_utilization": target,
            }
        )
    return pd.DataFrame(rows)


def _pdb_rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "namespace": ["istio-system"],
            "pdb": ["istiod"],
            "workload": ["istiod"],
            "min_available": ["1"],
            "expected_pods": [2.0],
            "disruptions_allowed": [1.0],
        }
    )


def _traffic_rows(mesh: Mesh, samples: DaySamples, day: date) -> pd.DataFrame:
    """Requests of each edge by hour: the called workload's rate, split over its callers."""
    middle = np.arange(24, dtype=np.float64) * 60 + 30
    hours = pd.date_range(
        pd.Timestamp(midnight(day)) + pd.Timedelta(1, "h"), periods=24, freq="1h", unit="ms"
    )
    workloads = mesh.workloads
    there = {w.index for w in workloads if day >= w.started}
    edges = [(s, t, share) for s, t, share in mesh.edges if s in there and t in there]
    running = np.zeros((len(workloads), 24))
    for row, pod in enumerate(samples.pods):
        running[pod.workload.index] += samples.alive[row].reshape(24, 60).mean(axis=1)
    rates = [
        rps_of(mesh.parameters, workloads[t], day, middle) * running[t] * share
        for _, t, share in edges
    ]
    requests = np.round(np.array(rates).reshape(-1) * 3600)
    called = np.repeat([t for _, t, _ in edges], 24)

    def hourly(texts: list[str]) -> np.ndarray:
        return np.repeat(np.array(texts, dtype=object), 24)

    sources, targets = [workloads[s] for s, _, _ in edges], [workloads[t] for _, t, _ in edges]
    hosts = [f"{t.name}.{t.namespace}.svc.cluster.local" for t in targets]
    return pd.DataFrame(
        {
            "time": hours.take(np.tile(np.arange(24), len(edges))),
            "source_namespace": hourly([s.namespace for s in sources]),
            "source_workload": hourly([s.name for s in sources]),
            "destination_namespace": hourly([t.namespace for t in targets]),
            "destination_workload": hourly([t.name for t in targets]),
            "destination_service": hourly(hosts),
            "protocol": hourly(["grpc" if t.index % 3 == 0 else "http" for t in targets]),
            "requests": requests,
            "errors": np.floor(requests * 0.001),
            "mutual_tls": requests,
            "duration_seconds": requests * (0.004 + 0.002 * (called % 7)),
            "bytes": requests * (1800.0 + 100.0 * (called % 9)),
        }
    )


def _proxy_rows(mesh: Mesh, samples: DaySamples, day: date) -> pd.DataFrame:
    services = services_on(mesh.parameters, day)
    pods = [pod for pod in samples.pods if pod.workload.container == "istio-proxy"]
    return pd.DataFrame(
        {
            "namespace": [pod.workload.namespace for pod in pods],
            "pod": [pod.name for pod in pods],
            "active_clusters": float(services + 12),
            "listeners": float(services // 2 + 20),
            "concurrency": [float(-(-(pod.sizes.cpu_limit or 4) // 1)) for pod in pods],
        }
    )


KUBELET = "v1.33.5-eks-3025e55"
"""Release of every node's kubelet, as EKS writes it."""


def node_name(number: int) -> str:
    """A node's name, as EKS gives them."""
    return f"ip-10-0-{number // 250}-{number % 250 + 4}.ec2.internal"


def daemon_name(name: str, node: int) -> str:
    """The pod of a DaemonSet on a node."""
    return f"{name}-{node:05x}"


def zone_of(region: str, node: int) -> str:
    """Nodes take turns over three zones."""
    return f"{region}{'abc'[node % 3]}"
