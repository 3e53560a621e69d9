"""Sizes that are too small to serve, wherever they are written."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.coherent import amount, limit_raised, request_raised
from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node
from rightsize.quantity import MEBIBYTE

_LEAST_PROXY_CPU_LIMIT = 0.2
"""Cores that one sidecar with two workers uses at 1000 requests a second (istio.io, 1.24)."""
_LEAST_PROXY_MEMORY_LIMIT = 128 * MEBIBYTE
"""60 MB were measured at that load with one kind of service; a full configuration takes more."""
_LEAST_PROXY_MEMORY_REQUEST = 40 * MEBIBYTE
"""What the demo profile, made to be small, requests."""
_LEAST_ISTIOD_MEMORY = 512 * MEBIBYTE
"""A quarter of the chart's default of 2048Mi."""
_LIMITS = {"cpu": "2000m", "memory": "1024Mi"}
"""Those of Istio's own global.proxy.resources."""
_DEFAULT_GRACE_SECONDS = 30


@rule("sidecar-limit-tight")
def sidecar_limit(sources: Sources) -> Iterator[Hit]:
    for node, request, resource in _proxy_limits(sources):
        least = _LEAST_PROXY_CPU_LIMIT if resource == "cpu" else _LEAST_PROXY_MEMORY_LIMIT
        size = amount(node)
        # A quantity of 0 is no limit at all.
        tight = size and (size < least or (resource == "memory" and size == least))
        if tight:
            fix = limit_raised(str(node.path[-1]), _LIMITS[resource], request)
            yield at(node, f"{node.place.path} is {node.text}", fix)


@rule("sidecar-request-tight")
def sidecar_request(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        resources = values.root.get("global", "proxy", "resources")
        node = None if resources is None else resources.get("requests", "memory")
        size = amount(node)
        if node is not None and size and size < _LEAST_PROXY_MEMORY_REQUEST:
            hint = "or what rightsize recommend finds in your history"
            fix = request_raised(resources, "memory", "64Mi", hint)
            yield at(node, f"{node.place.path} is {node.text}", fix)


@rule("istiod-memory-tight")
def istiod_memory(sources: Sources) -> Iterator[Hit]:
    blocks = [values.istiod("resources") for values in sources.values_of("istiod", "operator")]
    blocks += [
        operator.root.get("spec", "components", "pilot", "k8s", "resources")
        for operator in sources.operators
    ]
    hint = "or what rightsize control-plane finds in your history"
    for block in blocks:
        for kind in ("requests", "limits"):
            node = None if block is None else block.get(kind, "memory")
            size = amount(node)
            if node is not None and size is not None and size < _LEAST_ISTIOD_MEMORY:
                # A limit's fix takes no limit along but itself.
                beside = block if kind == "requests" else None
                fix = request_raised(beside, "memory", "2048Mi", hint)
                yield at(node, f"{node.place.path} is {node.text}", fix)


@rule("drain-longer-than-grace")
def drain(sources: Sources) -> Iterator[Hit]:
    for mesh in sources.mesh_configs:
        node = mesh.get("defaultConfig", "terminationDrainDuration")
        text = "" if node is None else node.text or ""
        number = text.removesuffix("s")
        if node is not None and number.isdigit() and int(number) >= _DEFAULT_GRACE_SECONDS:
            fix = "terminationDrainDuration: 20s"
            yield at(node, f"terminationDrainDuration is {text}", fix)


def _proxy_limits(sources: Sources) -> Iterator[tuple[Node, Node | None, str]]:
    """Each limit with its request, where that is written."""
    for values in sources.values_of("istiod", "operator"):
        resources = values.root.get("global", "proxy", "resources")
        for resource in ("cpu", "memory"):
            node = None if resources is None else resources.get("limits", resource)
            if resources is not None and node is not None:
                yield node, resources.get("requests", resource), resource
    for obj in sources.objects:
        template = obj.pod_template
        annotations = None if template is None else template.get("metadata", "annotations")
        for name, resource in (("proxyCPULimit", "cpu"), ("proxyMemoryLimit", "memory")):
            found = None if annotations is None else annotations.get(f"sidecar.istio.io/{name}")
            if annotations is not None and found is not None:
                request = annotations.get(f"sidecar.istio.io/{name.removesuffix('Limit')}")
                yield found, request, resource
