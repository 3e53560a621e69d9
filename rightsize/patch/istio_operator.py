"""Sizes in IstioOperator files (`install.istio.io/v1alpha1`), which istioctl reads.

The chart is rendered from `spec.values`, then `k8s` of a component is merged over the result,
field by field (operator/pkg/render/postprocess.go), so `k8s` comes first wherever both are.
"""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.files.tree import dotted
from rightsize.patch.groups import SIZES, Found, Group, first_set
from rightsize.patch.model import SizeChange, Slot
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
GATEWAY_LISTS = {"ingressGateways": "istio-ingressgateway", "egressGateways": "istio-egressgateway"}
"""List of gateways -> key under `values.gateways` that sizes every one of the list."""
HPA: dict[Slot, tuple[tree.Path, tree.Path]] = {
    "autoscale_min": (("hpaSpec", "minReplicas"), ("autoscaleMin",)),
    "autoscale_max": (("hpaSpec", "maxReplicas"), ("autoscaleMax",)),
    "target_cpu": ((), ("cpu", "targetAverageUtilization")),
}
"""Bound -> path under `k8s`, path under the component's values."""
PLAIN_PROFILES = ("default", "minimal", "empty")
"""Profiles that set no sizes; others (demo) set `k8s.resources`, which outranks values."""


WITHOUT_ISTIOD = ("empty", "remote", "external")
"""Profiles that install nothing, or no istiod, unless a component is enabled by name."""
NAMES: dict[Component, str] = {
    "istiod": "pilot",
    "sidecar": "pilot",
    "waypoint": "pilot",
    "istio-cni": "cni",
    "ztunnel": "ztunnel",
}
"""Component -> key under `components` that turns it on or off."""


