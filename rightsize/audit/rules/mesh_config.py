"""Fields of MeshConfig and of ProxyConfig that no release has."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.rules.contradictions import all_annotations
from rightsize.audit.tree import Node
from rightsize.audit.yaml_documents import embedded_yaml
from rightsize.files.classify import camel
from rightsize.files.known import nearest
from rightsize.files.resource_fields import children, resource_fields

_KIND = "MeshConfig"


@rule("mesh-config-unknown")
def mesh_config_unknown(sources: Sources) -> Iterator[Hit]:
    for mesh in sources.mesh_configs:
        yield from _unknown(mesh, "spec", _KIND)


@rule("proxy-config-unknown")
def proxy_config_unknown(sources: Sources) -> Iterator[Hit]:
    for written, _ in all_annotations(sources):
        config = embedded_yaml(sources, written.get("proxy.istio.io/config"))
        if config is not None:
            yield from _unknown(config, "spec.defaultConfig", "ProxyConfig")


def _unknown(mapping: Node, path: str, message: str) -> Iterator[Hit]:
    """Fields at and below a mapping; protocol buffers read `snake_case` as well."""
    names = children(_KIND, path)
    if f"{path}?" in resource_fields()[_KIND] or not names:
        return
    for name, node in (mapping.entries or {}).items():
        known = "*" if names == ("*",) else camel(name)
        if known not in names:
            meant = nearest(camel(name), names)
            evidence = f"{node.place.path} is no field of {message}"
            evidence += f"; {meant} is" if meant else ""
            yield at(node, evidence, f"{meant}: ..." if meant else f"# delete {name}")
            continue
        inner = f"{path}.{known}"
        message_of_it = known if known != "*" else message
        yield from _unknown(node, inner, message_of_it)
        for item in node.items or ():
            yield from _unknown(item, f"{inner}[]", message_of_it)
