"""Gateways: load balancers that stay in one zone, and gateways that do not scale."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rightsize.audit.coherent import CHART_MOST, minimum_raised
from rightsize.audit.model import KubeObject, Sources
from rightsize.audit.registry import Hit, absent, at, rule
from rightsize.audit.tree import Node
from rightsize.audit.workloads import autoscaler_of, budgets_of, is_gateway

_AWS = "service.beta.kubernetes.io/aws-load-balancer-"
_TYPE, _ATTRIBUTES = _AWS + "type", _AWS + "attributes"
_LEGACY = _AWS + "cross-zone-load-balancing-enabled"
_CROSS_ZONE = re.compile(r"load_balancing\.cross_zone\.enabled\s*=\s*(\w+)")
_SERVICE_TYPE = "networking.istio.io/service-type"
_GATEWAY_SERVICE = re.compile(r"istio.*gateway")
_FIX = (
    f"{_TYPE}: external\n"
    f"{_AWS}nlb-target-type: ip\n"
    f"{_AWS}scheme: internet-facing\n"
    f"{_ATTRIBUTES}: load_balancing.cross_zone.enabled=true"
)


@rule("gateway-cross-zone")
def cross_zone(sources: Sources) -> Iterator[Hit]:
    for where, found, whole in load_balancers(sources):
        if found is None and not whole:
            yield absent(where, "annotations of the gateway's load balancer", _FIX)
            continue
        if found is None:
            yield at(where, "a load balancer without annotations", _FIX)
            continue
        legacy, attributes = found.get(_LEGACY), found.get(_ATTRIBUTES)
        setting = _CROSS_ZONE.search(attributes.text or "") if attributes is not None else None
        if setting is not None and attributes is not None:
            if setting[1] != "true":
                evidence = f"{attributes.text}"
                yield at(attributes, evidence, "load_balancing.cross_zone.enabled=true")
        elif legacy is not None:
            if legacy.truth is False:
                yield at(legacy, f"{_LEGACY} is {legacy.text}", f'{_LEGACY}: "true"')
        else:
            lb_type = found.get(_TYPE)
            kind = "no annotation of AWS" if lb_type is None else f"type {lb_type.text}"
            evidence = f"{kind} and nothing says cross-zone"
            yield at(found if lb_type is None else lb_type, evidence, _FIX)


@rule("gateway-no-hpa")
def no_autoscaler(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("gateway"):
        enabled = values.root.get("autoscaling", "enabled")
        if enabled is not None and enabled.truth is False:
            count = values.root.get("replicaCount")
            least = max(2.0, (count.number if count is not None else None) or 0.0)
            bounds = f"  minReplicas: {least:.0f}\n  maxReplicas: {max(10.0, 2 * least):.0f}"
            fix = f"autoscaling:\n  enabled: true\n{bounds}"
            if count is not None:
                fix += "\n# and delete replicaCount"
            yield at(enabled, f"{enabled.place.path} is false", fix)
    for values in sources.values_of("operator"):
        for name in ("istio-ingressgateway", "istio-egressgateway"):
            enabled = values.root.get("gateways", name, "autoscaleEnabled")
            if enabled is not None and enabled.truth is False:
                yield at(enabled, f"{enabled.place.path} is false", "autoscaleEnabled: true")
    for obj in _deployments(sources):
        if autoscaler_of(sources, obj) is None:
            fix = f"# a HorizontalPodAutoscaler with scaleTargetRef Deployment {obj.name}"
            yield absent(obj.root, f"a HorizontalPodAutoscaler of {obj.title}", fix)


@rule("gateway-deployment-no-pdb")
def deployment_without_budget(sources: Sources) -> Iterator[Hit]:
    for obj in _deployments(sources):
        if not any(budgets_of(sources, obj)):
            fix = "# a PodDisruptionBudget with maxUnavailable: 1 that selects its pods"
            yield absent(obj.root, f"a PodDisruptionBudget of {obj.title}", fix)


@rule("gateway-one-replica")
def one_replica(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("gateway"):
        enabled = values.root.get("autoscaling", "enabled")
        off = enabled is not None and enabled.truth is False
        key = ("replicaCount",) if off else ("autoscaling", "minReplicas")
        node = values.root.get(*key)
        if node is not None and node.number == 1:
            most = None if off else values.root.get("autoscaling", "maxReplicas")
            fix = minimum_raised(key[-1], 2, "maxReplicas", most, CHART_MOST)
            yield at(node, f"{node.place.path} is 1", fix)


def _deployments(sources: Sources) -> Iterator[KubeObject]:
    return (obj for obj in sources.of_kind("Deployment") if is_gateway(obj))


def load_balancers(sources: Sources) -> Iterator[tuple[Node, Node | None, bool]]:
    """Where each gateway's Service is configured, its annotations, whether all of it is seen."""
    for values in sources.values_of("gateway"):
        kind = values.root.text_of("service", "type")
        if kind in (None, "LoadBalancer") and values.root.place.subject != "command":
            yield values.root, values.root.get("service", "annotations"), False
    for operator in sources.operators:
        for item in operator.root.children("spec", "components", "ingressGateways"):
            kind = item.text_of("k8s", "service", "type")
            off = item.get("enabled")
            if kind in (None, "LoadBalancer") and (off is None or off.truth is not False):
                yield item, item.get("k8s", "serviceAnnotations"), False
    for obj in sources.of_kind("Gateway"):
        in_mesh = obj.root.text_of("spec", "gatewayClassName") == "istio"
        if in_mesh and obj.group == "gateway.networking.k8s.io":
            annotations = obj.root.get("spec", "infrastructure", "annotations")
            kind = obj.root.text_of("metadata", "annotations", _SERVICE_TYPE)
            if kind in (None, "LoadBalancer"):
                yield obj.root, annotations, False
    for obj in sources.of_kind("Service"):
        label = obj.root.text_of("spec", "selector", "istio") or ""
        of_gateway = label.endswith("gateway") or _GATEWAY_SERVICE.search(obj.name)
        if obj.root.text_of("spec", "type") == "LoadBalancer" and of_gateway:
            yield obj.root, obj.root.get("metadata", "annotations"), True
