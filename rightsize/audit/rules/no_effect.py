"""Resources that are accepted and do nothing, or not what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rightsize.audit.model import KubeObject, Severity, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node
from rightsize.audit.workloads import unit_of

_WITH_VALUES = ("In", "NotIn")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_SCRIPTS = (".sh", ".bash", ".md")
_ROOT = "istio-system"
_UNEXPANDED = re.compile(r"\$[({]?[A-Za-z_]\w*[)}]?|\{\{.*\}\}")


@rule("outlier-field-ignored")
def outlier_ignored(sources: Sources) -> Iterator[Hit]:
    for policy, title in policies_of(sources):
        node = policy.get("outlierDetection", "consecutiveErrors")
        if node is not None:
            fix = f"consecutive5xxErrors: {node.text}"
            yield at(node, f"{title}: consecutiveErrors is ignored", fix)


@rule("locality-without-outlier-detection")
def locality_without_outlier(sources: Sources) -> Iterator[Hit]:
    for policy, title in policies_of(sources):
        node = policy.get("loadBalancer", "localityLbSetting")
        if node is None or policy.get("outlierDetection") is not None:
            continue
        enabled = node.get("enabled")
        uses = any(node.get(key) is not None for key in ("failover", "failoverPriority"))
        if uses and (enabled is None or enabled.truth is not False):
            fix = (
                "outlierDetection:\n  consecutive5xxErrors: 5\n  interval: 10s\n"
                "  baseEjectionTime: 30s"
            )
            yield at(node, f"{title}: failover between zones without outlierDetection", fix)


@rule("principal-with-spiffe")
def principal_with_spiffe(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("AuthorizationPolicy"):
        for entry in obj.root.children("spec", "rules"):
            named = [
                node
                for source in entry.children("from")
                for key in ("principals", "notPrincipals")
                for node in source.children("source", key)
            ]
            named += [
                node
                for condition in entry.children("when")
                if condition.text_of("key") == "source.principal"
                for key in ("values", "notValues")
                for node in condition.children(key)
            ]
            for node in named:
                text = node.text or ""
                if text.startswith("spiffe://"):
                    fix = f'"{text.removeprefix("spiffe://")}"'
                    yield at(node, f"{obj.title}: {text}", fix)


@rule("egress-host-without-namespace")
def egress_without_namespace(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("Sidecar"):
        for listener in obj.root.children("spec", "egress"):
            for node in listener.children("hosts"):
                text = node.text or ""
                if text and "/" not in text and not _UNEXPANDED.search(text):
                    yield at(node, f"{obj.title}: {text}", f'- "*/{text}"')


@rule("discovery-selector-operator")
def selector_operator(sources: Sources) -> Iterator[Hit]:
    for mesh in sources.mesh_configs:
        for selector in mesh.children("discoverySelectors"):
            for expression in selector.children("matchExpressions"):
                node = expression.get("operator")
                if node is not None and node.text not in _OPERATORS:
                    meant = next(
                        (o for o in _OPERATORS if o.lower() == (node.text or "").lower()), "In"
                    )
                    yield at(node, f"{node.place.path} is {node.text}", f"operator: {meant}")
                    continue
                values = expression.get("values")
                listed = values is not None and bool(values.items)
                wanted = node is not None and node.text in _WITH_VALUES
                if node is not None and listed != wanted and (wanted or values is not None):
                    where = node if values is None else values
                    evidence = f"{expression.place.path}: {node.text} takes " + (
                        "a list of values" if wanted else "no values"
                    )
                    yield at(where, evidence, "values: [VALUE]" if wanted else "# delete values")


@rule("mesh-config-below-pilot")
def mesh_config_below_pilot(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        node, version = values.root.get("pilot", "meshConfig"), sources.release(values)
        if node is not None and (version is None or version < (1, 24)):
            severity: Severity = "info" if version is None else "error"
            evidence = f"{node.place.path} is set"
            yield at(node, evidence, "meshConfig: ...  # at the top level", severity=severity)


@rule("several-sidecars")
def several_sidecars(sources: Sources) -> Iterator[Hit]:
    seen: dict[tuple[str | None, str], str] = {}
    for obj in sources.of_kind("Sidecar"):
        selector = obj.root.get("spec", "workloadSelector")
        if selector is not None and not selector.is_empty:
            if obj.namespace == _ROOT:
                fix = "# delete workloadSelector, or move it to the workload's namespace"
                yield at(selector, f"{obj.title} selects workloads of the root namespace", fix)
            continue
        first = seen.setdefault((obj.namespace, unit_of(sources, obj)), obj.name)
        if first != obj.name:
            fix = "# one Sidecar without workloadSelector a namespace: merge their egress.hosts"
            yield at(obj.root, f"{obj.title} beside Sidecar {first}", fix)


@rule("host-unexpanded")
def host_unexpanded(sources: Sources) -> Iterator[Hit]:
    for obj in _of_istio(sources, "VirtualService", "DestinationRule", "ServiceEntry", "Gateway"):
        spec = obj.root.get("spec")
        nodes = [] if spec is None else [*spec.children("hosts")]
        host = None if spec is None else spec.get("host")
        for node in [*nodes, *([host] if host is not None else [])]:
            # A shell expands what stands in its here-documents.
            in_script = node.place.file.endswith(_SCRIPTS)
            if _UNEXPANDED.search(node.text or "") and not in_script:
                # Double braces are a template's, which something most likely renders.
                severity: Severity | None = "info" if "{{" in (node.text or "") else None
                fix = "# the host with its value put in"
                yield at(node, f"{obj.title}: {node.text}", fix, severity=severity)


def _of_istio(sources: Sources, *kinds: str) -> Iterator[KubeObject]:
    return (obj for obj in sources.of_kind(*kinds) if obj.group.endswith(".istio.io"))


def policies_of(sources: Sources) -> Iterator[tuple[Node, str]]:
    for obj in sources.of_kind("DestinationRule"):
        own = obj.root.get("spec", "trafficPolicy")
        subsets = obj.root.children("spec", "subsets")
        for policy in (own, *(subset.get("trafficPolicy") for subset in subsets)):
            if policy is not None:
                yield policy, obj.title
                for port in policy.children("portLevelSettings"):
                    yield port, obj.title
