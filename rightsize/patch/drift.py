"""Where the given files and the pods disagree: said, and never settled by cutting a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rightsize.patch import EffectiveSizes, SizeChange
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes

_SIZES = {
    "cpu_request": ("requests.cpu", format_cpu),
    "memory_request": ("requests.memory", format_memory),
    "cpu_limit": ("limits.cpu", format_cpu),
    "memory_limit": ("limits.memory", format_memory),
}
_LIMITS = ("cpu_limit", "memory_limit")


def reconciled(
    changes: Sequence[SizeChange], files: Sequence[EffectiveSizes]
) -> tuple[list[SizeChange], list[str]]:
    """Compare what the files set with what the pods run with.

    Figures are against the pods. A limit that is not cut there is not cut in the file either: a
    higher one may be on its way to the cluster.

    Parameters
    ----------
    changes : sequence of SizeChange
        What is to be written.
    files : sequence of EffectiveSizes
        What the files set today.

    Returns
    -------
    tuple of list of SizeChange and list of str
        The changes with such limits kept, and a message for each size that differs.
    """
    kept = list(changes)
    messages = []
    for block in files:
        matching = [number for number, change in enumerate(kept) if _is_for(change, block)]
        if len(matching) != 1:
            continue
        change = kept[matching[0]]
        known = change.running or Sizes()
        pods = "the sidecars run" if change.component == "sidecar" else f"{change.key} runs"
        for name, (path, text) in _SIZES.items():
            written = getattr(block.sizes, name)
            running = getattr(known, name)
            if written is None or written == running:
                continue
            wanted = getattr(change.sizes, name)
            keeps = _keeps(name, written, running, wanted)
            if keeps:
                change = replace(change, sizes=replace(change.sizes, **{name: written}))
            runs = "without one" if running is None else f"with {text(running)}"
            messages.append(
                f"{block.path}.{path} is {text(written)}, but {pods} {runs}: not rolled out, or set "
                f"elsewhere; figures are against what runs"
                + (", and the file's limit is kept" if keeps else "")
            )
        kept[matching[0]] = change
    return kept, messages


def _keeps(name: str, written: float, running: float | None, wanted: float | None) -> bool:
    if name not in _LIMITS or wanted is None or running is None:
        return False
    return wanted >= running and written > wanted


def _is_for(change: SizeChange, block: EffectiveSizes) -> bool:
    if change.component != block.component or change.running is None:
        return False
    if change.component == "sidecar":
        return change.workload is None
    return block.workload is None or block.workload == change.workload
