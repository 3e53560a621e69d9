"""Values files that several clusters share: one size each that suits all, and what it costs each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rightsize.border import write_files
from rightsize.errors import RightsizeError
from rightsize.fleet.analysing import ClusterAnswer
from rightsize.fleet.fleet_file import Fleet
from rightsize.patch import PatchedFile, SizeChange, patch_files, patched_targets
from rightsize.results import Sizes

_FIELDS = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_Set = tuple[tuple[Path, ...], str | None]
"""Values files and their chart."""
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
    istiods: tuple[str, ...] = ()
    """Those of a cluster that runs several: the files must say which of them they are for."""

    @property
    def changes(self) -> list[SizeChange]:
        return [size.change for size in self.sizes]


def shared_files(fleet: Fleet, answers: Sequence[ClusterAnswer], hours: float) -> list[SharedFiles]:
    """For each set of values files of the fleet, the sizes that suit every cluster that uses it.

    A request or limit is the highest that any of the clusters should have; one that some cluster
    leaves unset stays so. Sets of which one would be written in a file of the other get the same
    sizes. Clusters of the file that were not asked have no answer. `hours` are those of a month.
    """
    found = {a.cluster: a.found for a in answers if a.found is not None}
    asked = {cluster.values for cluster in fleet.clusters.values() if cluster.values}
    groups: dict[_Set, list[str]] = {}
    for name, cluster in (*fleet.clusters.items(), *fleet.others.items()):
        if cluster.values:
            groups.setdefault((cluster.values, cluster.chart), []).append(name)
    alone = {of: _together(of, names, names, found, hours) for of, names in groups.items()}
    result = []
    for of, bound in _bound_together(alone).items():
        if of[0] in asked:
            every = [name for other in bound for name in groups[other]]
            result.append(_together(of, groups[of], every, found, hours))
    return result


def _together(
    of: _Set,
    names: Sequence[str],
    every: Sequence[str],
    found: Mapping[str, Mapping[str, Any]],
    hours: float,
) -> SharedFiles:
    """Sizes in the files of `names` that suit every cluster, and what they cost `names`."""
    places: dict[_Place, dict[str, Mapping[str, Any]]] = {}
    for name in every:
        for row in found.get(name, {}).get("shared", ()):
            place = (row["component"], row["namespace"], row["workload"])
            places.setdefault(place, {})[name] = row
    unknown = tuple(name for name in every if name not in found)
    own = [rows for rows in places.values() if rows.keys() & set(names)]
    sizes = [_suiting(found, rows, hours, names) for rows in own]
    kept = [size for size in sizes if size.change.sizes != size.change.running]
    running = [tuple(found[name].get("istiods", ())) for name in every if name in found]
    return SharedFiles(
        *of,
        clusters=tuple(names),
        unknown=unknown,
        sizes=() if unknown else tuple(kept),
        istiods=next((several for several in running if len(several) > 1), ()),
    )


def _bound_together(alone: Mapping[_Set, SharedFiles]) -> dict[_Set, set[_Set]]:
    """The sets that each one must agree with: both take a size from the file where it is changed."""
    bound = {of: {of} for of in alone}
    for of, shared in alone.items():
        written = _written(shared) if len(alone) > 1 else set()
        for other in alone:
            if other in bound[of] or not written & set(other[0]):
                continue
            if written & _written(alone[other]):
                joined = bound[of] | bound[other]
                bound.update(dict.fromkeys(joined, joined))
    return bound


def _written(shared: SharedFiles) -> set[Path]:
    """The files of a set that these sizes would be written in; none where that cannot be done."""
    try:
        files = _patched(shared) if shared.sizes else ()
    except RightsizeError:
        return set()
    return {file.path for file in files if file.changed}


def patched_files(shared: Sequence[SharedFiles], out: Path) -> list[Path]:
    """Write the files with the sizes that suit all of their clusters below `out`.

    Raises
    ------
    InputFileError
        If a file cannot be read, is of no known kind, or does not say its revision where one of
        its clusters runs several.
    OutputError
        If the folder cannot be written.
    """
    files: dict[str, str | bytes] = {}
    for number, one in enumerate(shared):
        # Files of several sets may have one name.
        folder = out if len(shared) == 1 else out / f"{number + 1}"
        if one.sizes:
            changed = [file for file in _patched(one) if file.changed]
            for file, path in zip(changed, patched_targets(changed, folder), strict=True):
                files[path.relative_to(out).as_posix()] = file.text_after.encode("utf-8")
    return write_files(out, files)


def _patched(shared: SharedFiles) -> tuple[PatchedFile, ...]:
    return patch_files(shared.files, shared.changes, chart=shared.chart, istiods=shared.istiods)


def _suiting(
    answers: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]],
    hours: float,
    names: Sequence[str],
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
            for name, row in rows.items() if name in names
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
