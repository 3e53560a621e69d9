"""Which part of the mesh a container is."""

from __future__ import annotations

import re
from collections.abc import Collection

from rightsize.results import Component

_AGENTS = frozenset({"istio-proxy", "istio-validation", "istio-init"})
_GATEWAY_NAME = re.compile("gateway|ingress|egress|waypoint")
GATEWAY_CLASS = "gateway.networking.k8s.io/gateway-class-name"


def component(
    container: str,
    *,
    init: bool,
    namespace: str,
    workload: str,
    others: Collection[str] | None,
    gateway_class: str | None,
    gateways: Collection[str],
) -> Component | None:
    """Return a container's component, None for everything that is not the mesh's.

    Parameters
    ----------
    init : bool
        It is an init container.
    namespace, workload : str
        Of its pod.
    others : collection of str or None
        The pod's other containers that are no init containers; None if they are unknown.
    gateway_class : str or None
        Gateway API class among the pod's labels, if known.
    gateways : collection of str
        `namespace/workload` that the user calls gateways.
    """
    if container == "discovery":
        return "istiod" if workload.startswith("istiod") else None
    if container == "install-cni":
        return "istio-cni"
    if container != "istio-proxy":
        return None
    if workload.startswith("ztunnel"):
        return "ztunnel"
    if f"{namespace}/{workload}" in gateways:
        return "gateway"
    if gateway_class == "istio-waypoint":
        return "waypoint"
    if init or (others is not None and set(others) - _AGENTS):
        return "sidecar"
    if others is None and not _GATEWAY_NAME.search(workload):
        # Most proxies are sidecars, and gateways are named so.
        return "sidecar"
    # Alone in its pod. `istioctl waypoint` and the documentation name waypoints so.
    named = gateway_class is None and (workload.endswith("waypoint") or "-waypoint-" in workload)
    return "waypoint" if named else "gateway"
