"""From recommendations to what the patcher writes."""

from __future__ import annotations

from rightsize.patch.model import SizeChange
from rightsize.results import Advice, Sizes
from rightsize.snapshot import Snapshot


def size_changes(advice: Advice) -> list[SizeChange]:
    """Everything to write: the mesh default, exceptions by annotation, istiod and gateways.

    Rows that change nothing are left out, but for exceptions that a falling mesh default would
    take along: these are pinned to what they have.
    """
    changes = []
    for row in advice.to_write:
        changes.append(
            SizeChange(
                component=row.component,
                namespace=row.namespace,
                workload=row.workload,
                kind=row.kind,
                sizes=row.recommended,
                running=row.current,
                mesh=None if (d := advice.mesh_default) is None else d.recommended,
                autoscale_min=None if row.autoscaling is None else row.autoscaling.min_replicas,
                autoscale_max=None if row.autoscaling is None else row.autoscaling.max_replicas,
                target_cpu=None if row.autoscaling is None else row.autoscaling.target_cpu,
            )
        )
    return changes


def largest_node(snapshot: Snapshot) -> Sizes | None:
    """What pods may request of the largest node of the last day; None where that is unknown."""
    nodes = snapshot.read("nodes", days=[snapshot.days[-1]])
    most = nodes[["allocatable_cpu", "allocatable_memory"]].max()
    cpu, memory = (None if value != value else float(value) for value in most)
    return None if cpu is None and memory is None else Sizes(cpu, None, memory, None)
