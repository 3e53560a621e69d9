"""Recommendations as plain rows: the documented, versioned JSON and the flat CSV of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from rightsize.patch.model import Outcome
from rightsize.results import Advice, Recommendation, ResourceAdvice
from rightsize.sizing.guards import envoy_threads

SCHEMA_VERSION = 1


def advice_to_dict(advice: Advice, outcomes: Sequence[Outcome] = ()) -> dict[str, Any]:
    """The JSON document that `docs/recommend.md` describes: cores, bytes, null where unknown.

    `outcomes` say what became of each recommendation in the given files.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "cluster": advice.cluster,
        "simulated": advice.simulated,
        "window": {"start": advice.start.isoformat(), "end": advice.end.isoformat()},
        "policy": {"profile": advice.policy, "parameters": dict(advice.parameters)},
        "recommendations": [_row(row) for row in advice.recommendations],
        "scale_points": [
            {
                "namespace": point.namespace,
                "workload": point.workload,
                "hpa": point.hpa,
                "resource": point.resource,
                "target_utilization": point.target_utilization,
                "kept_target_utilization": point.kept_target_utilization,
                "usage_at_scale_point": _tidy(point.usage_at_scale_point),
                "moved_scale_point": _tidy(point.moved_scale_point),
            }
            for point in advice.scale_points
        ],
        "overrides": None
        if advice.overrides is None
        else {
            "chosen": advice.overrides.chosen,
            "usd_per_month": [_tidy(v) for v in advice.overrides.usd_per_month],
            "price_source": advice.overrides.price_source,
        },
        "warnings": list(advice.warnings),
        "missing": list(advice.missing),
        "outcomes": [
            {
                "component": one.change.component,
                "namespace": one.change.namespace,
                "workload": one.change.workload,
                "status": "new file" if one.new_file else one.status,
                "places": list(one.places),
                "reason": one.reason,
            }
            for one in outcomes
        ],
    }


def advice_to_frame(advice: Advice) -> pd.DataFrame:
    """One flat row for each recommendation: `cpu_request`, `memory_p95`, … in cores and bytes."""
    rows = []
    for row in advice.recommendations:
        nested = _row(row)
        flat = {name: value for name, value in nested.items() if not isinstance(value, dict | list)}
        for resource in ("cpu", "memory"):
            flat |= {f"{resource}_{name}": value for name, value in nested[resource].items()}
        rows.append(flat | {"notes": "; ".join(row.notes)})
    return pd.DataFrame(rows)


def _row(row: Recommendation) -> dict[str, Any]:
    evidence = row.evidence
    needs = row.needs
    return {
        "component": row.component,
        "namespace": row.namespace,
        "workload": row.workload,
        "kind": row.kind,
        "container": row.container,
        "native": row.native,
        "replicas": _tidy(row.replicas),
        "days": 0.0 if evidence is None else _tidy(evidence.days),
        "pods": 0 if evidence is None else evidence.pods,
        "windows": 0 if evidence is None else evidence.windows,
        "coverage": None if evidence is None else _tidy(evidence.coverage),
        "runs": None if evidence is None else evidence.runs,
        "running": row.running,
        "unknown": sorted(row.unknown),
        "under_provisioned": _tidy(row.under_provisioned),
        "shapes": [
            {"kind": shape.kind.value, "resource": shape.resource, "text": shape.text}
            for shape in row.shapes
        ],
        "start": None if evidence is None else evidence.start.isoformat(),
        "end": None if evidence is None else evidence.end.isoformat(),
        "changes": row.changes,
        "written": row.written,
        "reason": row.reason,
        "notes": list(row.notes),
        "cpu": _resource(row.cpu, None if needs is None else needs.cpu_request),
        "memory": _resource(row.memory, None if needs is None else needs.memory_request),
        "envoy_threads": envoy_threads(row.cpu.recommended_limit)
        if row.component in ("sidecar", "gateway", "waypoint")
        else None,
        "autoscaling": None if row.autoscaling is None else asdict(row.autoscaling),
        "throttled_share": None if evidence is None else _tidy(evidence.throttled_share),
        "oom_kills": None if evidence is None else evidence.oom_kills,
        "restarts": None if evidence is None else evidence.restarts,
    }


def _resource(advice: ResourceAdvice, own_request: float | None) -> dict[str, Any]:
    return {
        "request": _tidy(advice.request),
        "limit": _tidy(advice.limit),
        "recommended_request": _tidy(advice.recommended_request),
        "recommended_limit": _tidy(advice.recommended_limit),
        "target_request": _tidy(advice.target_request),
        "target_limit": _tidy(advice.target_limit),
        "own_request": _tidy(own_request),
        "p50": _tidy(advice.usage.p50),
        "p95": _tidy(advice.usage.p95),
        "p99": _tidy(advice.usage.p99),
        "peak": _tidy(advice.usage.peak),
        "burst": _tidy(advice.usage.burst),
        "rule": advice.rule.value,
        "basis": advice.basis,
    }


def _tidy(value: float | None) -> float | int | None:
    """Whole numbers without a fraction; twelve digits are more than any source gives."""
    if value is None or math.isnan(value):
        return None
    return int(value) if float(value).is_integer() else float(f"{value:.12g}")
