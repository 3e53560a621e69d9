"""Keys that no release of a chart knows, and fields that Istio's resources do not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from rightsize.audit.model import KubeObject, Sources, Values
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node
from rightsize.files.known import (
    FIRST_KNOWN,
    LAST_KNOWN,
    Setting,
    Version,
    chart_values,
    nearest,
    version_text,
)
from rightsize.files.resource_fields import children, resource_fields

_TOLD_ELSEWHERE = frozenset(
    {
        "sharding",
        "pilot.sharding",
        "pilot.cache",
        "global.proxy.securityContext",
        "global.proxy_init.resources",
        "ztunnel",
        "defaults",
        "_internal_defaults_do_not_set",
    }
)
"""Paths that have a rule of their own."""
_ALWAYS = frozenset(
    [
        "global",
        "profile",
        "platform",
        "compatibilityVersion",
        "enabled",
        "defaultRevision",
        "runAsRoot",
        "unprivilegedPort",
    ]
)
"""Keys that every chart takes or passes over; `enabled` is the condition of a subchart."""
_COMPONENTS = ("ztunnel", "cni", "gateways")
_CLOSED = {
    "istiod": ("", "pilot", "global.proxy", "global.proxy_init", "global.waypoint",
               "sidecarInjectorWebhook", "global.defaultPodDisruptionBudget"),
    "operator": ("", "pilot", "global.proxy", "global.proxy_init", "global.waypoint",
                 "sidecarInjectorWebhook", "global.defaultPodDisruptionBudget"),
    "gateway": ("", "autoscaling", "service"),
    "ztunnel": ("",),
    "cni": ("", "cni", "ambient"),
}  # fmt: skip
"""Mappings of which all keys are known: others are open to anything."""


@rule("unknown-key")
def unknown_key(sources: Sources) -> Iterator[Hit]:
    for values in sources.values:
        version = sources.release(values)
        if values.shipped or values.chart not in _CLOSED or (version and version > LAST_KNOWN):
            continue
        known = _known(values.chart)
        for prefix in _CLOSED[values.chart]:
            for name, node in _entries(values, prefix):
                path = f"{prefix}.{name}" if prefix else name
                expected = path in known or path in _TOLD_ELSEWHERE or name.startswith((".", "x-"))
                if not expected and name not in _ALWAYS:
                    yield from _unknown(node, prefix, name, known)


@rule("key-not-in-release")
def key_not_in_release(sources: Sources) -> Iterator[Hit]:
    for values in sources.values:
        version = sources.release(values)
        in_range = version is not None and FIRST_KNOWN <= version <= LAST_KNOWN
        if values.shipped or values.chart not in _CLOSED or not in_range or version is None:
            continue
        known = _known(values.chart)
        for prefix in _CLOSED[values.chart]:
            if values.chart in ("istiod", "cni") and not prefix:
                continue  # top-level keys before 1.24 have a rule of their own
            for name, node in _entries(values, prefix):
                setting = known.get(f"{prefix}.{name}" if prefix else name)
                if setting is not None and not setting.read_by(version):
                    evidence = (
                        f"{node.place.path} is read by {setting.span}, not {version_text(version)}"
                    )
                    yield at(node, evidence, f"# delete {name}", versions=setting.span)


@rule("unknown-field")
def unknown_field(sources: Sources) -> Iterator[Hit]:
    for obj in sources.objects:
        spec = obj.root.get("spec")
        if spec is None or not obj.group.endswith(".istio.io"):
            continue
        if obj.kind in resource_fields():
            yield from _unknown_fields(obj, spec, "spec", sources.version)


def _unknown_fields(
    obj: KubeObject, mapping: Node, path: str, version: Version | None
) -> Iterator[Hit]:
    """Every field at and below a mapping that the resource definition does not have."""
    fields = resource_fields()[obj.kind]
    names = children(obj.kind, path)
    if f"{path}?" in fields:
        return
    for name, node in (mapping.entries or {}).items():
        known = "*" if names == ("*",) else name
        inner = f"{path}.{known}"
        if known in names:
            setting = fields[inner]
            if version is not None and version < setting.first and setting.first > FIRST_KNOWN:
                evidence = f"{obj.title} has {node.place.path}, a field of {setting.span}"
                yield at(node, evidence, f"# delete {name}", severity="warning")
            yield from _unknown_fields(obj, node, inner, version)
            for item in node.items or ():
                yield from _unknown_fields(obj, item, f"{inner}[]", version)
        elif names:
            yield _unknown_field(obj, node, name, names)


def _unknown_field(obj: KubeObject, node: Node, name: str, names: tuple[str, ...]) -> Hit:
    if obj.kind == "Sidecar" and node.place.path == "spec.resources":
        return at(
            node,
            f"{obj.title} has spec.resources",
            "# sidecars are sized by global.proxy.resources, or by the four annotations "
            "sidecar.istio.io/proxyCPU, proxyCPULimit, proxyMemory, proxyMemoryLimit; "
            "egress.hosts here cuts what they must hold",
            why="A Sidecar never had resources: it scopes configuration, it sizes nothing.",
        )
    meant = nearest(name, names)
    value = "..." if node.text is None else node.text
    fix = f"{meant}: {value}" if meant else f"# delete {name}"
    return at(node, f"{obj.title} has {node.place.path}", fix)


def _entries(values: Values, prefix: str) -> Iterator[tuple[str, Node]]:
    mapping = values.root.get(*prefix.split(".")) if prefix else values.root
    yield from () if mapping is None or mapping.entries is None else mapping.entries.items()


@cache
def _known(chart: str) -> Mapping[str, Setting]:
    """Every path that a chart reads, with the releases that do."""
    if chart in ("istiod", "cni"):
        nested = "pilot" if chart == "istiod" else "cni"
        own = chart_values(chart)
        return _united([own, {f"{nested}.{name}": setting for name, setting in own.items()}])
    if chart == "operator":
        charts = [chart_values(name) for name in ("istiod", "base", "ingress", "egress", "cni")]
        nested_istiod = {f"pilot.{name}": s for name, s in charts[0].items()}
        names = {name: Setting(name, FIRST_KNOWN, LAST_KNOWN) for name in _COMPONENTS}
        return _united([*charts, nested_istiod, names])
    return chart_values(chart)


def _united(catalogues: list[dict[str, Setting]]) -> dict[str, Setting]:
    """One catalogue; a path that is in several spans from its first to its last release."""
    united: dict[str, Setting] = {}
    for name, setting in ((n, s) for catalogue in catalogues for n, s in catalogue.items()):
        before = united.get(name, setting)
        first, last = min(before.first, setting.first), max(before.last, setting.last)
        united[name] = Setting(name, first, last, before.default or setting.default)
    return united


def _unknown(node: Node, prefix: str, name: str, known: Mapping[str, Setting]) -> Iterator[Hit]:
    depth = prefix.count(".") + 1 if prefix else 0
    siblings = [
        path.rpartition(".")[2]
        for path in known
        if path.count(".") == depth and (not prefix or path.startswith(f"{prefix}."))
    ]
    others = [c for c in ("istiod", "gateway", "cni", "ztunnel", "base") if name in chart_values(c)]
    if not prefix and others:
        evidence = f"{node.place.path} is a key of the {others[0]} chart, not of this one"
        yield at(node, evidence, f"# move it to the values of {others[0]}", severity="info")
        return
    meant = nearest(name, siblings)
    setting = known.get(f"{prefix}.{meant}")
    if setting is not None and setting.default and setting.default == node.text:
        return  # what it asks for is in force all the same
    yield at(
        node,
        f"{node.place.path} is no key of the chart" + (f"; {meant} is" if meant else ""),
        f"{meant}: ..." if meant else f"# delete {name}",
        severity="error" if meant else "warning",
    )
