"""Phases that change requests and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rightsize.border import promql_string
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Recommendation
from rightsize.rollout import promql
from rightsize.rollout.model import Check, Phase, PhaseMoney, PhaseName
from rightsize.rollout.parts import covered, rows_of, scale_steps, waves
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.words import check, phase

WEEK_RULE = (
    "the checks compare with the same hour a week earlier, so read them within 7 days of the first "
    "restart"
)
_NAMES = {"cpu": "CPU", "memory": "memory"}
Parts = tuple[list[Check], Mapping[str, object]]
"""Checks of a phase, and what its words are filled with."""


def size_phase(study: PlanStudy, name: PhaseName, money: PhaseMoney | None) -> Phase | None:
    """The phase that writes these sizes; None where nothing changes."""
    rows = rows_of(study.advice, name)
    if not rows:
        return None
    build = {
        "sidecar-exceptions": _exceptions,
        "mesh-default": _mesh_default,
        "istiod": _istiod,
    }.get(name, _own_charts)
    checks, given = build(study, rows)
    notes = [
        f"Autoscaler {s.point.namespace}/{s.point.hpa}: its {s.point.resource} target goes from "
        f"{s.point.target_utilization:g} % to {s.target} %, "
        f"{'before' if s.first else 'after'} the restart; it scales at the same usage as today"
        for s in scale_steps(study.advice, name)
    ]
    notes += [f"{row.key}: {note}" for row in rows for note in row.notes if name != "istiod"]
    usual = {"deepest": _deepest(rows), "week": WEEK_RULE, "notes": list(dict.fromkeys(notes))}
    return phase(name, money, checks, **usual, **given)


def _exceptions(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    raised = "; ".join(_said(row) for row in rows if _raises(row))
    pinned = ", ".join(row.key for row in rows if not row.changes)
    return _in_force(rows) + _sidecar_health(rows, study), {
        "count": len(rows),
        "raised": f" Raised: {raised}." if raised else "",
        "pinned": f" Only pinned to what they have: {pinned}." if pinned else "",
        "restartable": _restartable(rows),
    }


def _mesh_default(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    default = rows[0]
    mine = covered(study.advice)
    apart = promql.pods_of(
        _pods_of(row)
        for row in study.advice.recommendations
        if row.workload is not None and row.written != "mesh default"
    )
    checks = []
    for resource, size, text in _requests(default):
        there = promql.requests(default.container, resource, apart=apart)
        what = _NAMES[resource]
        name = f"{resource}-in-force"
        checks.append(
            check("in-force", name, there=there, size=f"{size:.10g}", text=text, what=what)
        )
    checks += [*_sidecar_health(rows, study), check("propagation")]
    return checks, {
        "said": _said(default),
        "workloads": _count(len(mine), "workload"),
        "waves": _count(len(waves(mine)), "wave"),
        "restartable": _restartable(mine),
    }


def _own_charts(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    checks = _in_force(rows)
    for row in rows:
        slug = f"{row.namespace}-{row.workload}".replace(".", "-")
        mine = f" and on (namespace, pod) ({promql.pods_of([_pods_of(row)])})"
        says = f"no out-of-memory kill of {row.key} within a day"
        checks.append(
            check("no-kills", f"no-kills-{slug}", says, container=row.container, mine=mine)
        )
        if row.component == "gateway":
            more = (
                f",source_workload={promql_string(str(row.workload))},"
                f"source_workload_namespace={promql_string(str(row.namespace))}"
            )
            says = f"{row.key} gets no more 5xx answers than a week ago"
            checks.append(check("errors", f"errors-{slug}", says, reporter="source", more=more))
    return checks, {"said": "; ".join(f"{row.component} {row.key}: {_said(row)}" for row in rows)}


def _istiod(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    row = rows[0]
    least, scaling, budget = 2, "", ""
    if row.autoscaling is not None:
        bounds = row.autoscaling
        least = bounds.min_replicas
        scaling = (
            f" {bounds.min_replicas} to {bounds.max_replicas} pods at a CPU target of "
            f"{bounds.target_cpu} %. {row.reason[0].upper()}{row.reason[1:]}."
        )
    if study.istiod is not None:
        budget = f" Disruption budget: {study.istiod.budget.reason}."
    used = "no istiod pod used more memory than it requests within a day"
    return [
        *_in_force(rows),
        check("propagation"),
        check("proxies-connected"),
        check("no-rejects"),
        check("pods-running", container="discovery", number=least),
        check("memory-below-request", None, used, container="discovery"),
        check("no-kills", None, "no out-of-memory kill within a day", container="discovery"),
    ], {"said": "; ".join(_said(each) for each in rows), "scaling": scaling, "budget": budget}


def _requests(row: Recommendation) -> list[tuple[str, float, str]]:
    """Requests that a row recommends: resource, size, and the size as text."""
    cpu, memory = row.recommended.cpu_request, row.recommended.memory_request
    found = [] if cpu is None else [("cpu", cpu, format_cpu(cpu))]
    return found if memory is None else [*found, ("memory", memory, format_memory(memory))]


def _in_force(rows: Sequence[Recommendation]) -> list[Check]:
    """One check for all workloads that are to have one size."""
    groups: dict[tuple[str, str, float, str], list[Recommendation]] = {}
    for row in rows:
        for resource, size, text in _requests(row):
            groups.setdefault((row.container, resource, size, text), []).append(row)
    checks = []
    for (container, resource, size, text), members in groups.items():
        who = members[0].key if len(members) == 1 else _count(len(members), "workload")
        name = f"{resource}-{text.lower().replace('.', '-')}-in-force"
        if len({group[0] for group in groups}) > 1:
            name = f"{container}-{name}"
        there = promql.requests(
            container, resource, of=promql.pods_of([_pods_of(row) for row in members])
        )
        says = f"every pod of {who} requests {text} of {_NAMES[resource]}"
        checks.append(check("in-force", name, says, there=there, size=f"{size:.10g}"))
    return checks


def _sidecar_health(rows: Sequence[Recommendation], study: PlanStudy) -> list[Check]:
    names = [
        "no-kills", "memory-below-request", "errors", "latency", "nothing-pending", "throttling",
    ]  # fmt: skip
    limited = any(
        row.component == "sidecar" and row.current.cpu_limit is not None
        for row in study.advice.recommendations
    )
    return [check(name, container=rows[0].container) for name in names[: 6 if limited else 5]]


def _pods_of(row: Recommendation) -> tuple[str, str, str | None]:
    return str(row.namespace), str(row.workload), row.kind


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _raises(row: Recommendation) -> bool:
    now, then = row.current, row.recommended
    pairs = ((now.cpu_request, then.cpu_request), (now.memory_request, then.memory_request))
    return any(a is not None and b is not None and b > a for a, b in pairs)


def _said(row: Recommendation) -> str:
    """What changes of a row, with its name."""
    now, then = row.current, row.recommended
    parts = []
    for name, before, after, text in (
        ("CPU request", now.cpu_request, then.cpu_request, format_cpu),
        ("CPU limit", now.cpu_limit, then.cpu_limit, format_cpu),
        ("memory request", now.memory_request, then.memory_request, format_memory),
        ("memory limit", now.memory_limit, then.memory_limit, format_memory),
    ):
        if before != after:
            old = "not set" if before is None else text(before)
            new = "not set" if after is None else text(after)
            parts.append(f"{name} {old} to {new}")
    return f"{row.key} " + (", ".join(parts) or "keeps its requests")


def _deepest(rows: Sequence[Recommendation]) -> str:
    cuts = [
        1 - after / before
        for row in rows
        for before, after in (
            (row.current.cpu_request, row.recommended.cpu_request),
            (row.current.memory_request, row.recommended.memory_request),
        )
        if before and after is not None and after < before
    ]
    return f"A request falls by {max(cuts):.0%} at the most." if cuts else "No request falls."


def _restartable(rows: Sequence[Recommendation]) -> list[str]:
    alone = [row.key for row in rows if row.replicas < 1.5]
    conditions = ["No deployment freeze, and no other change of these workloads on the same day."]
    if alone:
        names = ", ".join(alone[:8]) + (f" and {len(alone) - 8} more" if len(alone) > 8 else "")
        conditions.append(f"A short outage is agreed for workloads of one pod: {names}.")
    return conditions
