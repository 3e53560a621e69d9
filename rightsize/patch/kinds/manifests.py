"""Plain manifests: workloads, lists of them, Gateway API gateways, and all other objects."""

from __future__ import annotations

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.patch.gateway_api import PROXY, ApiGatewayGroup, api_gateway, overlay_of
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.registry import kind
from rightsize.patch.manifests import (
    CONTAINERS,
    ContainerGroup,
    PodAnnotations,
    Workload,
    workloads_of,
)


@kind
def gateway(layer: Layer, given: Given) -> list[Group] | None:
    found = api_gateway(layer)
    if found is None:
        return None
    release = Release("Gateway", found.name, found.namespace)
    overlay = overlay_of(found, given)
    if overlay is None or overlay.container(PROXY) is None:
        overlay = None
    return [ApiGatewayGroup(release, [layer if overlay is None else overlay], gateway=found)]


@kind
def workloads(layer: Layer, given: Given) -> list[Group] | None:
    if not is_object(layer):
        return None
    found = list(workloads_of(layer))
    return [workload_group(workload) for workload in found] or None


def workload_group(workload: Workload) -> Group:
    """The group of one manifest or patch: sized in its containers, or by annotations."""
    release = Release(workload.kind, workload.name, workload.namespace)
    has_proxy = any(workload.container(name) for name in CONTAINERS.values())
    return (ContainerGroup if has_proxy else PodAnnotations)(release, [workload])


def is_object(layer: Layer) -> bool:
    """Whether a document is a Kubernetes object, and so no values."""
    return tree.text_at(layer.root, ("kind",)) is not None and (
        tree.text_at(layer.root, ("apiVersion",)) is not None
    )
