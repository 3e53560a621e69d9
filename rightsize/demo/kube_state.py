"""What kube-state-metrics and the proxies themselves would report of the demo mesh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np

from rightsize.demo.load import MINUTES, DaySamples, services_on
from rightsize.demo.parameters import midnight
from rightsize.demo.series import Series
from rightsize.demo.shapes import node_shape
from rightsize.demo.tables import KUBELET, daemon_name, node_name, zone_of
from rightsize.demo.topology import Mesh, Pod, daemon_pods, replica_set_of
from rightsize.results import Sizes

_EVERY = 360
"""Minutes between samples of what changes by the day."""

Counters = dict[tuple[str, frozenset[tuple[str, str]]], float]


def inventory_series(
    mesh: Mesh, samples: DaySamples, day: date, first: bool, counters: Counters
) -> Iterator[Series]:
    """All series of pods, containers, nodes, namespaces, autoscalers and budgets for one day."""
    every = np.arange(1, MINUTES + 1)
    start = int(midnight(day).timestamp())
    whole = start + 60 * every
    for row, pod in enumerate(samples.pods):
        times = whole[samples.alive[row]]
        standing = first and pod.start.timestamp() < start
        yield from _pod(pod, times, _sparse(times), start if standing else None)
        yield from _restarts(
            pod, times, samples.killed[row][samples.alive[row]], first, start, counters
        )
        if pod.workload.container == "istio-proxy":
            yield from _proxy(pod, services_on(mesh.parameters, day), _sparse(times))
    for node in range(mesh.parameters.nodes):
        yield from _node(mesh, node, whole, _sparse(whole), start if first else None)
    yield from _cluster(mesh, _sparse(whole))


def _sparse(times: np.ndarray) -> np.ndarray:
    """A few of the times, the first and the last among them."""
    if not len(times):
        return times
    return np.unique(np.concatenate([times[::_EVERY], times[-1:]]))


def _constant(
    name: str, labels: Mapping[str, str], times: np.ndarray, value: float = 1.0
) -> Series:
    return Series(name, labels, times, np.full(len(times), value))


def _pod(pod: Pod, times: np.ndarray, few: np.ndarray, standing: int | None) -> Iterator[Series]:
    workload = pod.workload
    me = {"namespace": workload.namespace, "pod": pod.name}
    set_name = replica_set_of(pod)
    kind, owner = ("ReplicaSet", set_name) if set_name else (workload.kind, workload.name)
    info = {"node": node_name(pod.node), "host_network": "false"}
    info |= {"created_by_kind": kind, "created_by_name": owner, "uid": f"uid-{pod.index}"}
    yield _constant("kube_pod_info", me | info, times)
    owned = {"owner_kind": kind, "owner_name": owner, "owner_is_controller": "true"}
    yield _constant("kube_pod_owner", me | owned, few)
    if set_name:
        labels = {"namespace": workload.namespace, "replicaset": set_name}
        labels |= {"owner_kind": "Deployment", "owner_name": workload.name}
        yield _constant("kube_replicaset_owner", labels | {"owner_is_controller": "true"}, few)
    yield _constant("kube_pod_start_time", me, few, pod.start.timestamp())
    yield _constant("kube_pod_status_phase", me | {"phase": "Running"}, few)
    yield _constant("kube_pod_status_qos_class", me | {"qos_class": "Burstable"}, few)
    family = "init_" if workload.native else ""
    container = me | {"container": workload.container}
    always = {"restart_policy": "Always"} if workload.native else {}
    yield _constant(f"kube_pod_{family}container_info", container | always, few)
    yield from _sizes(f"kube_pod_{family}container_resource", container, pod.sizes, few)
    if workload.app_cpu > 0:
        app = me | {"container": "app"}
        yield _constant("kube_pod_container_info", app, few)
        sizes = Sizes(workload.app_cpu, None, workload.app_memory, workload.app_memory)
        yield from _sizes("kube_pod_container_resource", app, sizes, few)
        yield _no_restarts(app, times, standing)


def _sizes(
    name: str, labels: Mapping[str, str], sizes: Sizes, times: np.ndarray
) -> Iterator[Series]:
    for which, resource, unit, value in (
        ("requests", "cpu", "core", sizes.cpu_request),
        ("limits", "cpu", "core", sizes.cpu_limit),
        ("requests", "memory", "byte", sizes.memory_request),
        ("limits", "memory", "byte", sizes.memory_limit),
    ):
        if value is not None:
            more = {"resource": resource, "unit": unit}
            yield _constant(f"{name}_{which}", {**labels, **more}, times, value)


def _no_restarts(labels: Mapping[str, str], times: np.ndarray, standing: int | None) -> Series:
    """A counter at zero, known since `standing` where the container is older than the data."""
    known = times if standing is None else np.concatenate([[standing], times])
    return _constant("kube_pod_container_status_restarts_total", labels, known, 0.0)


def _restarts(
    pod: Pod, times: np.ndarray, killed: np.ndarray, first: bool, start: int, counters: Counters
) -> Iterator[Series]:
    family = "init_" if pod.workload.native else ""
    labels = {"namespace": pod.workload.namespace, "pod": pod.name}
    labels |= {"container": pod.workload.container, "uid": f"uid-{pod.index}"}
    name = f"kube_pod_{family}container_status_restarts_total"
    key = name, frozenset(labels.items())
    base = counters.get(key, 0.0)
    values = base + np.cumsum(killed)
    counters[key] = float(values[-1]) if len(values) else base
    if first and pod.start.timestamp() < start:
        times, values = np.concatenate([[start], times]), np.concatenate([[base], values])
    yield Series(name, labels, times, values)
    since = values > 0
    if since.any():
        reason = f"kube_pod_{family}container_status_last_terminated_reason"
        yield _constant(reason, labels | {"reason": "OOMKilled"}, times[since])


def _proxy(pod: Pod, services: int, times: np.ndarray) -> Iterator[Series]:
    labels = {"namespace": pod.workload.namespace, "pod": pod.name}
    threads = float(-(-(pod.sizes.cpu_limit or 4) // 1))
    for name, value in (
        ("envoy_cluster_manager_active_clusters", services + 12.0),
        ("envoy_listener_manager_total_listeners_active", services // 2 + 20.0),
        ("envoy_server_concurrency", threads),
    ):
        yield _constant(name, labels, times, value)


def _node(
    mesh: Mesh, node: int, times: np.ndarray, few: np.ndarray, standing: int | None
) -> Iterator[Series]:
    p = mesh.parameters
    shape = node_shape(p.instance_type)
    me = {"node": node_name(node)}
    yield _constant("kube_node_info", me | {"kubelet_version": KUBELET}, times)
    labels = {
        "label_node_kubernetes_io_instance_type": p.instance_type,
        "label_topology_kubernetes_io_region": p.region,
        "label_topology_kubernetes_io_zone": zone_of(p.region, node),
        "label_kubernetes_io_arch": shape.arch,
        "label_eks_amazonaws_com_capacity_type": "ON_DEMAND",
        "label_eks_amazonaws_com_nodegroup": "general",
    }
    yield _constant("kube_node_labels", me | labels, few)
    for name, resource, unit, value in (
        ("capacity", "cpu", "core", shape.capacity_cpu),
        ("capacity", "memory", "byte", shape.capacity_memory),
        ("allocatable", "cpu", "core", shape.cpu),
        ("allocatable", "memory", "byte", shape.memory),
        ("allocatable", "pods", "integer", float(shape.pods)),
    ):
        size = me | {"resource": resource, "unit": unit}
        yield _constant(f"kube_node_status_{name}", size, few, value)
    for name, cpu, memory in daemon_pods():
        pod = {"namespace": "kube-system", "pod": daemon_name(name, node)}
        network = "false" if name == "ebs-csi-node" else "true"
        info = {"created_by_kind": "DaemonSet", "created_by_name": name, "host_network": network}
        yield _constant("kube_pod_info", pod | me | info | {"uid": f"uid-{name}-{node}"}, times)
        owner = {"owner_kind": "DaemonSet", "owner_name": name, "owner_is_controller": "true"}
        yield _constant("kube_pod_owner", pod | owner, few)
        yield _constant("kube_pod_start_time", pod, few, p.begins.timestamp() - 3 * 86400)
        yield _constant("kube_pod_status_phase", pod | {"phase": "Running"}, few)
        yield _constant("kube_pod_status_qos_class", pod | {"qos_class": "Burstable"}, few)
        container = pod | {"container": name}
        yield _constant("kube_pod_container_info", container, few)
        yield _no_restarts(container, times, standing)
        sizes = Sizes(cpu, None, float(memory) or None, None)
        yield from _sizes("kube_pod_container_resource", container, sizes, few)


def _cluster(mesh: Mesh, few: np.ndarray) -> Iterator[Series]:
    apps = {w.namespace for w in mesh.workloads if w.component == "sidecar"}
    for namespace in sorted(apps | {"istio-system", "kube-system"}):
        injected = {"label_istio_injection": "enabled"} if namespace in apps else {}
        yield _constant("kube_namespace_labels", {"namespace": namespace} | injected, few)
    for workload in mesh.workloads:
        bounds = mesh.autoscaling(workload)
        if bounds is None:
            continue
        low, high, target = bounds
        me = {"namespace": workload.namespace, "horizontalpodautoscaler": workload.name}
        scaled = {"scaletargetref_kind": "Deployment", "scaletargetref_name": workload.name}
        yield _constant("kube_horizontalpodautoscaler_info", me | scaled, few)
        yield _constant("kube_horizontalpodautoscaler_spec_min_replicas", me, few, low)
        yield _constant("kube_horizontalpodautoscaler_spec_max_replicas", me, few, high)
        metric = me | {"metric_name": "cpu", "metric_target_type": "utilization"}
        yield _constant("kube_horizontalpodautoscaler_spec_target_metric", metric, few, target)
    budget = {"namespace": "istio-system", "poddisruptionbudget": "istiod"}
    status = "kube_poddisruptionbudget_status"
    yield _constant(f"{status}_pod_disruptions_allowed", budget, few, 1.0)
    yield _constant(f"{status}_expected_pods", budget, few, 2.0)
