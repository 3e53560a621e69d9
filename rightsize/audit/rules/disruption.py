"""Budgets that block every drain, and gateways that have none."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rightsize.audit.coherent import CHART_MOST, minimum_raised
from rightsize.audit.model import KubeObject, Sources, Values
from rightsize.audit.registry import Hit, absent, at, rule
from rightsize.audit.tree import Node
from rightsize.audit.workloads import SCALED, least_replicas, same_namespace, selected


@rule("lone-replica-behind-pdb")
def lone_replica(sources: Sources) -> Iterator[Hit]:
    for values in sources.values:
        if values.chart == "istiod" or values.chart == "operator":
            yield from _istiod(values, sources)
        elif values.chart == "gateway":
            yield from _gateway_values(values)
    for operator in sources.operators:
        yield from _operator(operator)
    for node, least, budget, workload in _workloads_of(sources):
        if least == 1:
            evidence = f"{budget.title} guards {workload.title}, which may run one pod"
            yield at(node, evidence, "maxUnavailable: 1  # or at least two replicas")


@rule("istiod-one-replica")
def istiod_one_replica(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        version = sources.release(values)
        if version is not None and version >= (1, 28):
            scaling = values.istiod("autoscaleEnabled")
            fixed = scaling is not None and scaling.truth is False
            node = values.istiod("replicaCount" if fixed else "autoscaleMin")
            if node is not None and node.number == 1:
                yield at(node, f"{node.place.path} is 1", _two(values, fixed))


@rule("pdb-blocks-all")
def blocks_all(sources: Sources) -> Iterator[Hit]:
    specs = [
        (obj.title, spec)
        for obj in sources.of_kind("PodDisruptionBudget")
        if (spec := obj.root.get("spec")) is not None
    ]
    specs += [
        ("values", spec)
        for values in sources.values_of("gateway", "istiod")
        for key in ("podDisruptionBudget", "pdb")
        if (spec := values.root.get(key)) is not None
    ]
    for title, spec in specs:
        for name, never in (("maxUnavailable", ("0", "0%")), ("minAvailable", ("100%",))):
            node = spec.get(name)
            if node is not None and node.text in never:
                yield at(node, f"{title}: {name} is {node.text}", "maxUnavailable: 1")
    for node, least, budget, workload in _workloads_of(sources):
        if least > 1 and node.text != "100%":
            evidence = f"{budget.title} wants all {least:.0f} pods of {workload.title}"
            yield at(node, evidence, "maxUnavailable: 1")


@rule("control-plane-no-pdb")
def no_budget(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        node = values.root.get("global", "defaultPodDisruptionBudget", "enabled")
        if node is not None and node.truth is False:
            yield at(node, f"{node.place.path} is false", _enabled(values))


def _enabled(values: Values) -> str:
    """The budget switched on, and two pods, since over one it blocks drains."""
    scaling = values.istiod("autoscaleEnabled")
    fixed = scaling is not None and scaling.truth is False
    least = values.istiod("replicaCount" if fixed else "autoscaleMin")
    on = "global:\n  defaultPodDisruptionBudget:\n    enabled: true"
    if least is not None and (least.number or 0) > 1:
        return on
    return f"{on}\npilot:\n" + textwrap.indent(_two(values, fixed), "  ")


def _two(values: Values, fixed: bool) -> str:
    """At least two pods of istiod."""
    most = None if fixed else values.istiod("autoscaleMax")
    key = "replicaCount" if fixed else "autoscaleMin"
    return minimum_raised(key, 2, "autoscaleMax", most, CHART_MOST)


@rule("gateway-no-pdb")
def gateway_no_pdb(sources: Sources) -> Iterator[Hit]:
    fix = "podDisruptionBudget:\n  maxUnavailable: 1"
    for values in sources.values_of("gateway"):
        node = values.root.get("podDisruptionBudget")
        if node is not None and node.is_empty:
            yield at(node, f"{node.place.path} is empty", fix)
        elif node is None and values.root.place.subject != "command":
            yield absent(values.root, "podDisruptionBudget of the gateway", fix)


def _workloads_of(sources: Sources) -> Iterator[tuple[Node, float, KubeObject, KubeObject]]:
    """Budgets that keep every pod of a workload: field, pods, budget, workload."""
    for budget in sources.of_kind("PodDisruptionBudget"):
        for workload in sources.of_kind(*SCALED):
            matched = selected(budget.root.get("spec", "selector"), workload)
            if matched and same_namespace(sources, budget, workload):
                least = least_replicas(sources, workload)
                node = _blocking(budget.root.get("spec"), least)
                if node is not None and least is not None:
                    yield node, least, budget, workload


def _istiod(values: Values, sources: Sources) -> Iterator[Hit]:
    version = sources.release(values)
    exact = None if values.wrapper and sources.version is None and _only_shape(values) else version
    if exact is not None and exact >= (1, 28):
        return  # the chart writes the budget only where more than one replica is sure
    enabled = values.root.get("global", "defaultPodDisruptionBudget", "enabled")
    if enabled is not None and enabled.truth is False:
        return
    scaling = values.istiod("autoscaleEnabled")
    fixed = scaling is not None and scaling.truth is False
    node = values.istiod("replicaCount" if fixed else "autoscaleMin")
    key = "replicaCount" if fixed else "autoscaleMin"
    least = node if node is not None else (scaling if fixed else None)
    fix = _two(values, fixed)
    versions = "1.18 to 1.27; from 1.28 the chart writes no budget over one replica"
    if least is not None and (node is None or node.number == 1):
        yield at(
            least, f"istiod may run one pod ({key} 1) behind minAvailable 1", fix, versions=versions
        )
    elif least is None and values.chart == "istiod" and values.root.place.subject != "command":
        yield absent(values.root, "autoscaleMin of istiod (default 1 behind minAvailable 1)", fix)


def _only_shape(values: Values) -> bool:
    """Whether the release is known from nothing but the key around the values."""
    return values.version in ((1, 21), (1, 24))


def _gateway_values(values: Values) -> Iterator[Hit]:
    budget = values.root.get("podDisruptionBudget")
    node = _blocking(budget, 1)
    if node is None:
        return
    enabled = values.root.get("autoscaling", "enabled")
    off = enabled is not None and enabled.truth is False
    least = (
        values.root.get("replicaCount") if off else values.root.get("autoscaling", "minReplicas")
    )
    number = 1.0 if least is None or least.text is None else least.number
    if number == 1:
        key = "replicaCount" if off else "autoscaling.minReplicas"
        evidence = f"{key} is 1 behind {node.path[-1]} {node.text}"
        yield at(node, evidence, f"maxUnavailable: 1  # or {key} of 2 and more")


def _operator(operator: KubeObject) -> Iterator[Hit]:
    components = operator.root.get("spec", "components")
    if components is None:
        return
    single = [("istiod", components.get("pilot"))]
    listed = [
        (item.text_of("name") or "gateway", item)
        for key in ("ingressGateways", "egressGateways")
        for item in components.children(key)
    ]
    for name, component in (*single, *listed):
        least = None if component is None else component.get("k8s", "hpaSpec", "minReplicas")
        if component is not None and least is not None and least.number == 1:
            evidence = f"{name} may run one pod behind the chart's PodDisruptionBudget"
            most = component.get("k8s", "hpaSpec", "maxReplicas")
            fix = minimum_raised("minReplicas", 2, "maxReplicas", most, CHART_MOST)
            yield at(least, evidence, fix, versions="1.18 to 1.27 for istiod")


def _blocking(spec: Node | None, least: float | None) -> Node | None:
    """The field of a budget that keeps every one of `least` pods."""
    available = None if spec is None else spec.get("minAvailable")
    if available is None or least is None:
        return None
    text = available.text or ""
    share = text.removesuffix("%")
    if share != text and share.isdigit():
        # Kubernetes rounds the share of pods up.
        return available if int(share) > 0 and least == 1 else None
    return available if available.number is not None and available.number >= least else None
