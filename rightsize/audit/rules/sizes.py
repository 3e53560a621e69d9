"""Sizes that are too small to serve, wherever they are written."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node
from rightsize.quantity import MEBIBYTE, parse_quantity

_LEAST_PROXY_CPU_LIMIT = 0.2
"""Cores that one sidecar with two workers uses at 1000 requests a second (istio.io, 1.24)."""
_LEAST_PROXY_MEMORY_LIMIT = 128 * MEBIBYTE
"""60 MB were measured at that load with one kind of service; a full configuration takes more."""
_LEAST_PROXY_MEMORY_REQUEST = 40 * MEBIBYTE
"""What the demo profile, made to be small, requests."""
_LEAST_ISTIOD_MEMORY = 512 * MEBIBYTE
"""A quarter of the chart's default of 2048Mi."""
_DEFAULT_GRACE_SECONDS = 30


@rule(
    "sidecar-limit-tight",
    severity="warning",
    title="a sidecar limit below what 1000 requests a second take",
    why="A CPU limit below one core leaves Envoy one thread and throttles it in bursts; a memory "
    "limit of 128Mi kills it once the mesh's configuration grows.",
)
def sidecar_limit(sources: Sources) -> Iterator[Hit]:
    for node, resource in _proxy_limits(sources):
        least = _LEAST_PROXY_CPU_LIMIT if resource == "cpu" else _LEAST_PROXY_MEMORY_LIMIT
        size = _size(node)
        # A quantity of 0 is no limit at all.
        tight = size and (size < least or (resource == "memory" and size == least))
        if tight:
            fix = f"{node.path[-1]}: {'2000m' if resource == 'cpu' else '1024Mi'}"
            yield at(node, f"{node.place.path} is {node.text}", fix)


@rule(
    "sidecar-request-tight",
    severity="warning",
    title="a mesh-wide sidecar request below what an idle proxy holds",
    why="istio.io publishes 60 MB for a proxy of 1.24 under load; the scheduler packs nodes by the "
    "request, and what is used above it is evicted first.",
)
def sidecar_request(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        node = values.root.get("global", "proxy", "resources", "requests", "memory")
        size = None if node is None else _size(node)
        if node is not None and size and size < _LEAST_PROXY_MEMORY_REQUEST:
            fix = "memory: 64Mi  # or what rightsize recommend finds in your history"
            yield at(node, f"{node.place.path} is {node.text}", fix)


@rule(
    "istiod-memory-tight",
    severity="warning",
    title="istiod with a quarter of its default memory, or less",
    why="Istio published 1.5 GB at 1000 services and 2000 proxies; istiod without its memory is "
    "evicted first, and its restart pushes everything to everyone.",
)
def istiod_memory(sources: Sources) -> Iterator[Hit]:
    nodes = [
        values.istiod("resources", kind, "memory")
        for values in sources.values_of("istiod", "operator")
        for kind in ("requests", "limits")
    ]
    nodes += [
        operator.root.get("spec", "components", "pilot", "k8s", "resources", kind, "memory")
        for operator in sources.operators
        for kind in ("requests", "limits")
    ]
    for node in nodes:
        size = None if node is None else _size(node)
        if node is not None and size is not None and size < _LEAST_ISTIOD_MEMORY:
            fix = "memory: 2048Mi  # or what rightsize control-plane finds in your history"
            yield at(node, f"{node.place.path} is {node.text}", fix)


@rule(
    "drain-longer-than-grace",
    severity="warning",
    title="terminationDrainDuration not below the pod's grace period",
    why="Kubernetes kills the pod at the end of terminationGracePeriodSeconds, 30 s by default, "
    "before the proxy has drained.",
)
def drain(sources: Sources) -> Iterator[Hit]:
    for mesh in sources.mesh_configs:
        node = mesh.get("defaultConfig", "terminationDrainDuration")
        text = "" if node is None else node.text or ""
        number = text.removesuffix("s")
        if node is not None and number.isdigit() and int(number) >= _DEFAULT_GRACE_SECONDS:
            fix = "terminationDrainDuration: 20s"
            yield at(node, f"terminationDrainDuration is {text}", fix)


def _proxy_limits(sources: Sources) -> Iterator[tuple[Node, str]]:
    for values in sources.values_of("istiod", "operator"):
        for resource in ("cpu", "memory"):
            node = values.root.get("global", "proxy", "resources", "limits", resource)
            if node is not None:
                yield node, resource
    for obj in sources.objects:
        template = obj.pod_template
        annotations = None if template is None else template.get("metadata", "annotations")
        for name, resource in (("proxyCPULimit", "cpu"), ("proxyMemoryLimit", "memory")):
            found = None if annotations is None else annotations.get(f"sidecar.istio.io/{name}")
            if found is not None:
                yield found, resource


def _size(node: Node) -> float | None:
    try:
        return parse_quantity(node.text or "")
    except ValueError:
        return None
