"""What a server tells about the mesh as a whole: its name, its release, what it lacks."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.queries import DAILY, MESH_CONTAINERS
from rightsize.collectors.prometheus.source import Source
from rightsize.snapshot.manifest import Missing

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


def missing_metrics(absent: Collection[str], inferred_types: bool, source: Source) -> list[Missing]:
    """What no fetched day had, with its cost."""
    lacking: dict[str, list[str]] = {}
    for query in DAILY:
        if query.name in absent and query.costs:
            lacking.setdefault(query.costs, []).append(query.metrics[0])
    found = {", ".join(dict.fromkeys(names)): costs for costs, names in lacking.items()}
    if inferred_types:
        found["instance type labels of nodes"] = (
            "instance types are inferred from capacity; several types share a size and differ in "
            "price (give --objects, or allow the label in kube-state-metrics)"
        )
    for note in sorted(source.partial):
        found[f"parts of answers: {note}"] = "figures may be too low"
    return [Missing(what, costs) for what, costs in sorted(found.items())]
