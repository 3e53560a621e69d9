"""Phases that change requests and limits."""

from __future__ import annotations

from collections.abc import Sequence

from rightsize.border import promql_string
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Recommendation
from rightsize.rollout import promql
from rightsize.rollout.model import Check, Phase, PhaseMoney, PhaseName
from rightsize.rollout.parts import covered, rows_of, scale_steps, waves
from rightsize.rollout.study import PlanStudy

WEEK_RULE = (
    "the checks compare with the same hour a week earlier, so read them within 7 days of the first "
    "restart"
)
_TITLES: dict[PhaseName, str] = {
    "sidecar-exceptions": "Sidecars with sizes of their own",
    "mesh-default": "Sidecars: the mesh default",
    "gateways": "Gateways",
    "other-proxies": "Waypoints, ztunnel and the CNI agent",
    "istiod": "istiod: size, replicas, disruption budget",
}


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
    what, preconditions, risk, checks, wait = build(study, rows)
    steps = scale_steps(study.advice, name)
    notes = [
        f"Autoscaler {s.point.namespace}/{s.point.hpa}: its {s.point.resource} target goes from "
        f"{s.point.target_utilization:g} % to {s.target} %, "
        f"{'before' if s.first else 'after'} the restart; it scales at the same usage as today"
        for s in steps
    ]
    notes += [f"{row.key}: {note}" for row in rows for note in row.notes if name != "istiod"]
    return Phase(
        name, _TITLES[name], what, preconditions, risk, promql.unique(checks), wait, money,
        tuple(dict.fromkeys(notes)),
    )  # fmt: skip


_NAMES = {"cpu": "CPU", "memory": "memory"}
Parts = tuple[str, tuple[str, ...], str, list[Check], str]


