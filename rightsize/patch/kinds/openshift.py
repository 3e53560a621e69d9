"""OpenShift Service Mesh 2: ServiceMeshControlPlane, which has paths of its own."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import SIZES, Group, Release
from rightsize.patch.kinds.registry import kind
from rightsize.patch.model import SizeChange, Slot

RUNTIME: tree.Path = ("spec", "runtime", "components", "pilot")
BLOCKS: dict[str, tree.Path] = {
    "sidecar": ("spec", "proxy", "runtime", "container", "resources"),
    "istiod": (*RUNTIME, "container", "resources"),
}
HPA: dict[Slot, tree.Path] = {
    "autoscale_min": ("minReplicas",),
    "autoscale_max": ("maxReplicas",),
    "target_cpu": ("targetCPUUtilizationPercentage",),
}
"""Bound -> path under `deployment.autoScaling` of the component's runtime."""
GATEWAYS = {"istio-ingressgateway": "ingress", "istio-egressgateway": "egress"}


@dataclass(eq=False)
class ControlPlaneGroup(Group):
    """One ServiceMeshControlPlane (maistra.io/v2)."""

    def covers(self, change: SizeChange) -> bool:
        if change.component == "gateway":
            return any(_gateway(layer, change.workload) for layer in self.layers)
        exception = change.component == "sidecar" and change.workload is not None
        return change.component in BLOCKS and not exception

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        gateway = _gateway(layer, change.workload) if change.component == "gateway" else None
        if slot in SIZES:
            own = None if gateway is None else (*gateway, "runtime", "container", "resources")
            block = BLOCKS.get(change.component) or own
            return [] if block is None else [(*block, *SIZES[slot])]
        runtime = RUNTIME if change.component == "istiod" else None
        runtime = (*gateway, "runtime") if gateway is not None else runtime
        scaling = () if runtime is None else (*runtime, "deployment", "autoScaling")
        # Without an `autoScaling` block there is no HPA, and none is to be made.
        exists = scaling and tree.mapping_at(layer.root, scaling) is not None
        return [(*scaling, *HPA[slot])] if exists else []

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        return next(iter(self.candidates(layer, change, slot)), None)


def _gateway(layer: Layer, name: str | None) -> tree.Path | None:
    key = GATEWAYS.get(name or "")
    gateways: tree.Path = ("spec", "gateways")
    places = [(*gateways, key)] if key else []
    places += [(*gateways, f"additional{side}", str(name)) for side in ("Ingress", "Egress")]
    return next((path for path in places if tree.mapping_at(layer.root, path)), None)


@kind
def control_plane(layer: Layer, given: Given) -> list[Group] | None:
    if tree.text_at(layer.root, ("kind",)) != "ServiceMeshControlPlane":
        return None
    if tree.mapping_at(layer.root, ("spec", "istio")) is not None:
        given.note(layer.source, "a ServiceMeshControlPlane of v1 (spec.istio) is not patched")
        return []
    metadata = ("metadata",)
    name, namespace = (tree.text_at(layer.root, (*metadata, k)) for k in ("name", "namespace"))
    return [ControlPlaneGroup(Release("ServiceMeshControlPlane", name, namespace), [layer])]
