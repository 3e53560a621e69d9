"""What nodes can hold: sizes that never fit are not written, and what is free bounds a start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Recommendation, Resource, ResourceAdvice, Rule, Sizes
from rightsize.snapshot import Snapshot
from rightsize.snapshot.schema import LARGEST_CPU, LARGEST_MEMORY
from rightsize.snapshot.views import WORKLOAD, containers_by_day


@dataclass(frozen=True)
class Largest:
    """The largest node's allocatable, in cores and bytes; without one EC2's largest machine."""

    cpu: float = LARGEST_CPU
    memory: float = LARGEST_MEMORY

    @classmethod
    def of(cls, nodes: pd.DataFrame) -> Largest:
        """Among rows of table `nodes`."""
        cpu, memory = nodes["allocatable_cpu"].max(), nodes["allocatable_memory"].max()
        return cls(
            float(cpu) if cpu > 0 else LARGEST_CPU, float(memory) if memory > 0 else LARGEST_MEMORY
        )

    def part_of(self, sizes: Sizes) -> tuple[Sizes, tuple[str, ...]]:
        """The sizes that the node can hold, and what is said of the others."""
        kept: dict[str, float | None] = {}
        said = []
        for name, most in (("cpu", self.cpu), ("memory", self.memory)):
            for kind in ("request", "limit"):
                size = getattr(sizes, f"{name}_{kind}")
                beyond = size is not None and not size <= most
                kept[f"{name}_{kind}"] = None if beyond else size
                if beyond:
                    text = format_cpu(most) if name == "cpu" else format_memory(most)
                    said.append(
                        f"{name} {kind}: left out, more than the largest node can give ({text})"
                    )
        whole = Sizes(
            kept["cpu_request"], kept["cpu_limit"], kept["memory_request"], kept["memory_limit"]
        )
        return whole, tuple(said)


ANY_NODE = Largest()


def largest_node(snapshot: Snapshot, days: list[date] | None = None) -> Largest:
    """That of a snapshot."""
    return Largest.of(
        snapshot.read("nodes", days=days, columns=["allocatable_cpu", "allocatable_memory"])
    )


def free_memory(
    snapshot: Snapshot, days: list[date] | None = None
) -> dict[tuple[str, str, str], float]:
    """Bytes that no pod requests on the median node of each workload, at the end of the last day.

    Keys are namespace, workload and its kind; workloads on nodes of unknown size are absent.
    """
    last = max(snapshot.days if days is None else days)
    nodes = snapshot.read("nodes", days=[last], columns=["node", "allocatable_memory"])
    rows = containers_by_day(snapshot, [last])
    there = rows["ended"].isna() & (rows["last_seen"] == rows["last_seen"].max())
    rows = rows[there & (~rows["init"].eq(True) | rows["native"].eq(True))]
    requested = rows.groupby("node")["memory_request"].sum()
    size = nodes.astype({"node": str}).set_index("node")["allocatable_memory"].astype(float)
    free = (size - requested.reindex(size.index).fillna(0.0)).clip(lower=0.0)
    by_pod = rows.drop_duplicates(["namespace", "pod"])
    found = by_pod.assign(free=by_pod["node"].map(free)).dropna(subset=["free"])
    return dict(found.groupby(WORKLOAD)["free"].median().items())


def within_nodes(rows: Iterable[Recommendation], most: Largest) -> list[Recommendation]:
    """Keep what is in force where a size exceeds `most`."""
    return [_within(row, most) for row in rows]


def bounded(
    cpu: ResourceAdvice, memory: ResourceAdvice, most: Largest
) -> tuple[ResourceAdvice, ResourceAdvice, tuple[str, ...]]:
    """Both advices, in force where they exceed `most`, and what is said of it."""
    notes = _note("cpu", cpu, most.cpu), _note("memory", memory, most.memory)
    return (
        cpu if notes[0] is None else kept(cpu, Rule.BOUND),
        memory if notes[1] is None else kept(memory, Rule.BOUND),
        tuple(note for note in notes if note is not None),
    )


def _within(row: Recommendation, most: Largest) -> Recommendation:
    cpu, memory, said = bounded(row.cpu, row.memory, most)
    if not said:
        return row
    whole = replace(row, cpu=cpu, memory=memory, reason="; ".join(said))
    return whole if row.needs is None else replace(whole, needs=whole.recommended)


def _beyond(advice: ResourceAdvice, most: float) -> float | None:
    """The largest size of this step or the end state that is new and too large."""
    sizes = (
        (advice.recommended_request, advice.request),
        (advice.recommended_limit, advice.limit),
        (advice.target_request, advice.request),
        (advice.target_limit, advice.limit),
    )
    return max(
        (size for size, now in sizes if size is not None and size > most and size != now),
        default=None,
    )


def kept(advice: ResourceAdvice, rule: Rule) -> ResourceAdvice:
    """What is in force, now and in the end, for this reason."""
    return replace(
        advice,
        recommended_request=advice.request,
        recommended_limit=advice.limit,
        target_request=advice.request,
        target_limit=advice.limit,
        rule=rule,
    )


def _note(resource: Resource, advice: ResourceAdvice, most: float) -> str | None:
    size = _beyond(advice, most)
    if size is None:
        return None
    text = format_cpu if resource == "cpu" else format_memory
    return (
        f"{resource} of {text(size)} is more than the largest node can give ({text(most)}): "
        "what is in force is kept"
    )
