"""What nodes can hold: sizes that never fit are not written, and what is free bounds a start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Recommendation, Resource, ResourceAdvice, Rule
from rightsize.snapshot import Snapshot
from rightsize.snapshot.schema import LARGEST_CPU, LARGEST_MEMORY
from rightsize.snapshot.views import containers_by_day


@dataclass(frozen=True)
class Largest:
    """The largest node's allocatable, in cores and bytes."""

    cpu: float
    memory: float


def largest_node(snapshot: Snapshot, days: list[date] | None = None) -> Largest:
    """Return it; without nodes in the snapshot, EC2's largest machine."""
    nodes = snapshot.read("nodes", days=days, columns=["allocatable_cpu", "allocatable_memory"])
    cpu, memory = nodes["allocatable_cpu"].max(), nodes["allocatable_memory"].max()
    return Largest(
        float(cpu) if cpu > 0 else LARGEST_CPU, float(memory) if memory > 0 else LARGEST_MEMORY
    )


def free_memory(snapshot: Snapshot, days: list[date] | None = None) -> dict[tuple[str, str], float]:
    """Bytes that no pod requests on the median node of each workload, at the end of the last day.

    Keys are namespace and workload; workloads on nodes of unknown size are absent.
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
    return dict(found.groupby(["namespace", "workload"])["free"].median().items())


def within_nodes(rows: Iterable[Recommendation], most: Largest) -> list[Recommendation]:
    """Keep what is in force where a size exceeds `most`."""
    return [_within(row, most) for row in rows]


def _within(row: Recommendation, most: Largest) -> Recommendation:
    cpu, memory = _note("cpu", row.cpu, most.cpu), _note("memory", row.memory, most.memory)
    if cpu is None and memory is None:
        return row
    whole = replace(
        row,
        cpu=row.cpu if cpu is None else kept(row.cpu, Rule.BOUND),
        memory=row.memory if memory is None else kept(row.memory, Rule.BOUND),
        reason="; ".join(note for note in (cpu, memory) if note is not None),
    )
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
