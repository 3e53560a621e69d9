"""What is known of the control plane, as JSON and as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rightsize.istiod.growth import Growth
from rightsize.istiod.histograms import BucketQuantile
from rightsize.istiod.model import FittedLaw, IstiodModel
from rightsize.istiod.peaks import Peaks
from rightsize.istiod.propagation import Propagation
from rightsize.istiod.sizing import IstiodAdvice
from rightsize.istiod.thresholds import Crossing, Outlook
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval, ResourceAdvice

JSON_VERSION = 1


def control_plane_to_dict(
    found: Sequence[tuple[IstiodAdvice, Outlook]], *, simulated: bool
) -> Mapping[str, object]:
    """The answer of `rightsize control-plane --format json`; see docs/control-plane.md.

    The istiod with most proxies stands at the top; the other revisions, of the same shape, stand
    under `other_revisions`.
    """
    first, *others = (_one_istiod(advice, ahead) for advice, ahead in found)
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        **first,
        "other_revisions": others,
    }


def _one_istiod(advice: IstiodAdvice, ahead: Outlook) -> Mapping[str, object]:
    return {
        "istiod": {
            "revision": advice.revision or None,
            "cpu": _advice(advice.cpu),
            "memory": _advice(advice.memory),
            "replicas_now": advice.replicas_now,
            "autoscale_min": advice.autoscale_min,
            "autoscale_max": advice.autoscale_max,
            "target_utilization_percent": advice.target_utilization,
            "budget": asdict(advice.budget),
            "spread": None if advice.spread is None else asdict(advice.spread),
            "expected_memory_bytes_after_loss": asdict(advice.expected_memory),
            "expected_cpu_cores": asdict(advice.expected_cpu),
            "reasons": list(advice.reasons),
            "warnings": list(advice.warnings),
            "rejected": [asdict(r) for r in advice.rejected],
        },
        "model": None if advice.model is None else _model(advice.model),
        "propagation": _propagation(advice.propagation),
        "growth": [_growth(g) for g in ahead.growth],
        "thresholds": [_crossing(c) for c in ahead.crossings],
        "notes": list(ahead.notes),
    }


def control_plane_lines(advice: IstiodAdvice, ahead: Outlook) -> list[str]:
    """The same for people; memory in Mi or Gi, CPU in m, dates in UTC."""
    now, wanted = advice.current, advice.recommended
    lines = [
        f"{advice.revision or 'istiod'}, {advice.replicas_now:.1f} pods",
        f"  CPU request     {_cpu(now.cpu_request)} -> {_cpu(wanted.cpu_request)}",
        f"  CPU limit       {_cpu(now.cpu_limit)} -> {_cpu(wanted.cpu_limit)}",
        f"  memory request  {_memory(now.memory_request)} -> {_memory(wanted.memory_request)}",
        f"  memory limit    {_memory(now.memory_limit)} -> {_memory(wanted.memory_limit)}",
        f"  replicas        autoscaleMin {advice.autoscale_min}, autoscaleMax "
        f"{advice.autoscale_max}, CPU target {advice.target_utilization} %",
        f"  budget          {advice.budget.path}: {advice.budget.value} ({advice.budget.reason})",
    ]
    if advice.spread is None:
        lines.append("  spread          the zones of the nodes are not known: nothing is written")
    else:
        over = " and ".join(advice.spread.written) or "nothing to write"
        lines.append(f"  spread          {over} ({advice.spread.reason})")
    lines += [f"  why: {reason}" for reason in advice.reasons]
    lines += [f"  not {r.option}: {r.reason}" for r in advice.rejected]
    lines += [f"  careful: {warning}" for warning in advice.warnings]
    lines += propagation_lines(advice.propagation)
    return lines + outlook_lines(ahead)


def propagation_lines(found: Propagation) -> list[str]:
    """Delay of configuration, where it goes, and the finding."""
    delay = found.convergence
    worst = found.worst_day_p99
    lines = [
        f"Propagation: p50 {_seconds(delay.p50)}, p99 {_seconds(delay.p99)}"
        + ("" if worst is None else f", p99 of the worst day {_seconds(worst)}")
    ]
    lines += [
        f"  {s.stage}: {s.share:.0%} of the known time, p99 {_seconds(s.delay.p99)}"
        for s in found.stages
    ]
    if found.unknown:
        lines.append(f"  not seen: {', '.join(found.unknown)}")
    if found.finding is not None:
        lines.append(f"  finding: {found.finding.cause}")
        for change in found.finding.changes:
            lines.append(f"    {change.what}: {change.expected}")
            if change.setting is not None:
                lines.append(
                    f"      {change.setting.name}: real from {change.setting.since} on, default "
                    f"{change.setting.default}"
                )
    return lines


def outlook_lines(ahead: Outlook) -> list[str]:
    """Growth and the dates of thresholds."""
    lines = ["Growth"] if ahead.growth else ["Growth: not known"]
    for growth in ahead.growth:
        month = growth.per_30_days
        lines.append(
            f"  {growth.what}: {growth.now:,.0f}, {month.mid:+,.0f} in 30 days "
            f"({month.low:+,.0f} to {month.high:+,.0f}), {growth.days} days, {growth.shape}"
        )
    for crossing in ahead.crossings:
        lines.append(f"  {crossing.threshold.what}: {_when(crossing)}")
    return lines + [f"  note: {note}" for note in ahead.notes]


def _when(crossing: Crossing) -> str:
    if crossing.passed:
        return "passed already"
    if crossing.earliest is None:
        return "not within two years"
    expected = "beyond two years" if crossing.expected is None else f"{crossing.expected}"
    latest = "or never" if crossing.latest is None else f"at the latest {crossing.latest}"
    return f"{expected} (at the earliest {crossing.earliest}, {latest})"


def _advice(found: ResourceAdvice) -> Mapping[str, object]:
    return {
        "request": found.request,
        "limit": found.limit,
        "recommended_request": found.recommended_request,
        "recommended_limit": found.recommended_limit,
        "target_request": found.target_request,
        "rule": found.rule,
        "usage": asdict(found.usage),
    }


def _model(model: IstiodModel) -> Mapping[str, object]:
    return {
        "start": model.start.isoformat(),
        "end": model.end.isoformat(),
        "hours": model.hours,
        "load": asdict(model.load),
        "peaks": _peaks(model.peaks),
        "trusted": model.trusted,
        "laws": [_law(model.memory), _law(model.cpu)],
    }


def _peaks(peaks: Peaks) -> Mapping[str, object]:
    events = [
        {**asdict(event), "start": event.start.isoformat(), "end": event.end.isoformat()}
        for event in peaks.events
    ]
    return {**asdict(peaks), "events": events}


def _law(law: FittedLaw) -> Mapping[str, object]:
    return {
        "resource": law.resource,
        "unit": "bytes" if law.resource == "memory" else "cores",
        "level": law.level,
        "coefficients": [asdict(c) for c in law.coefficients],
        "forward_error": law.cv_error,
        "rows": law.rows,
        "diagnoses": [asdict(d) for d in law.diagnoses],
    }


def _propagation(found: Propagation) -> Mapping[str, object]:
    finding = found.finding
    return {
        "p50_seconds": _quantile(found.convergence.p50),
        "p99_seconds": _quantile(found.convergence.p99),
        "worst_day_p99_seconds": _quantile(found.worst_day_p99),
        "hold": found.hold,
        "daily": [
            {**row, "day": row["day"].date().isoformat()} for row in found.daily.to_dict("records")
        ],
        "stages": [
            {"stage": s.stage, "share": s.share, "p99_seconds": _quantile(s.delay.p99)}
            for s in found.stages
        ],
        "unknown": list(found.unknown),
        "finding": None if finding is None else asdict(finding),
    }


def _quantile(found: BucketQuantile | None) -> Mapping[str, object] | None:
    return None if found is None else asdict(found)


def _growth(found: Growth) -> Mapping[str, object]:
    return {
        "what": found.what,
        "now": found.now,
        "days": found.days,
        "shape": found.shape,
        "change_in_30_days": asdict(found.per_30_days),
    }


def _crossing(found: Crossing) -> Mapping[str, object]:
    dates = {"earliest": found.earliest, "expected": found.expected, "latest": found.latest}
    return {
        "what": found.threshold.what,
        "quantity": found.threshold.quantity,
        "value": found.threshold.value,
        "now": _interval(found.now),
        "passed": found.passed,
        **{name: None if when is None else when.isoformat() for name, when in dates.items()},
    }


def _interval(found: Interval) -> Mapping[str, object]:
    return asdict(found)


def _cpu(cores: float | None) -> str:
    return "not set" if cores is None else format_cpu(cores)


def _memory(size: float | None) -> str:
    return "not set" if size is None else format_memory(size)


def _seconds(found: BucketQuantile | None) -> str:
    if found is None:
        return "not known"
    return f"over {found.value:g} s" if found.beyond else f"{found.value:.2f} s"
