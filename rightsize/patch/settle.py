"""What is written, given what the files say today: pure figures, the same for every kind of file.

- A limit that the file sets higher than what is wanted stays, unless the pods run with exactly
  that limit and it is to be cut. A ceiling or floor of replicas is never lowered.
- A limit of null is a decision and stays.
- A request is never above its limit in the merged result: the limit is raised.
- With an HPA on memory use the memory request is not cut, or the HPA would climb.
- Nothing larger than the largest node is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rightsize.patch.model import SizeChange, Slot
from rightsize.quantity import format_cpu, format_memory, round_up_cpu, round_up_memory
from rightsize.results import Sizes

PAIRS: tuple[tuple[Slot, Slot], ...] = (
    ("cpu_request", "cpu_limit"),
    ("memory_request", "memory_limit"),
)
HEADROOM = 2.0
"""Limit over request where a limit must be raised and the file has no request to compare with."""
SIZE_NAMES: dict[Slot, str] = {
    "cpu_request": "requests.cpu",
    "memory_request": "requests.memory",
    "cpu_limit": "limits.cpu",
    "memory_limit": "limits.memory",
}


@dataclass(frozen=True)
class InFile:
    """One size or bound as the files set it: its value, None for a null, and its path."""

    value: float | None
    path: str


@dataclass
class Settled:
    """What to write, and what a reader should know about it."""

    values: dict[Slot, float]
    notes: list[str] = field(default_factory=list)
    refused: str | None = None
    """Why nothing may be written, if so."""


def settled(
    change: SizeChange,
    today: Mapping[Slot, InFile],
    memory_target: str | None = None,
    largest_node: Sizes | None = None,
) -> Settled:
    """Decide each number of a change against the files.

    Parameters
    ----------
    today : mapping of slot to InFile
        What the files set; a slot that they leave to the chart is absent.
    memory_target : str, optional
        Where the files set a target of memory utilisation for an HPA.
    largest_node : Sizes, optional
        Requests that the largest node can hold, where that is known.
    """
    result = Settled(dict(change.wanted))
    for slot, found in today.items():
        _against_file(result, change, slot, found)
    if memory_target is not None:
        _hold_memory(result, change, today, memory_target)
    for request, limit in PAIRS:
        _within_limit(result, change, today, request, limit)
    if largest_node is not None:
        _within_node(result, change, today, largest_node)
    return result


def shown(slot: Slot, value: float) -> str:
    """A number as people write it."""
    if slot.startswith("memory"):
        return format_memory(value)
    return format_cpu(value) if slot.startswith("cpu") else f"{value:g}"


def _against_file(result: Settled, change: SizeChange, slot: Slot, found: InFile) -> None:
    wanted = result.values.get(slot)
    if found.value is None:
        if slot in ("cpu_limit", "memory_limit") and result.values.pop(slot, None) is not None:
            result.notes.append(f"{found.path} is null, which is a decision: no limit is written")
        return
    sized = slot in SIZE_NAMES and change.running is not None
    running = _of(change.running, slot) if sized and change.running is not None else None
    kept = wanted is not None and found.value > wanted and _never_lowered(slot, found, running)
    if kept:
        result.values[slot] = found.value
    differs = sized and found.value != running
    if differs:
        runs = "without one" if running is None else f"with {shown(slot, running)}"
        pods = "the sidecars run" if change.workload is None else f"{change.key} runs"
        result.notes.append(
            f"{found.path} is {shown(slot, found.value)}, but {pods} {runs}: not rolled out, or set "
            "elsewhere; figures are against what runs"
            + (", and the file's limit is kept" if kept else "")
        )
    elif kept and wanted is not None:
        what = "limit" if slot in SIZE_NAMES else "number of replicas"
        result.notes.append(
            f"{found.path} stays {shown(slot, found.value)}: a {what} is not lowered here "
            f"(recommended was {shown(slot, wanted)})"
        )


def _never_lowered(slot: Slot, found: InFile, running: float | None) -> bool:
    if slot in ("autoscale_min", "autoscale_max"):
        return True
    return slot in ("cpu_limit", "memory_limit") and found.value != running


def _hold_memory(
    result: Settled, change: SizeChange, today: Mapping[Slot, InFile], where: str
) -> None:
    wanted = result.values.get("memory_request")
    written = today.get("memory_request")
    known = [
        None if written is None else written.value,
        None if change.running is None else change.running.memory_request,
    ]
    held = max((value for value in known if value is not None), default=None)
    if wanted is None or held is None or wanted >= held:
        return
    result.values["memory_request"] = held
    result.notes.append(
        f"requests.memory held at {format_memory(held)}: {where} is an HPA's target in percent of "
        f"the request, and at {format_memory(wanted)} it would add replicas for the same use; "
        "change both together"
    )


def _within_limit(
    result: Settled, change: SizeChange, today: Mapping[Slot, InFile], request: Slot, limit: Slot
) -> None:
    asked = _effective(result, today, request)
    bound = _effective(result, today, limit)
    if bound is None and limit not in today and change.running is not None:
        bound = _of(change.running, limit)
    if asked is None or bound is None or asked <= bound:
        return
    before = today.get(request)
    ratio = HEADROOM if before is None or not before.value else max(bound / before.value, 1.0)
    raised = asked * ratio
    raised = round_up_cpu(raised) if limit == "cpu_limit" else round_up_memory(raised)
    result.values[limit] = raised
    place = today[limit].path if limit in today else SIZE_NAMES[limit]
    result.notes.append(
        f"{place} raised from {shown(limit, bound)} to {shown(limit, raised)}: the request "
        f"{shown(request, asked)} would be above its limit, and Kubernetes refuses such a pod"
    )


def _within_node(
    result: Settled, change: SizeChange, today: Mapping[Slot, InFile], node: Sizes
) -> None:
    for request, limit in PAIRS:
        most = _of(node, request)
        if most is None:
            continue
        asked = result.values.get(request)
        if asked is not None and asked > most:
            result.refused = (
                f"{change.key}: {SIZE_NAMES[request]} {shown(request, asked)} is more than the "
                f"largest node can hold ({shown(request, most)})"
            )
        bound, before = result.values.get(limit), today.get(limit)
        old = None if before is None else before.value
        if bound is not None and old is not None and bound > max(most, old):
            result.values[limit] = max(most, old, asked or 0.0)
            result.notes.append(
                f"{SIZE_NAMES[limit]} ends at {shown(limit, result.values[limit])}: the largest "
                "node can hold no more"
            )


def _effective(result: Settled, today: Mapping[Slot, InFile], slot: Slot) -> float | None:
    value = result.values.get(slot)
    if value is None and slot in today:
        value = today[slot].value
    return value


def _of(sizes: Sizes, slot: Slot) -> float | None:
    value: float | None = getattr(sizes, slot)
    return value
