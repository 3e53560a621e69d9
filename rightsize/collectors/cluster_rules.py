"""A cluster's own rules for sizes, from its objects: LimitRanges, quotas, VPAs, KEDA's scalers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rightsize.quantity import parse_quantity

Row = Mapping[str, object]
_RESOURCES = ("cpu", "memory")
_QUOTAS = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "requests.cpu": "requests.cpu",
    "requests.memory": "requests.memory",
    "limits.cpu": "limits.cpu",
    "limits.memory": "limits.memory",
}
"""Resources of a ResourceQuota that sizes count against; `cpu` is an older name of requests.cpu."""


@dataclass
class ClusterRules:
    """Rows of the tables `limit_ranges`, `resource_quotas` and `vpas`, and of KEDA for `hpas`."""

    limit_ranges: list[Row] = field(default_factory=list)
    resource_quotas: list[Row] = field(default_factory=list)
    vpas: list[Row] = field(default_factory=list)
    scaled_objects: list[Row] = field(default_factory=list)

    def add(self, item: Mapping[str, Any]) -> None:
        """Take what a rule says; an object of another kind says nothing.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            If the object is of another shape than its kind has.
        """
        about = item["metadata"]
        name, namespace = about["name"], about.get("namespace", "")
        spec = item.get("spec") or {}
        if item["kind"] == "LimitRange":
            self.limit_ranges += _limit_range(namespace, name, spec)
        elif item["kind"] == "ResourceQuota":
            self.resource_quotas += _quota(namespace, name, spec)
        elif item["kind"] == "VerticalPodAutoscaler":
            self.vpas += _vpa(namespace, name, spec)
        elif item["kind"] == "ScaledObject":
            self.scaled_objects += _scaled_object(namespace, name, spec)

    def scalers(self, hpas: Sequence[Row]) -> list[Row]:
        """Rows of KEDA's scalers that are not there as the HPAs that KEDA makes of them."""
        there = {(row["namespace"], row["hpa"]) for row in hpas}
        return [row for row in self.scaled_objects if (row["namespace"], row["hpa"]) not in there]


def _limit_range(namespace: str, name: str, spec: Mapping[str, Any]) -> Iterator[Row]:
    for limit in spec.get("limits") or []:
        if limit["type"] not in ("Container", "Pod"):
            continue
        for resource in _RESOURCES:
            bounds = {
                column: parse_quantity(limit[key][resource])
                for column, key in (
                    ("min", "min"),
                    ("max", "max"),
                    ("max_ratio", "maxLimitRequestRatio"),
                )
                if (limit.get(key) or {}).get(resource) is not None
            }
            if bounds:
                yield {
                    "namespace": namespace,
                    "limit_range": name,
                    "type": limit["type"],
                    "resource": resource,
                    **bounds,
                }


def _quota(namespace: str, name: str, spec: Mapping[str, Any]) -> Iterator[Row]:
    if spec.get("scopes") or spec.get("scopeSelector"):
        # It counts some of the namespace's pods alone.
        return
    for key, hard in (spec.get("hard") or {}).items():
        if key in _QUOTAS:
            parse_quantity(hard)
            row = {"namespace": namespace, "quota": name, "resource": _QUOTAS[key]}
            yield row | {"hard": str(hard)}


def _vpa(namespace: str, name: str, spec: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of the container policies (autoscaling.k8s.io/v1); without any, of all containers."""
    target = spec["targetRef"]
    mode = (spec.get("updatePolicy") or {}).get("updateMode") or "Auto"
    policies = list((spec.get("resourcePolicy") or {}).get("containerPolicies") or [])
    if all(policy.get("containerName", "*") != "*" for policy in policies):
        policies.append({"containerName": "*"})
    for policy in policies:
        controlled = policy.get("controlledResources") or _RESOURCES
        for resource in _RESOURCES:
            acts = mode != "Off" and policy.get("mode") != "Off" and resource in controlled
            yield {
                "namespace": namespace,
                "vpa": name,
                "workload": target["name"],
                "workload_kind": target["kind"],
                "update_mode": mode,
                "container": policy.get("containerName", "*"),
                "resource": resource,
                "acts": "yes" if acts else "no",
            }


def _scaled_object(namespace: str, name: str, spec: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of the CPU and memory triggers (keda.sh, "CPU" and "Memory"), as of KEDA's own HPA."""
    target = spec["scaleTargetRef"]
    advanced = (spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    base = {
        "namespace": namespace,
        "hpa": advanced.get("name") or f"keda-hpa-{name}",
        "workload": target["name"],
        "workload_kind": target.get("kind") or "Deployment",
        # KEDA's defaults.
        "min_replicas": float(spec.get("minReplicaCount") or 1),
        "max_replicas": float(spec.get("maxReplicaCount") or 100),
    }
    for trigger in spec.get("triggers") or []:
        if trigger["type"] not in _RESOURCES:
            continue
        about = trigger["metadata"]
        how = trigger.get("metricType") or about.get("type") or "Utilization"
        container = about.get("containerName")
        amount = parse_quantity(about["value"])
        yield base | {
            "metric_type": "ContainerResource" if container else "Resource",
            "metric": trigger["type"],
            "container": container,
            "target_utilization": amount if how == "Utilization" else None,
            "target_average_value": amount if how == "AverageValue" else None,
        }
