"""Annotations that size one workload's sidecar, and what they silently drop."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import KubeObject, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node
from rightsize.files.known import nearest
from rightsize.quantity import parse_quantity

_PREFIX = "sidecar.istio.io/"
_REQUESTS = ("proxyCPU", "proxyMemory")
_LIMITS = ("proxyCPULimit", "proxyMemoryLimit")
_DEFAULTS = {
    "proxyCPU": "100m",
    "proxyMemory": "128Mi",
    "proxyCPULimit": "2000m",
    "proxyMemoryLimit": "1024Mi",
}
"""Istio's own global.proxy.resources, 1.18 to 1.30."""
_VALUES = {
    "proxyCPU": ("requests", "cpu"),
    "proxyMemory": ("requests", "memory"),
    "proxyCPULimit": ("limits", "cpu"),
    "proxyMemoryLimit": ("limits", "memory"),
}
_KNOWN = frozenset(
    [
        "agentLogLevel",
        "bootstrapOverride",
        "componentLogLevel",
        "controlPlaneAuthPolicy",
        "discoveryAddress",
        "enableCoreDump",
        "extraStatTags",
        "inject",
        "interceptionMode",
        "logLevel",
        "nativeSidecar",
        "proxyCPU",
        "proxyCPULimit",
        "proxyImage",
        "proxyImageType",
        "proxyMemory",
        "proxyMemoryLimit",
        "rewriteAppHTTPProbers",
        "statsCompression",
        "statsEvictionInterval",
        "statsFlushInterval",
        "statsHistogramBins",
        "statsHistogramBuckets",
        "statsInclusionPrefixes",
        "statsInclusionRegexps",
        "statsInclusionSuffixes",
        "status",
        "userVolume",
        "userVolumeMount",
    ]
)
"""Names below sidecar.istio.io/ that any release from 1.18 to 1.30 reads."""
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Rollout")


@rule("annotations-drop-limits")
def drop_limits(sources: Sources) -> Iterator[Hit]:
    for mapping, title in _sized(sources):
        yield from _of_annotations(mapping, title, _mesh_default(sources))


