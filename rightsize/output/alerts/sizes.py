"""The recommended requests as recorded series, so that one alert holds for every workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rightsize.border import promql_pattern, promql_string
from rightsize.output.alerts.rules import Record
from rightsize.output.alerts.series import WORKLOAD
from rightsize.results import Advice, Recommendation, Resource

RECOMMENDED = "rightsize:recommended_request"
_OWN = "rightsize:own_size"
_RESOURCES: tuple[Resource, ...] = ("cpu", "memory")


def size_series(advice: Advice) -> tuple[Record, ...]:
    """One series a workload and resource: what it should request, in cores or bytes.

    Workloads of one component share a rule, and whatever bears no size of its own has the mesh
    default, workloads that came later too.
    """
    own = [row for row in advice.recommendations if row.workload and row.written != "mesh default"]
    return (*_own(own), *_default(advice.mesh_default, bool(own)))


def _own(rows: Sequence[Recommendation]) -> Iterator[Record]:
    for component in dict.fromkeys(row.component for row in rows):
        mine = [row for row in rows if row.component == component]
        yield Record(_OWN, f"group by ({WORKLOAD}) ({_usage_of(mine)})", {"component": component})
        for resource in _RESOURCES:
            sizes = sorted({size for row in mine if (size := _size(row, resource))})
            parts = [
                f"group by ({WORKLOAD}) ({_usage_of(same, resource)}) * {size:.10g}"
                for size in sizes
                if (same := [row for row in mine if _size(row, resource) == size])
            ]
            if parts:
                labels = {"component": component, "resource": resource}
                yield Record(RECOMMENDED, " or ".join(parts), labels)


def _default(default: Recommendation | None, apart: bool) -> Iterator[Record]:
    if default is None:
        return
    others = f" unless on ({WORKLOAD}) {_OWN}" if apart else ""
    for resource in _RESOURCES:
        size = _size(default, resource)
        if size:
            there = f'rightsize:workload_usage{{container="istio-proxy",resource="{resource}"}}'
            yield Record(
                RECOMMENDED,
                f"(group by ({WORKLOAD}) ({there}){others}) * {size:.10g}",
                {"component": "sidecar", "resource": resource, "size": "mesh default"},
            )


def _size(row: Recommendation, resource: Resource) -> float | None:
    return (row.cpu if resource == "cpu" else row.memory).recommended_request


def _usage_of(rows: Iterable[Recommendation], resource: Resource | None = None) -> str:
    """Usage of these workloads, a selector for each namespace and container."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        names = found.setdefault((str(row.namespace), row.container), [])
        names.append(promql_pattern(str(row.workload)))
    more = f',resource="{resource}"' if resource else ""
    return " or ".join(
        f"rightsize:workload_usage{{namespace={promql_string(namespace)},"
        f'container="{container}",'
        f'workload=~"{"|".join(sorted(names))}"{more}}}'
        for (namespace, container), names in sorted(found.items())
    )
