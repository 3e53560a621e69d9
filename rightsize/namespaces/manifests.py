"""YAML of what the mesh commands recommend, in the shape that Istio's own schemas accept."""

from __future__ import annotations

from collections.abc import Sequence

from rightsize.files.yaml_text import Document
from rightsize.istiod.pilot_settings import minor_release
from rightsize.istiod.replicas import OWN_BUDGET, DisruptionBudget
from rightsize.istiod.sizing import IstiodAdvice
from rightsize.namespaces.destination_rules import ConnectionPool, OutlierDetection, ServiceRule
from rightsize.namespaces.discovery import DiscoveryScope
from rightsize.namespaces.egress import EgressScope
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes


def istiod_values(advice: IstiodAdvice) -> Document:
    """Values of the istiod chart for this step: sizes, replicas, target, spread, budget.

    `pilot.` is read by every release from 1.18 on; `replicaCount` is ignored while the autoscaler
    is on, so that bounds are written instead.
    """
    pilot: dict[str, object] = {
        "resources": resources_block(advice.recommended),
        "autoscaleEnabled": True,
        "autoscaleMin": advice.autoscale_min,
        "autoscaleMax": advice.autoscale_max,
        "cpu": {"targetAverageUtilization": advice.target_utilization},
    }
    if advice.spread is not None and advice.spread.written:
        pilot["topologySpreadConstraints"] = spread_constraints(
            advice.spread.written, _revision(advice)
        )
    own = advice.budget.path == OWN_BUDGET
    return {"pilot": pilot, **budget_values(advice.budget, by_chart=not own)}


def spread_constraints(keys: Sequence[str], revision: str) -> list[Document]:
    """Constraints that prefer to spread istiod's pods of one revision, and never forbid."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _labels(revision)},
        }
        for key in keys
    ]


def budget_values(budget: DisruptionBudget, *, by_chart: bool) -> dict[str, object]:
    """Values of istiod's PodDisruptionBudget, made by the chart or not."""
    values: dict[str, object] = {}
    if budget.path.startswith("pdb."):
        # maxUnavailable wins over the chart's minAvailable of 1.
        values["pdb"] = {"maxUnavailable": int(budget.value)}
    values["global"] = {"defaultPodDisruptionBudget": {"enabled": by_chart}}
    return values


def istiod_budget(advice: IstiodAdvice, namespace: str = "istio-system") -> Document | None:
    """istiod's PodDisruptionBudget where the chart cannot make the right one."""
    if advice.budget.path != OWN_BUDGET:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": f"{advice.revision or 'istiod'}-one-at-a-time",
            "namespace": namespace,
        },
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(_revision(advice))}},
    }


def _revision(advice: IstiodAdvice) -> str:
    return advice.revision.removeprefix("istiod").lstrip("-") or "default"


def _labels(revision: str) -> dict[str, str]:
    """Labels that the chart gives the pods of one revision, in every release from 1.18 on."""
    return {"app": "istiod", "istio.io/rev": revision}


def api_version(group: str, istio_version: str | None) -> str:
    """`v1` from Istio 1.22 on, before and where the release is unknown `v1beta1`, served by all."""
    release = minor_release(istio_version)
    return f"{group}.istio.io/{'v1' if release and release >= (1, 22) else 'v1beta1'}"


def sidecar(scope: EgressScope, istio_version: str | None = None) -> Document:
    """The namespace's Sidecar: without a workload selector it holds for all of its workloads."""
    return {
        "apiVersion": api_version("networking", istio_version),
        "kind": "Sidecar",
        "metadata": {"name": "default", "namespace": scope.namespace},
        "spec": {"egress": [{"hosts": list(scope.hosts)}]},
    }


def sidecar_comment(scope: EgressScope) -> str:
    """What a reader should know before applying it."""
    lines = [f"Egress of namespace {scope.namespace}: {scope.confidence.text}."]
    lines.append(
        f"Before: kubectl get sidecars -n {scope.namespace} (two without a workload selector in one "
        "namespace are undefined)."
    )
    if scope.routed:
        lines.append(f"Kept for VirtualServices: {', '.join(scope.routed)}.")
    if scope.given:
        lines.append(f"Given, not seen: {', '.join(scope.given)}.")
    lines += [f"Rare: {r.workload} called {r.service} on {r.days} days." for r in scope.rare]
    lines += [f"Note: {note}." for note in scope.notes]
    lines.append(f"Way back: kubectl delete sidecar default -n {scope.namespace}")
    return "\n".join(lines)


def destination_rule(rule: ServiceRule, istio_version: str | None = None) -> Document:
    """DestinationRule of one service."""
    policy: dict[str, object] = {}
    if rule.pool is not None:
        policy["connectionPool"] = _pool(rule.pool)
    if rule.outliers is not None:
        policy["outlierDetection"] = _outliers(rule.outliers)
        # Zone preference waits for outlier detection alone; moving load between zones is asked apart.
        policy["loadBalancer"] = {"localityLbSetting": {"enabled": False}}
    return {
        "apiVersion": api_version("networking", istio_version),
        "kind": "DestinationRule",
        "metadata": {"name": rule.name, "namespace": rule.namespace},
        "spec": {"host": rule.host, "trafficPolicy": policy},
    }


def destination_rule_comment(rule: ServiceRule) -> str:
    """What a reader should know before applying it."""
    return "\n".join(
        [
            *rule.reasons,
            f"Before: kubectl get destinationrules -A (of two for {rule.host}, one traffic policy "
            "is passed over; one for *.local counts no more for this host)",
            f"Way back: kubectl delete destinationrule {rule.name} -n {rule.namespace}",
        ]
    )


def discovery_values(scope: DiscoveryScope) -> Document:
    """Values of the istiod chart with the discovery selectors."""
    return scope.mesh_config


def _pool(pool: ConnectionPool) -> Document:
    http: dict[str, object] = {}
    if pool.http1_max_pending_requests is not None:
        http["http1MaxPendingRequests"] = pool.http1_max_pending_requests
    if pool.http2_max_requests is not None:
        http["http2MaxRequests"] = pool.http2_max_requests
    tcp = {
        "maxConnections": pool.max_connections,
        "connectTimeout": f"{pool.connect_timeout_seconds}s",
    }
    return {"tcp": tcp, "http": http} if http else {"tcp": tcp}


def _outliers(found: OutlierDetection) -> Document:
    return {
        "consecutive5xxErrors": found.consecutive_5xx_errors,
        "interval": f"{found.interval_seconds}s",
        "baseEjectionTime": f"{found.base_ejection_seconds}s",
        "maxEjectionPercent": found.max_ejection_percent,
        "minHealthPercent": found.min_health_percent,
    }


def resources_block(sizes: Sizes) -> Document:
    """`resources` of a container; what is not set is left out."""
    requests = _quantities(sizes.cpu_request, sizes.memory_request)
    limits = _quantities(sizes.cpu_limit, sizes.memory_limit)
    block: dict[str, object] = {}
    if requests:
        block["requests"] = requests
    if limits:
        block["limits"] = limits
    return block


def _quantities(cpu: float | None, memory: float | None) -> dict[str, str]:
    found = {}
    if cpu is not None:
        found["cpu"] = format_cpu(cpu)
    if memory is not None:
        found["memory"] = format_memory(memory)
    return found
