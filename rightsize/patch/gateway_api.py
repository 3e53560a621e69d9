"""Sizes of gateways and waypoints that Istio deploys for Gateway API `Gateway` objects.

Such a gateway takes `global.proxy.resources` unless its `spec.infrastructure.parametersRef` names a
ConfigMap with a key `deployment` that overlays the Deployment (from Istio 1.26).
"""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files import tree
from rightsize.files.embedded import opened
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import SIZES, Group
from rightsize.patch.manifests import Workload
from rightsize.patch.model import SizeChange, Slot

PARAMETERS: tree.Path = ("spec", "infrastructure", "parametersRef")
PROXY = "istio-proxy"


@dataclass(eq=False)
class ApiGateway(Layer):
    """One `Gateway` object; Istio names its Deployment after it and its class."""

    name: str
    namespace: str | None
    gateway_class: str

    def is_for(self, change: SizeChange) -> bool:
        return (
            change.component in ("gateway", "waypoint")
            and change.workload in (self.name, f"{self.name}-{self.gateway_class}")
            and self.namespace in (None, change.namespace)
        )


def api_gateway(layer: Layer) -> ApiGateway | None:
    """The `Gateway` of a document, if it is one."""
    api = tree.text_at(layer.root, ("apiVersion",)) or ""
    name = tree.text_at(layer.root, ("metadata", "name"))
    is_gateway = api.startswith("gateway.networking.k8s.io/") and (
        tree.text_at(layer.root, ("kind",)) == "Gateway"
    )
    if not is_gateway or name is None:
        return None
    return ApiGateway(
        layer.source,
        layer.document,
        name,
        tree.text_at(layer.root, ("metadata", "namespace")),
        tree.text_at(layer.root, ("spec", "gatewayClassName")) or "istio",
    )


def overlay_of(gateway: ApiGateway, given: Given) -> Workload | None:
    """The overlay of a gateway's Deployment, as a workload to patch; None where there is none."""
    wanted = tree.text_at(gateway.root, (*PARAMETERS, "name"))
    layer = given.config_map(wanted, gateway.namespace)
    if layer is None or tree.text_at(layer.root, ("data", "deployment")) is None:
        return None
    inner = opened(layer.source, layer.document, ("data", "deployment"))
    return Workload(inner, 0, (), "Deployment", gateway.name, gateway.namespace)


@dataclass(eq=False)
class ApiGatewayGroup(Group):
    """One `Gateway` and the overlay of its Deployment, if it has one."""

    gateway: ApiGateway | None = None

    def covers(self, change: SizeChange) -> bool:
        return self.gateway is not None and self.gateway.is_for(change)

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        container = layer.container(PROXY) if isinstance(layer, Workload) else None
        known = container is not None and slot in SIZES
        return [(*container, "resources", *SIZES[slot])] if known and container else []

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        return next(iter(self.candidates(layer, change, slot)), None)

    def unread(self, change: SizeChange) -> str | None:
        if self.gateway is not None and not isinstance(self.layers[0], Workload):
            self.note(self.gateway.source, advice_to_pin(self.gateway, change))
            return "this Gateway takes global.proxy.resources"
        return None


def advice_to_pin(gateway: ApiGateway, change: SizeChange) -> str:
    """What to do about a gateway that has no sizes of its own."""
    return (
        f"Gateway {gateway.name} takes global.proxy.resources; sizes of {change.key} not written: "
        "give it a ConfigMap by spec.infrastructure.parametersRef with a key `deployment` that sizes the "
        f"container {PROXY} (Istio 1.26 and later)"
    )
