"""Sizes in IstioOperator files (`install.istio.io/v1alpha1`), which istioctl reads.

The chart is rendered from `spec.values`, then `k8s` of a component is merged over the result,
field by field (operator/pkg/render/postprocess.go), so `k8s` comes first wherever both are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.files.tree import dotted
from rightsize.patch.groups import SIZES, Group, Slot
from rightsize.patch.model import SizeChange
from rightsize.results import Component

VALUES: tree.Path = ("spec", "values")
COMPONENTS: dict[Component, tuple[tree.Path, tree.Path]] = {
    "istiod": (("spec", "components", "pilot", "k8s"), (*VALUES, "pilot")),
    "istio-cni": (("spec", "components", "cni", "k8s"), (*VALUES, "cni")),
    # Nested here, flattened for the chart itself.
    "ztunnel": (("spec", "components", "ztunnel", "k8s"), (*VALUES, "ztunnel")),
}
"""Component -> where `k8s` is, where its values are."""
VALUES_ONLY: dict[Component, tree.Path] = {
    "sidecar": (*VALUES, "global", "proxy"),
    "waypoint": (*VALUES, "global", "waypoint"),
}
GATEWAY_LISTS = {
    "ingressGateways": "istio-ingressgateway",
    "egressGateways": "istio-egressgateway",
}
"""List of gateways -> key under `values.gateways` that sizes every one of the list."""
HPA: dict[Slot, tuple[tree.Path, tree.Path]] = {
    "autoscale_min": (("hpaSpec", "minReplicas"), ("autoscaleMin",)),
    "autoscale_max": (("hpaSpec", "maxReplicas"), ("autoscaleMax",)),
    "target_cpu": ((), ("cpu", "targetAverageUtilization")),
}
"""Bound -> path under `k8s`, path under the component's values."""
PLAIN_PROFILES = ("default", "minimal", "empty")
"""Profiles that set no sizes; others (demo) set `k8s.resources`, which outranks values."""


def is_operator(root: tree.Node | None) -> bool:
    api = tree.text_at(root, ("apiVersion",)) or ""
    return api.startswith("install.istio.io/") and tree.text_at(root, ("kind",)) == "IstioOperator"


@dataclass(eq=False)
class OperatorGroup(Group):
    """IstioOperator documents, in the order of istioctl's `-f`."""

    documents: list[Layer] = field(default_factory=list)

    @property
    def layers(self) -> Sequence[Layer]:
        return self.documents

    def covers(self, component: Component) -> bool:
        return True

    def has_gateway(self, name: str | None) -> bool:
        return any(_gateway_entry(layer, name) is not None for layer in self.documents)

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        if change.component in VALUES_ONLY:
            only = VALUES_ONLY[change.component]
            return [(*only, "resources", *SIZES[slot])] if slot in SIZES else []
        homes = self._homes(layer, change)
        if homes is None:
            return []
        k8s, values = homes
        under_values = [] if self._profile_sizes() or values is None else [values]
        if slot in SIZES:
            rest = ("resources", *SIZES[slot])
            return [(*home, *rest) for home in (k8s, *under_values)]
        bounded = values is not None and change.component in ("istiod", "gateway")
        in_values = [(*values, *HPA[slot][1])] if values is not None and bounded else []
        if slot != "target_cpu":
            return [(*k8s, *HPA[slot][0]), *in_values]
        target = _cpu_target(layer, k8s)
        # Without such a metric, a path that no document has keeps the ranks of layers alike.
        nowhere = [(*k8s, "hpaSpec", "metrics", "cpu")] if in_values else []
        return [*(nowhere if target is None else [target]), *in_values]

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path:
        found = self.candidates(layer, change, slot)
        # Bounds go into `hpaSpec` only where there is one: it is what counts then.
        has_spec = tree.lookup(layer.root, found[0][:-1]) is not None and slot != "target_cpu"
        return found[0] if slot in SIZES or has_spec else found[-1]

    def prepare(self, change: SizeChange) -> bool:
        for layer in self.documents:
            outranked = tree.mapping_at(layer.root, ("spec", "unvalidatedValues"))
            for path in self.candidates(layer, change, "cpu_request"):
                if path[:2] == VALUES and tree.lookup(outranked, path[2:-2]) is not None:
                    raise layer.source.error(
                        f"spec.unvalidatedValues sets {dotted(path[2:-2])} too",
                        outranked.start if outranked else 0,
                        hint="Keep sizes in spec.values alone.",
                    )
        return True

    def conclude(self, change: SizeChange) -> None:
        source = self.documents[-1].source
        if change.component == "sidecar":
            self.note(
                source,
                "spec.values.global.proxy.resources also sizes istio-init, istio-validation and "
                "the gateways that Istio deploys for the Gateway API; pin those that need more",
            )
        elif self._profile_sizes():
            self.note(source, "the profile's own k8s.resources outranks values: sizes go to k8s")

    def _profile_sizes(self) -> bool:
        names = [tree.text_at(layer.root, ("spec", "profile")) for layer in self.documents]
        return any(name not in (None, *PLAIN_PROFILES) for name in names)

    def _homes(self, layer: Layer, change: SizeChange) -> tuple[tree.Path, tree.Path | None] | None:
        """Where `k8s` of a component is, and its values if they are for it alone."""
        if change.component != "gateway":
            return COMPONENTS.get(change.component)
        entry = _gateway_entry(layer, change.workload)
        if entry is None:
            return None
        values = (*VALUES, "gateways", GATEWAY_LISTS[str(entry[2])])
        listed = tree.lookup(layer.root, entry[:3])
        alone = isinstance(listed, tree.Sequence) and len(listed.items) == 1
        return (*entry, "k8s"), values if alone else None


def _gateway_entry(layer: Layer, name: str | None) -> tree.Path | None:
    """Path of the gateway of this name in `ingressGateways` or `egressGateways`."""
    for key in GATEWAY_LISTS:
        path = ("spec", "components", key)
        listed = tree.lookup(layer.root, path)
        items = listed.items if isinstance(listed, tree.Sequence) else []
        for number, item in enumerate(items):
            if tree.text_at(item, ("name",)) == name:
                return (*path, number)
    return None


def _cpu_target(layer: Layer, k8s: tree.Path) -> tree.Path | None:
    """Path of the CPU target in `k8s.hpaSpec.metrics`, in either version of the HPA."""
    metrics = (*k8s, "hpaSpec", "metrics")
    listed = tree.lookup(layer.root, metrics)
    items = listed.items if isinstance(listed, tree.Sequence) else []
    for number, item in enumerate(items):
        if tree.text_at(item, ("resource", "name")) == "cpu":
            for rest in (("target", "averageUtilization"), ("targetAverageUtilization",)):
                if tree.lookup(item, ("resource", *rest)) is not None:
                    return (*metrics, number, "resource", *rest)
    return None