@rule("annotations-on-workload")
def on_workload(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind(*_WORKLOADS):
        annotations = obj.root.get("metadata", "annotations")
        for name in (*_REQUESTS, *_LIMITS):
            node = None if annotations is None else annotations.get(_PREFIX + name)
            if annotations is not None and node is not None:
                fix = _in_template(obj, annotations, _mesh_default(sources))
                yield at(node, f"{obj.title} carries {_PREFIX}{name} in its metadata", fix)
    for command in sources.commands:
        for words in command.stages("kubectl"):
            if words[:1] != ("annotate",) or not _names_workload(words):
                continue
            for word in words:
                if word.startswith(tuple(f"{_PREFIX}{n}=" for n in (*_REQUESTS, *_LIMITS))):
                    yield at(
                        command.place_of(word),
                        command.text,
                        "# put all four annotations in spec.template.metadata.annotations and "
                        "apply the workload",
                    )


@rule("annotation-quantity")
def bad_quantity(sources: Sources) -> Iterator[Hit]:
    for mapping, _ in _sized(sources):
        for name in (*_REQUESTS, *_LIMITS):
            node = mapping.get(_PREFIX + name)
            if node is None or "{{" in (node.text or "") or "$" in (node.text or ""):
                continue
            try:
                parse_quantity(node.text or "")
            except ValueError:
                fix = f'{_PREFIX}{name}: "{_beside(mapping, name)}"'
                yield at(node, f"{_PREFIX}{name} is {node.text!r}", fix)


@rule("annotation-misspelt")
def misspelt(sources: Sources) -> Iterator[Hit]:
    for document in sources.documents:
        for mapping in document.walk():
            for name, node in (mapping.entries or {}).items():
                short = name.removeprefix(_PREFIX)
                meant = None if short == name or short in _KNOWN else nearest(short, _KNOWN)
                if meant is not None:
                    evidence = f"{name} is none of Istio's; {_PREFIX}{meant} is"
                    yield at(node, evidence, f"{_PREFIX}{meant}: {node.text}")


def _sized(sources: Sources) -> Iterator[tuple[Node, str]]:
    """Every mapping with a sizing annotation: pod templates, chart values, patches."""
    titles = {}
    own = set()
    for obj in sources.objects:
        template = obj.pod_template
        annotations = None if template is None else template.get("metadata", "annotations")
        if annotations is not None:
            titles[id(annotations)] = obj.title
        of_workload = obj.root.get("metadata", "annotations")
        if obj.kind in _WORKLOADS and of_workload is not None:
            own.add(id(of_workload))
    for document in sources.documents:
        for mapping in document.walk():
            names = mapping.entries or {}
            sized = any(_PREFIX + name in names for name in (*_REQUESTS, *_LIMITS))
            if sized and id(mapping) not in own:
                yield mapping, titles.get(id(mapping), mapping.place.path or "a patch")


def _mesh_default(sources: Sources) -> dict[str, str]:
    """What the annotations replace: `global.proxy.resources`, where one file alone sets it."""
    sizes = dict(_DEFAULTS)
    mesh = [
        values
        for values in sources.values_of("istiod", "operator")
        if values.root.get("global", "proxy", "resources") is not None
    ]
    for values in mesh if len(mesh) == 1 else ():
        for name, (kind, resource) in _VALUES.items():
            text = values.root.text_of("global", "proxy", "resources", kind, resource)
            sizes[name] = text or sizes[name]
    return sizes


def _of_annotations(annotations: Node, title: str, mesh: dict[str, str]) -> Iterator[Hit]:
    names = (*_REQUESTS, *_LIMITS)
    there = {n: node for n in names if (node := annotations.get(_PREFIX + n)) is not None}
    missing = [name for name in names if name not in there]
    if not there or not missing:
        return
    first = min(there.values(), key=lambda node: node.place.line)
    no_limit = any(name in missing for name in _LIMITS)
    sizes = _coherent({name: node.text or "" for name, node in there.items()}, mesh)
    fix = "\n".join(f'{_PREFIX}{name}: "{sizes[name]}"' for name in names)
    yield at(
        first,
        f"{title} has {', '.join(there)} and not {', '.join(missing)}",
        fix,
        severity="error" if no_limit else "warning",
    )


def _coherent(given: dict[str, str], mesh: dict[str, str]) -> dict[str, str]:
    """The sizes given, and for each other one the mesh's, moved so that request <= limit."""
    sizes = mesh | given
    for request, limit in zip(_REQUESTS, _LIMITS, strict=True):
        if _amount(sizes[request]) <= _amount(sizes[limit]):
            continue
        if limit in given:
            sizes[request] = sizes[limit]
        else:
            sizes[limit] = sizes[request]
    return sizes


def _in_template(obj: KubeObject, annotations: Node, mesh: dict[str, str]) -> str:
    """All four sizes in the pod template, as one alone would drop the others."""
    template = obj.pod_template
    own = None if template is None else template.get("metadata", "annotations")
    written = {
        name: text
        for where in (annotations, own)
        for name in (*_REQUESTS, *_LIMITS)
        if (text := None if where is None else where.text_of(_PREFIX + name))
    }
    sizes = _coherent(written, mesh)
    lines = [f'{_PREFIX}{name}: "{sizes[name]}"' for name in (*_REQUESTS, *_LIMITS)]
    job = ("jobTemplate", "spec") if obj.kind == "CronJob" else ()
    keys = ("spec", *job, "template", "metadata", "annotations")
    head = [f"{'  ' * depth}{key}:" for depth, key in enumerate(keys)]
    return "\n".join([*head, *("  " * len(keys) + line for line in lines)])


def _beside(annotations: Node, name: str) -> str:
    """A size for one annotation that fits those that stand beside it."""
    there = {n: annotations.text_of(_PREFIX + n) for n in (*_REQUESTS, *_LIMITS) if n != name}
    sizes = _coherent({n: text for n, text in there.items() if text}, dict(_DEFAULTS))
    return sizes[name]


def _amount(text: str) -> float:
    try:
        return parse_quantity(text)
    except ValueError:
        return 0.0


def _names_workload(words: tuple[str, ...]) -> bool:
    kinds = ("deploy", "statefulset", "sts", "daemonset", "ds", "job", "cronjob", "rollout")
    return any(word.startswith(kinds) for word in words[1:3])
