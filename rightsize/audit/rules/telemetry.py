"""Access logs and traces at full volume."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.coherent import api_version
from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node

_FILTERED = """apiVersion: {}
kind: Telemetry
metadata: {{name: mesh-default, namespace: istio-system}}
spec:
  accessLogging:
  - providers: [{{name: envoy}}]
    filter: {{expression: "response.code >= 500"}}"""


@rule("access-log-full")
def access_log_full(sources: Sources) -> Iterator[Hit]:
    beside = _filtered(sources)
    for mesh in sources.mesh_configs:
        node = mesh.get("accessLogFile")
        if node is not None and node.text:
            fix = f'accessLogFile: ""{beside}'
            yield at(node, f"accessLogFile is {node.text}: every request of the mesh", fix)
        providers = mesh.get("defaultProviders", "accessLogging")
        if providers is not None and providers.items:
            evidence = "defaultProviders.accessLogging: every request of the mesh"
            yield at(providers, evidence, f"accessLogging: []{beside}")
    for obj in sources.of_kind("Telemetry"):
        for entry in obj.root.children("spec", "accessLogging"):
            disabled = entry.get("disabled")
            off = disabled is not None and disabled.truth is True
            if not off and entry.get("filter", "expression") is None:
                fix = 'filter:\n  expression: "response.code >= 500"'
                yield at(entry, f"{obj.title} logs every request", fix, versions="1.12 and later")


def _filtered(sources: Sources) -> str:
    """A Telemetry that logs failures alone; where the mesh has one, that is where it belongs."""
    for obj in sources.of_kind("Telemetry"):
        whole = obj.root.get("spec", "selector") is None
        if whole and obj.namespace == "istio-system":
            return f"  # and a filter in spec.accessLogging of Telemetry {obj.name}"
    return f"\n---\n{_FILTERED.format(api_version('telemetry', sources.version))}"


@rule("proxy-debug-log")
def debug_log(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        for name in ("logLevel", "componentLogLevel"):
            node = values.root.get("global", "proxy", name)
            if node is not None and _is_debug(node):
                fix = "logLevel: warning" if name == "logLevel" else "componentLogLevel: misc:error"
                yield at(node, f"{node.place.path} is {node.text}", fix)
    for obj in sources.objects:
        template = obj.pod_template
        annotations = None if template is None else template.get("metadata", "annotations")
        node = None if annotations is None else annotations.get("sidecar.istio.io/logLevel")
        if node is not None and _is_debug(node):
            fix = "sidecar.istio.io/logLevel: warning"
            yield at(node, f"{obj.title}: {node.text}", fix)


@rule("tracing-full")
def tracing_full(sources: Sources) -> Iterator[Hit]:
    nodes = [values.istiod("traceSampling") for values in sources.values_of("istiod", "operator")]
    nodes += [m.get("defaultConfig", "tracing", "sampling") for m in sources.mesh_configs]
    nodes += [
        entry.get("randomSamplingPercentage")
        for obj in sources.of_kind("Telemetry")
        for entry in obj.root.children("spec", "tracing")
    ]
    for node in nodes:
        if node is not None and node.number is not None and node.number >= 50:
            evidence = f"{node.place.path} is {node.text} percent"
            yield at(node, evidence, f"{node.path[-1]}: 1.0")


@rule("demo-profile")
def demo_profile(sources: Sources) -> Iterator[Hit]:
    nodes = [obj.root.get("spec", "profile") for obj in sources.operators]
    for values in sources.values_of("istiod"):
        nodes += [values.root.get("profile"), values.root.get("global", "profile")]
    for node in nodes:
        if node is not None and node.text == "demo":
            yield at(node, "profile is demo", "profile: default")


def _is_debug(node: Node) -> bool:
    return any(level in (node.text or "") for level in ("debug", "trace"))
