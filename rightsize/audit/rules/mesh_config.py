"""Fields of MeshConfig that no release has."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.files.classify import camel, mesh_config_fields
from rightsize.files.known import nearest


@rule(
    "mesh-config-unknown",
    severity="warning",
    title="a field that MeshConfig does not have",
    why="istiod passes over fields it does not know, without a word above debug level "
    "(pkg/util/protomarshal).",
    versions="1.18 to 1.30",
)
def mesh_config_unknown(sources: Sources) -> Iterator[Hit]:
    for mesh in sources.mesh_configs:
        for name, node in (mesh.entries or {}).items():
            if camel(name) in mesh_config_fields():
                continue
            meant = nearest(name, mesh_config_fields())
            evidence = f"{node.place.path} is no field of MeshConfig"
            evidence += f"; {meant} is" if meant else ""
            yield at(node, evidence, f"{meant}: ..." if meant else f"# delete {name}")
