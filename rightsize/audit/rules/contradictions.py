"""Settings that contradict each other: Kubernetes refuses them, or one of them has no effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from rightsize.audit.coherent import amount
from rightsize.audit.model import KubeObject, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node

_PREFIX = "sidecar.istio.io/"
_SIZES = (("proxyCPU", "proxyCPULimit"), ("proxyMemory", "proxyMemoryLimit"))
_CONFIG = "proxy.istio.io/config"
_ENGINE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DEFAULT_GRACE_SECONDS = 30
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Sized(NamedTuple):
    """A block of resources, and istiod's environment beside it."""

    name: str
    resources: Node
    environment: Node | None = None
    is_istiod: bool = False


@rule("request-above-limit")
def request_above_limit(sources: Sources) -> Iterator[Hit]:
    for sized in resources_of(sources):
        for resource in ("cpu", "memory"):
            request = sized.resources.get("requests", resource)
            limit = sized.resources.get("limits", resource)
            yield from _above(request, limit, f"{sized.name}: {resource} request", resource)
    for written, title in all_annotations(sources):
        for name, limit_name in _SIZES:
            request = written.get(_PREFIX + name)
            limit = written.get(_PREFIX + limit_name)
            yield from _above(request, limit, f"{title}: {name}", _PREFIX + limit_name)


def _above(request: Node | None, limit: Node | None, what: str, key: str) -> Iterator[Hit]:
    wanted, allowed = amount(request), amount(limit)
    if request is not None and limit is not None and wanted and allowed and wanted > allowed:
        fix = f'{key}: "{request.text}"  # the limit, at least as large as the request'
        yield at(limit, f"{what} is {request.text} above a limit of {limit.text}", fix)


@rule("autoscaler-minimum-above-maximum")
def minimum_above_maximum(sources: Sources) -> Iterator[Hit]:
    pairs = [
        (obj.root.get("spec", least), obj.root.get("spec", most))
        for obj in sources.of_kind("HorizontalPodAutoscaler", "ScaledObject")
        for least, most in (("minReplicas", "maxReplicas"), ("minReplicaCount", "maxReplicaCount"))
    ]
    pairs += [
        (v.istiod("autoscaleMin"), v.istiod("autoscaleMax"))
        for v in sources.values_of("istiod", "operator")
    ]
    pairs += [
        (v.root.get("autoscaling", "minReplicas"), v.root.get("autoscaling", "maxReplicas"))
        for v in sources.values_of("gateway")
    ]
    for component in _operator_components(sources):
        spec = component.get("k8s", "hpaSpec")
        if spec is not None:
            pairs.append((spec.get("minReplicas"), spec.get("maxReplicas")))
    for least, most in pairs:
        if least is None or most is None or least.number is None or most.number is None:
            continue
        if least.number > most.number:
            fix = f"{most.path[-1]}: {least.text}"
            yield at(most, f"{least.place.path} is {least.text}, above {most.text}", fix)


@rule("concurrency-above-limit")
def concurrency_above_limit(sources: Sources) -> Iterator[Hit]:
    for written, title in all_annotations(sources):
        node, config = written.get(_CONFIG), _proxy_config(written)
        limit = written.get(f"{_PREFIX}proxyCPULimit")
        yield from _threads(node, config.get("concurrency"), amount(limit), title, limit)
    limits = [
        values.root.get("global", "proxy", "resources", "limits", "cpu")
        for values in sources.values_of("istiod", "operator")
    ]
    known = [limit for limit in limits if limit is not None]
    for node in _mesh_concurrency(sources):
        # Settings of one file belong together; those of several where there is one mesh default.
        near = [one for one in known if one.place.file == node.place.file]
        limit = (near or known)[0] if len(near or known) == 1 else None
        yield from _threads(node, node.number, amount(limit), "the mesh default", limit)


def _mesh_concurrency(sources: Sources) -> Iterator[Node]:
    nodes = [mesh.get("defaultConfig", "concurrency") for mesh in sources.mesh_configs]
    nodes += [
        obj.root.get("spec", "concurrency")
        for obj in sources.of_kind("ProxyConfig")
        if obj.namespace == "istio-system" and obj.root.get("spec", "selector") is None
    ]
    yield from (node for node in nodes if node is not None)


def _threads(
    node: Node | None, number: object, cores: float | None, title: str, limit: Node | None
) -> Iterator[Hit]:
    if node is None or limit is None or not cores or not isinstance(number, int | float):
        return
    if number == 0 or number > max(cores, 1):
        threads = "a thread for each core of the node" if number == 0 else f"{number:.0f} threads"
        evidence = f"{title}: concurrency {number:.0f} ({threads}) under a limit of {limit.text}"
        yield at(node, evidence, "# delete concurrency: it follows the CPU limit, rounded up")


@rule("go-memory-limit-above-limit")
def go_memory_limit(sources: Sources) -> Iterator[Hit]:
    for sized in resources_of(sources):
        limit = sized.resources.get("limits", "memory")
        node = _variable(sized.environment, "GOMEMLIMIT")
        wanted, allowed = _go_bytes(node), amount(limit)
        if node is None or limit is None or wanted is None or not allowed or wanted < allowed:
            continue
        fix = f'GOMEMLIMIT: "{int(allowed * 0.9 / 2**20)}MiB"  # nine tenths of the limit'
        yield at(node, f"GOMEMLIMIT is {node.text}, the memory limit {limit.text}", fix)


