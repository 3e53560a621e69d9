"""Nodes the demo mesh can stand on, from the bundled `demo.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from rightsize.data_files import data_file
from rightsize.errors import UsageError

_MIB = 2**20


@dataclass(frozen=True)
class NodeShape:
    """A machine and what pods may request on it: CPU in cores, memory in bytes."""

    arch: str
    capacity_cpu: float
    capacity_memory: float
    cpu: float
    memory: float
    pods: int


def node_shapes() -> dict[str, NodeShape]:
    """Every shape the demo knows, by instance type."""
    return dict(_read())


def node_shape(instance_type: str) -> NodeShape:
    """Return the shape of an instance type.

    Raises
    ------
    UsageError
        If `demo.toml` does not have it.
    """
    shapes = _read()
    if instance_type not in shapes:
        raise UsageError(
            f"the demo mesh does not know instance type {instance_type!r}",
            hint=f"take one of {', '.join(shapes)}",
        )
    return shapes[instance_type]


@cache
def _read() -> dict[str, NodeShape]:
    nodes = tomllib.loads(data_file("demo.toml").read_text())["nodes"]
    return {
        name: NodeShape(
            arch=node["arch"],
            capacity_cpu=float(node["vcpu"]),
            capacity_memory=float(node["memory_mib"] * _MIB),
            cpu=node["allocatable_cpu_m"] / 1000,
            memory=float(node["allocatable_memory_mib"] * _MIB),
            pods=node["allocatable_pods"],
        )
        for name, node in nodes.items()
    }
