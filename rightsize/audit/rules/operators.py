"""Fields that an IstioOperator does not have, in files and in `istioctl --set`."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node
from rightsize.files.known import nearest

_SPEC_FIELDS = frozenset(
    {"addonComponents", "compatibilityVersion", "components", "defaultRevision", "hub",
     "installPackagePath", "meshConfig", "namespace", "profile", "resourceSuffix", "revision",
     "tag", "unvalidatedValues", "values"}
)  # fmt: skip
"""Fields of IstioOperatorSpec (operator/pkg/apis/types.go of 1.30, operator.proto before)."""
_COMPONENTS = frozenset(
    {"base", "pilot", "cni", "ztunnel", "istiodRemote", "ingressGateways", "egressGateways"}
)
_COMPONENT_FIELDS = frozenset({"enabled", "namespace", "hub", "tag", "k8s", "spec"})
_GATEWAY_FIELDS = _COMPONENT_FIELDS | {"name", "label"}
_K8S_FIELDS = frozenset(
    {"affinity", "env", "hpaSpec", "imagePullPolicy", "nodeSelector", "overlays",
     "podAnnotations", "podDisruptionBudget", "priorityClassName", "readinessProbe", "replicaCount",
     "resources", "securityContext", "service", "serviceAnnotations", "strategy", "tolerations",
     "volumeMounts", "volumes"}
)  # fmt: skip
"""Fields of the components, of the gateways among them, and of `k8s` (the same file)."""


@rule("operator-unknown-field")
def unknown_operator_field(sources: Sources) -> Iterator[Hit]:
    for operator in sources.operators:
        spec = operator.root.get("spec")
        if spec is None or spec.place.subject == "command":
            continue
        yield from _unknown(spec, _SPEC_FIELDS)
        components = spec.get("components")
        yield from () if components is None else _unknown(components, _COMPONENTS)
        for name, node in ((components.entries if components else None) or {}).items():
            fields = _GATEWAY_FIELDS if name.endswith("Gateways") else _COMPONENT_FIELDS
            for component in [node] if node.items is None else node.items:
                yield from _unknown(component, fields) if name in _COMPONENTS else ()
                k8s = component.get("k8s")
                yield from () if k8s is None else _unknown(k8s, _K8S_FIELDS)


def _unknown(mapping: Node, known: frozenset[str]) -> Iterator[Hit]:
    for name, node in (mapping.entries or {}).items():
        if name not in known:
            meant = nearest(name, known)
            value = "..." if node.text is None else node.text
            yield at(
                node,
                f"{node.place.path} is no field of an IstioOperator"
                + (f"; {meant} is" if meant else ""),
                f"{meant}: {value}" if meant else f"# delete {name}",
            )


@rule("istioctl-set-without-values")
def set_without_values(sources: Sources) -> Iterator[Hit]:
    for operator in sources.operators:
        spec = operator.root.get("spec")
        if spec is None or spec.place.subject != "command":
            continue
        for name in spec.names():
            node = spec.get(name)
            if node is not None and name not in _SPEC_FIELDS:
                yield at(node, f"--set {node.place.path}", f"--set values.{node.place.path}")
