"""What a server reports about the mesh as a whole: its name, its release, what it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np

from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.queries import DAILY, MESH_CONTAINERS
from rightsize.collectors.prometheus.query import Shape
from rightsize.collectors.prometheus.source import Source
from rightsize.snapshot.manifest import DayRecord, Missing

_IMAGE_TAG = re.compile(r":(\d+\.\d+(?:\.\d+)?)")
_USUAL_INTERVALS = (5, 10, 15, 20, 30, 60, 120, 300)


def scrape_interval(source: Source, at: int) -> float | None:
    """Seconds between samples of the usual mesh container, None where there is no sample."""
    text = (
        "quantile(0.5, count_over_time(container_cpu_usage_seconds_total{"
        f'container=~"{MESH_CONTAINERS}",$M}}[$hour]))'
    )
    answer = source.instant(text, at)
    if not len(answer) or not np.isfinite(answer.column[0]) or answer.column[0] <= 0:
        return None
    seconds = 3600 / answer.column[0]
    nearest = min(_USUAL_INTERVALS, key=lambda usual: abs(usual - seconds))
    return float(nearest) if abs(nearest - seconds) < 0.15 * nearest else round(float(seconds), 1)


def istio_version(containers: Answer) -> str | None:
    """Release of istiod, else of a proxy, by the tags of their images."""
    found: dict[str, str] = {}
    for labels in containers.labels:
        name = labels.get("exported_container") or labels.get("container", "")
        match = _IMAGE_TAG.search(labels.get("image_spec", "") or labels.get("image", ""))
        if name in ("discovery", "istio-proxy") and match:
            found[name] = max(found.get(name, ""), match.group(1))
    return found.get("discovery") or found.get("istio-proxy")


def absent_metrics(answers: Mapping[str, Answer]) -> tuple[str, ...]:
    """Metrics that a day lacks, of those that the answer needs."""
    return tuple(
        query.metrics[0]
        for query in DAILY
        if query.costs and not _speaks_of_day(answers[query.name], query.shape)
    )


def _speaks_of_day(answer: Answer, shape: Shape) -> bool:
    """Whether there is a value of the day itself, the end of the day before left aside."""
    first = 1 if shape in (Shape.WINDOWS, Shape.HOURS) else 0
    return bool((~np.isnan(answer.values[:, first:])).any())


def missing_metrics(days: Mapping[date, DayRecord], inferred_types: bool) -> list[Missing]:
    """What no day had, with its cost, and what some days lacked; what matters most comes first."""
    absent = {day: set(record.absent) for day, record in days.items() if record.absent is not None}
    never = set.intersection(*absent.values()) if absent else set()
    found: dict[tuple[bool, str], list[str]] = {}
    for query in DAILY:
        if query.costs and query.metrics[0] in never:
            found.setdefault((query.optional, query.costs), []).append(query.metrics[0])
    missing = [
        Missing(", ".join(dict.fromkeys(names)), costs, optional)
        for (optional, costs), names in found.items()
    ]
    if inferred_types:
        missing.append(
            Missing(
                "instance type labels of nodes",
                "instance types are inferred from capacity; several types share a size and differ "
                "in price (give --objects, or allow the label in kube-state-metrics)",
            )
        )
    return [*_missing_on_some(absent, never), *sorted(missing, key=lambda one: one.optional)]


def _missing_on_some(absent: Mapping[date, set[str]], never: set[str]) -> Iterator[Missing]:
    """One line for the days that lacked the same metrics, by metrics that others have."""
    usual = dict.fromkeys(query.metrics[0] for query in DAILY if not query.optional)
    together: dict[tuple[str, ...], list[date]] = {}
    for day, lacking in sorted(absent.items()):
        if lacked := tuple(name for name in usual if name in lacking - never):
            together.setdefault(lacked, []).append(day)
    for names, days in together.items():
        shown = f"{names[0]} and {len(names) - 1} more" if len(names) > 2 else ", ".join(names)
        when = f"{days[0]}" if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
        yield Missing(f"{shown} on {when}", "what is in force then is the last known value")
