"""A cluster's own rules for sizes: what a namespace admits, and which sizes a VPA sets itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import cast

import pandas as pd

from rightsize.quantity import round_up_cpu, round_up_memory
from rightsize.results import Amounts, Recommendation, Resource, ResourceAdvice, Rule, Sizes
from rightsize.sizing.node_bound import kept
from rightsize.sizing.reasons import formatted
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

_ROUND_UP: Mapping[Resource, Callable[[float], float]] = {
    "cpu": round_up_cpu,
    "memory": round_up_memory,
}


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What the LimitRanges of a namespace admit of one resource of a container; None is anything."""

    names: str
    least: float | None
    most: float | None
    ratio: float | None


@dataclass(frozen=True)
class ClusterRules:
    """Newest rows of the tables `limit_ranges`, `resource_quotas` and `vpas`."""

    limit_ranges: pd.DataFrame
    resource_quotas: pd.DataFrame
    vpas: pd.DataFrame

    def quotas(self, given: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """Quotas by namespace; those of the settings win."""
        found: dict[str, dict[str, str]] = {}
        for row in self.resource_quotas.to_dict("records"):
            found.setdefault(str(row["namespace"]), {})[str(row["resource"])] = str(row["hard"])
        for namespace, hard in given.items():
            found[namespace] = {**found.get(namespace, {}), **hard}
        return found

    def bounds(self, namespace: str | None, resource: Resource) -> _Bounds | None:
        """Of several LimitRanges each has to admit a container."""
        return self._bounds.get((namespace, resource))

    @cached_property
    def _bounds(self) -> dict[tuple[str | None, str], _Bounds]:
        found: dict[tuple[str | None, str], _Bounds] = {}
        of_containers = self.limit_ranges[self.limit_ranges["type"] == "Container"]
        for key, rows in of_containers.groupby(["namespace", "resource"]):
            namespace, resource = cast(tuple[str, str], key)
            names = ", ".join(sorted(set(rows["limit_range"].astype(str))))
            least, most, ratio = rows["min"].max(), rows["max"].min(), rows["max_ratio"].min()
            found[namespace, resource] = _Bounds(names, _known(least), _known(most), _known(ratio))
        return found

    def vpa_of(self, row: Recommendation) -> str | None:
        """The VPA that sets a container's requests itself, with its update mode."""
        rows = self._vpas.get((row.namespace, row.workload))
        if rows is None:
            return None
        if row.same_name:
            rows = rows[rows["workload_kind"] == row.kind]
        own = rows[rows["container"] == row.container]
        rows = rows[rows["container"] == "*"] if own.empty else own
        acting = rows[rows["acts"] == "yes"]
        if acting.empty:
            return None
        return f"{acting['vpa'].iloc[0]} (update mode {acting['update_mode'].iloc[0]})"

    @cached_property
    def _vpas(self) -> dict[tuple[str | None, str | None], pd.DataFrame]:
        grouped = self.vpas.groupby(["namespace", "workload"])
        return {cast(tuple[str, str], key): rows for key, rows in grouped}


def cluster_rules(snapshot: Snapshot, days: Sequence[date] | None = None) -> ClusterRules:
    """The rules as last read; empty where no objects were."""
    tables = ("limit_ranges", "resource_quotas", "vpas")
    return ClusterRules(*(newest_rows(snapshot, table, days) for table in tables))


def within_rules(rows: Iterable[Recommendation], rules: ClusterRules) -> list[Recommendation]:
    """Sizes that the cluster admits and no VPA overwrites.

    A request below what a LimitRange admits is raised to it, a raised limit is held at its maximum
    (kubernetes.io, "Limit Ranges"). What is in force stays where a VPA acts: two writers of one
    size take turns for ever.
    """
    return [_within(row, rules) for row in rows]


def not_admitted(rows: Iterable[Recommendation], rules: ClusterRules) -> Iterator[str]:
    """Workloads under a new mesh default that their namespace does not admit."""
    for row in rows:
        for resource in _ROUND_UP:
            size = row.cpu if resource == "cpu" else row.memory
            bounds = rules.bounds(row.namespace, resource) if row.running else None
            request = size.recommended_request
            if bounds is None or bounds.most is None or request is None or request == size.request:
                continue
            if request > bounds.most:
                yield (
                    f"{row.key}: LimitRange {bounds.names} admits at most "
                    f"{formatted(resource, bounds.most)} of {resource}, the step asks for "
                    f"{formatted(resource, request)}: give it annotations of its own first"
                )


def _within(row: Recommendation, rules: ClusterRules) -> Recommendation:
    vpa = rules.vpa_of(row)
    if vpa is not None and row.running:
        held = replace(row, cpu=kept(row.cpu, Rule.VPA), memory=kept(row.memory, Rule.VPA))
        reason = (
            f"kept: VPA {vpa} sets the sizes of {row.container} itself; to set them here, give "
            f"that container the mode Off in the VPA's containerPolicies"
        )
        return replace(held, reason=reason, needs=held.recommended)
    cpu, cpu_words = _admitted("cpu", row.cpu, rules.bounds(row.namespace, "cpu"))
    memory, memory_words = _admitted("memory", row.memory, rules.bounds(row.namespace, "memory"))
    words = [one for one in (cpu_words, memory_words) if one is not None]
    if not words:
        return row
    return replace(
        row,
        cpu=cpu,
        memory=memory,
        reason="; ".join([row.reason, *words]),
        needs=None if row.needs is None else Sizes.of_both(cpu.step, memory.step),
    )


def _admitted(
    resource: Resource, size: ResourceAdvice, bounds: _Bounds | None
) -> tuple[ResourceAdvice, str | None]:
    """The size that the bounds admit, and the words for what they changed."""
    if bounds is None or size.rule in (Rule.UNKNOWN, Rule.GONE):
        return size, None
    step = _bounded(resource, size.step, size.now, bounds)
    end = _bounded(resource, Amounts(size.target_request, size.target_limit), size.now, bounds)
    if step == size.step and end.request == size.target_request:
        return size, None
    name = "CPU" if resource == "cpu" else "memory"
    held = step.limit != size.recommended_limit
    amount = formatted(resource, step.limit if held else step.request)
    kind = "limit held" if held else "request"
    changed = replace(
        size,
        recommended_request=step.request,
        recommended_limit=step.limit,
        target_request=end.request,
        target_limit=end.limit,
        rule=Rule.BOUND,
    )
    return changed, f"{name} {kind} at {amount} by LimitRange {bounds.names}"


def _bounded(resource: Resource, wanted: Amounts, now: Amounts, bounds: _Bounds) -> Amounts:
    """Never above what is in force for the bounds' sake alone, and never a request above its limit."""
    request, limit = wanted.request, wanted.limit
    if request is None:
        return wanted
    if limit is not None and bounds.most is not None and limit > bounds.most:
        # What is in force was admitted once; only a raise is held.
        limit = max(bounds.most, now.limit or 0.0)
    if limit is not None and bounds.least is not None:
        limit = max(limit, bounds.least)
    lowest = [bounds.least]
    if limit is not None and bounds.ratio is not None:
        lowest.append(_ROUND_UP[resource](limit / bounds.ratio))
    request = max([request, *(low for low in lowest if low is not None)])
    highest = min((top for top in (bounds.most, limit) if top is not None), default=request)
    return Amounts(max(min(request, highest), min(now.request or 0.0, request)), limit)


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
