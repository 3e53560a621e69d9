"""Values files that several clusters share: one size each that suits all, and what it costs each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rightsize.fleet.analysing import ClusterAnswer
from rightsize.fleet.fleet_file import Fleet
from rightsize.patch import SizeChange, patch_files, write_patched
from rightsize.results import Sizes

_FIELDS = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_Place = tuple[str, str | None, str | None]
"""Component, namespace and workload."""


@dataclass(frozen=True)
class SharedSize:
    """One size of a file: what each cluster alone should have there, and what suits them all."""

    change: SizeChange
    own: Mapping[str, Sizes]
    """By cluster."""
    usd_per_month: Mapping[str, float]
    """By cluster: what its requests are worth above those it alone should have."""

    @property
    def usd(self) -> float:
        return sum(self.usd_per_month.values())


@dataclass(frozen=True)
class SharedFiles:
    """Files that these clusters are installed from, the last one wins."""

    files: tuple[Path, ...]
    chart: str | None
    clusters: tuple[str, ...]
    unknown: tuple[str, ...]
    """Clusters without an answer: nothing may be lowered below what they run."""
    sizes: tuple[SharedSize, ...]


def shared_files(fleet: Fleet, answers: Sequence[ClusterAnswer], hours: float) -> list[SharedFiles]:
    """For each set of values files of the fleet, the sizes that suit every cluster that uses it.

    A request or limit is the highest that any of the clusters should have; one that some cluster
    leaves unset stays so. `hours` are those of a month.
    """
    found = {answer.cluster: answer.found for answer in answers}
    groups: dict[tuple[tuple[Path, ...], str | None], list[str]] = {}
    for name, cluster in fleet.clusters.items():
        if cluster.values:
            groups.setdefault((cluster.values, cluster.chart), []).append(name)
    result = []
    for (files, chart), names in groups.items():
        known = {name: answer for name in names if (answer := found.get(name)) is not None}
        places: dict[_Place, dict[str, Mapping[str, Any]]] = {}
        for name, answer in known.items():
            for row in answer["shared"]:
                place = (row["component"], row["namespace"], row["workload"])
                places.setdefault(place, {})[name] = row
        unknown = tuple(name for name in names if name not in known)
        sizes = [] if unknown else [_suiting(known, rows, hours) for rows in places.values()]
        kept = tuple(size for size in sizes if size.change.sizes != size.change.running)
        result.append(SharedFiles(files, chart, tuple(names), unknown, kept))
    return result


def patched_files(shared: Sequence[SharedFiles], out: Path) -> list[Path]:
    """Write the files with the sizes that suit all of their clusters below `out`.

    Raises
    ------
    InputFileError
        If a file cannot be read, or is of no known kind.
    OutputError
        If the folder cannot be written.
    """
    written = []
    for number, one in enumerate(shared):
        # Files of several sets may have one name.
        folder = out if len(shared) == 1 else out / f"{number + 1}"
        changes = [size.change for size in one.sizes]
        if changes:
            files = patch_files(one.files, changes, chart=one.chart)
            written += write_patched([file for file in files if file.changed], out_dir=folder)
    return written


def _suiting(
    answers: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]],
    hours: float,
) -> SharedSize:
    own = {name: _sizes(row, "recommended_") for name, row in rows.items()}
    today = [_sizes(row, "") for row in rows.values()]
    together = Sizes(*(_highest([getattr(one, f) for one in own.values()]) for f in _FIELDS))
    running = Sizes(*(_highest([getattr(one, f) for one in today]) for f in _FIELDS))
    first = next(iter(rows.values()))
    change = SizeChange(
        component=first["component"], namespace=first["namespace"], workload=first["workload"],
        kind=first["kind"], sizes=together, running=running,
    )  # fmt: skip
    return SharedSize(
        change,
        own,
        {
            name: hours * row["replicas"] * sum(
                ((getattr(together, f"{resource}_request") or 0.0)
                 - (getattr(own[name], f"{resource}_request") or 0.0)) * answers[name][price]
                for resource, price in (
                    ("cpu", "usd_per_core_hour"), ("memory", "usd_per_byte_hour"))
            )
            for name, row in rows.items()
        },
    )  # fmt: skip


def _sizes(row: Mapping[str, Any], kind: str) -> Sizes:
    return Sizes(
        row[f"cpu_{kind}request"],
        row[f"cpu_{kind}limit"],
        row[f"memory_{kind}request"],
        row[f"memory_{kind}limit"],
    )


def _highest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None