def _exceptions(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    raised = [row for row in rows if _raises(row)]
    pinned = [row for row in rows if not row.changes]
    what = (
        f"Sidecars with a size by annotation, since the mesh default does not suit them: {len(rows)}. "
        "They come first: what has no annotation of its own falls with the default in the next "
        "phase."
    )
    if raised:
        what += " Raised: " + "; ".join(_said(row) for row in raised) + "."
    if pinned:
        names = ", ".join(row.key for row in pinned)
        what += f" Only pinned to what they have: {names}."
    risk = (
        f"{_deepest(rows)} Restarting a workload drops its long-lived connections. An annotation in "
        "the cluster that is not in Git is undone by the next deployment."
    )
    checks = _in_force(rows) + _sidecar_health(rows, study)
    wait = f"A day after the last restart, and at least one busy day; {WEEK_RULE}."
    return what, _restartable(rows), risk, checks, wait


def _mesh_default(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    default = rows[0]
    mine = covered(study.advice)
    order = waves(mine)
    what = (
        f"global.proxy.resources: {_said(default)}. It covers {_count(len(mine), 'workload')}, which "
        f"take it when they restart, in {_count(len(order), 'wave')} by namespace, the smallest "
        "first."
    )
    risk = (
        f"{_deepest(rows)} Every restart connects anew to istiod and drops long-lived connections; "
        "a workload that restarts for another reason takes the new size as well."
    )
    cpu, memory = default.recommended.cpu_request, default.recommended.memory_request
    apart = promql.pods_of(_other_proxies(study))
    checks = []
    for resource, size, text in (
        ("cpu", cpu, "" if cpu is None else format_cpu(cpu)),
        ("memory", memory, "" if memory is None else format_memory(memory)),
    ):
        if size is not None:
            expression = promql.others_equal(default.container, resource, size, apart)
            says = (
                f"every sidecar without sizes of its own requests {text} of {_NAMES[resource]}, "
                "once the last wave is over"
            )
            checks.append(Check(f"{resource}-in-force", says, expression))
    checks += _sidecar_health(rows, study)
    checks.append(_convergence())
    wait = f"A day after each wave and 3 days after the last; {WEEK_RULE}."
    return what, _restartable(mine), risk, checks, wait


def _own_charts(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    what = "; ".join(f"{row.component} {row.key}: {_said(row)}" for row in rows) + "."
    risk = f"{_deepest(rows)} A gateway's restart drops connections from outside; pods drain first."
    checks = _in_force(rows)
    for row in rows:
        pods = promql.pods_of([_pods_of(row)])
        checks += [
            Check(
                f"no-kills-{_slug(row)}",
                f"no out-of-memory kill of {row.key} within a day",
                promql.no_kills(row.container, pods),
            )
        ]
        if row.component == "gateway":
            selector = (
                f"source_workload={promql_string(str(row.workload))},"
                f"source_workload_namespace={promql_string(str(row.namespace))}"
            )
            checks.append(
                Check(
                    f"errors-{_slug(row)}",
                    f"{row.key} gets no more 5xx answers than a week ago",
                    promql.errors_not_up(selector, reporter="source"),
                )
            )
    conditions = (
        "The autoscaler's minimum is two pods or more, so that one can restart while another "
        "answers.",
    )
    return what, conditions, risk, checks, f"A day; {WEEK_RULE}."


def _istiod(study: PlanStudy, rows: Sequence[Recommendation]) -> Parts:
    row = rows[0]
    what = "; ".join(_said(each) for each in rows) + "."
    conditions = ["The sidecars' restarts are over: each of them makes istiod push."]
    least = 2
    if row.autoscaling is not None:
        bounds = row.autoscaling
        least = bounds.min_replicas
        what += (
            f" {bounds.min_replicas} to {bounds.max_replicas} pods at a CPU target of "
            f"{bounds.target_cpu} %. {row.reason[0].upper()}{row.reason[1:]}."
        )
    if study.istiod is not None:
        what += f" Disruption budget: {study.istiod.budget.reason}."
    risk = (
        f"{_deepest(rows)} While one istiod restarts, its proxies connect to the other; no traffic "
        "depends on it, but changes and new pods wait."
    )
    checks = _in_force(rows)
    checks += [
        _convergence(),
        Check("proxies-connected", "as many proxies as a week ago", promql.proxies_connected()),
        Check("no-rejects", "no proxy refuses its configuration", promql.no_rejects()),
        Check(
            "pods-running", f"{least} istiod pods or more", promql.pods_at_least("discovery", least)
        ),
        Check(
            "memory-below-request",
            "no istiod pod used more memory than it requests within a day",
            promql.memory_below_request("discovery"),
        ),
        Check("no-kills", "no out-of-memory kill within a day", promql.no_kills("discovery")),
    ]
    wait = f"2 days with deployments in them; {WEEK_RULE}."
    return what, tuple(conditions), risk, checks, wait


def _in_force(rows: Sequence[Recommendation]) -> list[Check]:
    """One check for all workloads that are to have one size."""
    groups: dict[tuple[str, str, float], list[Recommendation]] = {}
    for row in rows:
        for resource, size in (
            ("cpu", row.recommended.cpu_request),
            ("memory", row.recommended.memory_request),
        ):
            if size is not None:
                groups.setdefault((row.container, resource, size), []).append(row)
    checks = []
    for (container, resource, size), members in groups.items():
        text = format_cpu(size) if resource == "cpu" else format_memory(size)
        who = members[0].key if len(members) == 1 else _count(len(members), "workload")
        name = f"{resource}-{text.lower().replace('.', '-')}-in-force"
        if len({c for c, _, _ in groups}) > 1:
            name = f"{container}-{name}"
        pods = promql.pods_of([_pods_of(row) for row in members])
        checks.append(
            Check(
                name,
                f"every pod of {who} requests {text} of {_NAMES[resource]}",
                promql.all_equal(container, resource, size, pods),
            )
        )
    return checks


def _sidecar_health(rows: Sequence[Recommendation], study: PlanStudy) -> list[Check]:
    container = rows[0].container
    checks = [
        Check(
            "no-kills",
            "no sidecar was killed for lack of memory within a day",
            promql.no_kills(container),
        ),
        Check(
            "memory-below-request",
            "no proxy used more memory than it requests within a day",
            promql.memory_below_request(container),
        ),
        Check("errors", "no more 5xx answers than a week ago", promql.errors_not_up()),
        Check("latency", "p99 of requests is what it was a week ago", promql.latency_not_up()),
        Check("nothing-pending", "no pod waits for a node", promql.nothing_pending()),
    ]
    limited = any(
        row.component == "sidecar" and row.current.cpu_limit is not None
        for row in study.advice.recommendations
    )
    if limited:
        says = "proxies are throttled in at most 1 % of CFS periods, or no more than a week ago"
        checks.append(Check("throttling", says, promql.throttling_not_up(container)))
    return checks


def _convergence() -> Check:
    says = "99 of 100 pushes reach their proxy within 10 s"
    return Check("propagation", says, promql.convergence_within(10))


def _other_proxies(study: PlanStudy) -> list[tuple[str, str, str | None]]:
    """Workloads with an `istio-proxy` that does not follow the mesh default."""
    return [
        _pods_of(row)
        for row in study.advice.recommendations
        if row.workload is not None and row.written != "mesh default"
    ]


def _pods_of(row: Recommendation) -> tuple[str, str, str | None]:
    return str(row.namespace), str(row.workload), row.kind


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _slug(row: Recommendation) -> str:
    return f"{row.namespace}-{row.workload}".replace(".", "-")


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


def _restartable(rows: Sequence[Recommendation]) -> tuple[str, ...]:
    alone = [row.key for row in rows if row.replicas < 1.5]
    conditions = ["No deployment freeze, and no other change of these workloads on the same day."]
    if alone:
        names = ", ".join(alone[:8]) + (f" and {len(alone) - 8} more" if len(alone) > 8 else "")
        conditions.append(f"A short outage is agreed for workloads of one pod: {names}.")
    return tuple(conditions)