@dataclass(eq=False)
class OperatorGroup(Group):
    """IstioOperator documents, in the order of istioctl's `-f`."""

    def covers(self, change: SizeChange) -> bool:
        if change.component == "gateway":
            return self._has_gateway(change.workload)
        if change.component == "sidecar" and change.workload is not None:
            return False
        key = NAMES[change.component]
        enabled = self._text(("spec", "components", key, "enabled")) or self._text(
            (*VALUES, key, "enabled")
        )
        if enabled is not None:
            return enabled == "true"
        return self._text(("spec", "profile")) not in WITHOUT_ISTIOD

    def _has_gateway(self, name: str | None) -> bool:
        """Whether a list names it, or the profile's own gateway has values here."""
        listed = any(_gateway_entry(layer, name) is not None for layer in self.layers)
        return listed or (
            name is not None
            and name in GATEWAY_LISTS.values()
            and any(tree.mapping_at(x.root, (*VALUES, "gateways", name)) for x in self.layers)
        )

    def autoscaling_off(self, change: SizeChange) -> Found | None:
        for layer in self.layers:
            blocks = self._blocks(layer, change)
            if blocks is not None and blocks[1] is not None:
                path = (*blocks[1], "autoscaleEnabled")
                found = first_set(self.layers, [[path]] * len(self.layers))
                scalar = None if found is None else found.scalar
                if scalar is not None and scalar.value == "false" and not scalar.style:
                    return found
        return None

    def memory_target(self, change: SizeChange) -> Found | None:
        ranked: list[list[tree.Path]] = []
        for layer in self.layers:
            blocks = self._blocks(layer, change)
            if blocks is None:
                ranked.append([])
                continue
            k8s, values = blocks
            paths = (
                []
                if k8s is None
                else [_target(layer, k8s, "memory") or (*k8s, "hpaSpec", "metrics", "memory")]
            )
            if values is not None:
                paths.append((*values, "memory", "targetAverageUtilization"))
            ranked.append(paths)
        found = first_set(self.layers, ranked)
        return found if found is not None and found.scalar is not None else None

    def _text(self, path: tree.Path) -> str | None:
        """The text in force at a path: the last document that sets it."""
        texts = [tree.text_at(layer.root, path) for layer in self.layers]
        return next((text for text in reversed(texts) if text is not None), None)

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        if change.component in VALUES_ONLY:
            only = VALUES_ONLY[change.component]
            return [(*only, "resources", *SIZES[slot])] if slot in SIZES else []
        blocks = self._blocks(layer, change)
        if blocks is None:
            return []
        k8s, values = blocks
        if slot in SIZES:
            outranked = k8s is not None and self._profile_sizes()
            places = (k8s, None if outranked else values)
            rest = ("resources", *SIZES[slot])
            return [(*place, *rest) for place in places if place is not None]
        bounded = values is not None and change.component in ("istiod", "gateway")
        in_values = [(*values, *HPA[slot][1])] if values is not None and bounded else []
        if k8s is None:
            return in_values
        if slot != "target_cpu":
            return [(*k8s, *HPA[slot][0]), *in_values]
        target = _target(layer, k8s, "cpu")
        # Without such a metric, a path that no document has keeps the ranks of layers alike.
        nowhere = [(*k8s, "hpaSpec", "metrics", "cpu")] if in_values else []
        return [*(nowhere if target is None else [target]), *in_values]

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        found = self.candidates(layer, change, slot)
        if not found:
            return None
        # Bounds go into `hpaSpec` only where there is one: it is what counts then.
        has_spec = tree.lookup(layer.root, found[0][:-1]) is not None and slot != "target_cpu"
        return found[0] if slot in SIZES or has_spec else found[-1]

    def unread(self, change: SizeChange) -> str | None:
        for layer in self.layers:
            outranked = tree.mapping_at(layer.root, ("spec", "unvalidatedValues"))
            for path in self.candidates(layer, change, "cpu_request"):
                if path[:2] == VALUES and tree.lookup(outranked, path[2:-2]) is not None:
                    raise layer.source.error(
                        f"spec.unvalidatedValues sets {dotted(path[2:-2])} too",
                        outranked.start if outranked else 0,
                        hint="Keep sizes in spec.values alone.",
                    )
        return None

    def conclude(self, change: SizeChange) -> None:
        source = self.layers[-1].source
        if change.component == "sidecar":
            self.note(
                source,
                "spec.values.global.proxy.resources also sizes istio-init, istio-validation and "
                "the gateways that Istio deploys for the Gateway API; pin those that need more",
            )
        elif self._profile_sizes():
            self.note(source, "the profile's own k8s.resources outranks values: sizes go to k8s")

    def _profile_sizes(self) -> bool:
        return self._text(("spec", "profile")) not in (None, *PLAIN_PROFILES)

    def _blocks(
        self, layer: Layer, change: SizeChange
    ) -> tuple[tree.Path | None, tree.Path | None] | None:
        """Where `k8s` of a component is, and its values if they are for it alone."""
        if change.component != "gateway":
            return COMPONENTS.get(change.component)
        entry = _gateway_entry(layer, change.workload)
        if entry is None:
            own = (*VALUES, "gateways", str(change.workload))
            named = change.workload in GATEWAY_LISTS.values()
            return (None, own) if named and tree.mapping_at(layer.root, own) else None
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


def _target(layer: Layer, k8s: tree.Path, resource: str) -> tree.Path | None:
    """Path of the utilisation target in `k8s.hpaSpec.metrics`, in either version of the HPA."""
    metrics = (*k8s, "hpaSpec", "metrics")
    listed = tree.lookup(layer.root, metrics)
    items = listed.items if isinstance(listed, tree.Sequence) else []
    for number, item in enumerate(items):
        if tree.text_at(item, ("resource", "name")) == resource:
            for rest in (("target", "averageUtilization"), ("targetAverageUtilization",)):
                if tree.lookup(item, ("resource", *rest)) is not None:
                    return (*metrics, number, "resource", *rest)
    return None