@rule("pod-drain-longer-than-grace")
def pod_drain(sources: Sources) -> Iterator[Hit]:
    for obj in sources.objects:
        template = obj.pod_template
        annotations = None if template is None else template.get("metadata", "annotations")
        if template is None or annotations is None:
            continue
        drain = _seconds(str(_proxy_config(annotations).get("terminationDrainDuration", "")))
        grace = template.get("spec", "terminationGracePeriodSeconds")
        allowed = _DEFAULT_GRACE_SECONDS if grace is None else grace.number
        node = annotations.get(_CONFIG)
        if node is not None and drain is not None and allowed is not None and drain >= allowed:
            evidence = f"{obj.title}: a drain of {drain:.0f} s in a grace of {allowed:.0f} s"
            fix = f"terminationGracePeriodSeconds: {int(drain) + 10}"
            yield at(node, evidence, fix)


def resources_of(sources: Sources) -> Iterator[Sized]:
    """Every block of resources of the mesh and of the workloads in these files."""
    for values in sources.values:
        if values.chart in ("istiod", "operator"):
            resources, env = values.istiod("resources"), values.istiod("env")
            yield from _sized("istiod", resources, env, is_istiod=True)
            for name in ("proxy", "waypoint"):
                inner = values.root.get("global", name, "resources")
                yield from _sized("sidecars" if name == "proxy" else "waypoints", inner)
        else:
            yield from _sized(values.chart, values.root.get("resources"))
        yield from _sized("istio-cni", values.root.get("cni", "resources"))
    for component in _operator_components(sources):
        inner, env = component.get("k8s", "resources"), component.get("k8s", "env")
        name = component.text_of("name") or str(component.path[-1])
        yield from _sized(name, inner, env, is_istiod="pilot" in component.path)
    for obj in sources.objects:
        spec = None if obj.pod_template is None else obj.pod_template.get("spec")
        for key in ("containers", "initContainers"):
            for container in [] if spec is None else spec.children(key):
                called = container.text_of("name") or "a container"
                yield from _sized(
                    f"{obj.title}, {called}",
                    container.get("resources"),
                    container.get("env"),
                    is_istiod=called == "discovery" and obj.name.startswith("istiod"),
                )


def _sized(
    name: str, resources: Node | None, env: Node | None = None, *, is_istiod: bool = False
) -> Iterator[Sized]:
    if resources is not None and resources.entries is not None:
        yield Sized(name, resources, env, is_istiod)


def _operator_components(sources: Sources) -> Iterator[Node]:
    for operator in sources.operators:
        components = operator.root.get("spec", "components")
        for node in ((components.entries if components else None) or {}).values():
            yield from [node] if node.items is None else node.items


def all_annotations(sources: Sources) -> Iterator[tuple[Node, str]]:
    for obj in sources.objects:
        template = obj.pod_template
        found = None if template is None else template.get("metadata", "annotations")
        if found is not None and found.entries:
            yield found, obj.title
    for document in sources.documents:
        found = None if KubeObject(document).kind else document.get("podAnnotations")
        if found is not None and found.entries:
            yield found, found.place.path


def _proxy_config(annotations: Node) -> dict[str, object]:
    """`proxy.istio.io/config` parsed; it is YAML, of which most people write the JSON part."""
    text = annotations.text_of(_CONFIG) or ""
    try:
        found = json.loads(text)
    except ValueError:
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
        found = {key.strip(): _plain(value.strip()) for key, _, value in pairs}
    return found if isinstance(found, dict) else {}


def _plain(text: str) -> str | int:
    bare = text.strip("\"'")
    return int(bare) if bare.isdigit() else bare


def _variable(env: Node | None, name: str) -> Node | None:
    if env is None:
        return None
    for item in env.items or ():
        if item.text_of("name") == name:
            return item.get("value")
    return env.get(name)


def _go_bytes(node: Node | None) -> float | None:
    text = "" if node is None else node.text or ""
    for unit in sorted(_ENGINE_UNITS, key=len, reverse=True):
        number = text.removesuffix(unit)
        if number != text and number.isdigit():
            return int(number) * _ENGINE_UNITS[unit]
    return float(text) if text.isdigit() else None


def _seconds(text: str) -> float | None:
    for unit in ("ms", "s", "m", "h"):
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit():
            return float(number) * _UNIT_SECONDS[unit]
    return None


@rule("retries-beyond-timeout")
def retries_beyond_timeout(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("VirtualService"):
        for route in obj.root.children("spec", "http"):
            whole = _seconds(route.text_of("timeout") or "")
            each = _seconds(route.text_of("retries", "perTryTimeout") or "")
            attempts = route.text_of("retries", "attempts") or ""
            if not whole or not each or not attempts.isdecimal() or int(attempts[:4]) == 0:
                continue
            tries = int(attempts[:4]) + 1
            if each * int(attempts[:4]) > whole:
                node = route.get("retries", "attempts")
                possible = max(1, int(whole / each))
                if node is not None:
                    yield at(
                        node,
                        f"{obj.title}: {tries} tries of {each:g} s in a timeout of {whole:g} s, "
                        f"which ends after {possible}",
                        f"timeout: {each * tries:g}s  # or fewer attempts",
                    )
