"""Recommendations for people: a table on a terminal, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import starmap

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rightsize.cost.requests_worth import MonthlyWorth
from rightsize.output.fitting import fitted
from rightsize.patch.model import Outcome
from rightsize.results import Advice, Recommendation, Resource, ResourceAdvice
from rightsize.sizing.reasons import formatted

_UNBOUNDED = 10_000
_NAME, _SHORT_NAME = 36, 16
"""Columns before which a name is not folded: in the whole table, and in the narrow one."""
_REASON = 36
"""Columns below which a reason is a ladder of words."""
_ORDER = {"sidecar": 0, "istiod": 1, "gateway": 2, "waypoint": 3, "ztunnel": 4, "istio-cni": 5}


def rows_for_people(advice: Advice, *, everything: bool = False) -> list[Recommendation]:
    """The mesh default, then every row that changes or is written on its own, then the rest.

    Workloads that the mesh default covers are left out unless `everything`.
    """
    shown = [
        row
        for row in advice.recommendations
        if row.running and (everything or row.workload is None or row.written != "mesh default")
    ]
    # What lacks something comes first.
    return sorted(
        shown,
        key=lambda row: (
            row.workload is not None,
            row.under_provisioned is None,
            _ORDER[row.component],
            row.key,
        ),
    )


def advice_table(advice: Advice, *, everything: bool = False, width: int = 200) -> RenderableType:
    """The recommendation table: now, used, this step, the end, and why.

    Where its columns do not all have room, the reasons stand under the table, and days, pods and
    the end state with them, so that names and figures stay whole.
    """
    rows = rows_for_people(advice, everything=everything)
    wide = _wide(advice, rows)
    return wide if _least(wide, _NAME) <= width else _narrow(advice, rows, width)


def _least(table: Table, name: int) -> int:
    """Columns of the terminal that a table needs where names fold after `name` columns."""
    console = Console(width=_UNBOUNDED)
    names = Measurement.get(console, console.options, Group(*table.columns[0].cells)).minimum
    whole = Measurement.get(console, console.options, table).minimum
    return whole - max(0, names - name)


def _wide(advice: Advice, rows: Iterable[Recommendation]) -> Table:
    table = Table(title=_title(advice), title_justify="left", expand=False)
    table.add_column("workload", overflow="fold")
    table.add_column("component", no_wrap=True)
    for header in ("CPU now", "p95", "peak", "step", "end"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("mem now", "p95", "peak", "step", "end"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("days", justify="right")
    table.add_column("pods", justify="right")
    table.add_column("why", overflow="fold", min_width=_REASON)
    for row in rows:
        table.add_row(
            row.key,
            row.component,
            *_cells("cpu", row.cpu),
            *_cells("memory", row.memory),
            *_seen(row),
            row.reason,
            style=None if row.changes else "dim",
        )
    return table


def _narrow(advice: Advice, rows: Iterable[Recommendation], width: int) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("workload", overflow="fold")
    for header in ("CPU now", "p95", "step", "mem now", "peak", "step"):
        table.add_column(header, justify="right", no_wrap=True)
    reasons: list[RenderableType] = []
    for row in rows:
        cpu, memory = _cells("cpu", row.cpu), _cells("memory", row.memory)
        style = None if row.changes else "dim"
        figures = (cpu[0], cpu[1], cpu[3], memory[0], memory[2], memory[3])
        table.add_row(row.key, *figures, style=style)
        days, pods = _seen(row)
        name = row.key if row.component == "sidecar" else f"{row.key} ({row.component})"
        said = Text(f"{name}: ", style="bold")
        # The other rows' reasons name the end state themselves.
        end = "" if row.workload else f"; in the end {cpu[4]} and {memory[4]}"
        said.append(f"{days} days, {pods} pods; {row.reason}{end}", style="dim")
        reasons.append(said)
    shown = table if _least(table, _SHORT_NAME) <= width else fitted(table, width)
    return Group(Text(_title(advice), style="italic"), shown, *reasons)


def _seen(row: Recommendation) -> tuple[str, str]:
    """Days and pods behind a row."""
    evidence = row.evidence
    return ("-", "-") if evidence is None else (f"{evidence.days:.0f}", str(evidence.pods))


def advice_markdown(
    advice: Advice,
    *,
    everything: bool = False,
    outcomes: Sequence[Outcome] = (),
    worth: MonthlyWorth | None = None,
) -> str:
    """The body of a pull request: change, what is not in it, evidence, risk, way back.

    With `worth` its first line says what the requests are worth, and what goes up and down.

    Parameters
    ----------
    everything : bool
        Workloads that the mesh default covers, too.
    outcomes : sequence of Outcome
        What became of each recommendation in the given files; empty without any.
    """
    rows = rows_for_people(advice, everything=everything)
    absent = {(o.change.component, o.change.key): o for o in outcomes if not o.is_in_files}
    changed = [row for row in rows if (row.component, row.key) not in absent]
    head = [] if worth is None else [_headline(advice, worth), ""]
    lines = [*head, f"## {_title(advice)}", ""]
    lines += ["### Change", "", *_change_table(changed), ""]
    if absent:
        lines += ["### Not in this change", "", *map(_absent, absent.values()), ""]
    lines += ["### Evidence", "", *_evidence_table(rows), ""]
    lines += ["### Risk", "", *_risks(advice, rows), ""]
    lines += [
        "### Way back",
        "",
        "Revert this change and restart the workloads: proxies take their sizes when their pods "
        "start. `rightsize verify --since DATE` reports from Prometheus what got worse, if anything.",
    ]
    return "\n".join(lines) + "\n"


def _headline(advice: Advice, worth: MonthlyWorth) -> str:
    """Cost and risk in one line: what a reader of many pull requests sees."""
    changed = [
        row for row in advice.recommendations if row.workload and row.running and row.changes
    ]
    if not changed:
        return "**Nothing changes.** Every size in force is what is recommended."
    direction = "less" if worth.usd < 0 else "more"
    pairs = [
        (size.request or 0.0, size.recommended_request)
        for row in changed
        for size in (row.cpu, row.memory)
        if size.recommended_request is not None
    ]
    up, down = sum(b > a for a, b in pairs), sum(b < a for a, b in pairs)
    killed = sum(row.evidence is not None and bool(row.evidence.oom_kills) for row in changed)
    kills = f"; {killed} of these workloads had OOM kills" if killed else ""
    unknown = f", {worth.unknown} workloads unknown" if worth.unknown else ""
    return (
        f"**Requests worth {abs(worth.usd):,.0f} USD a month {direction}{unknown}; {down} requests go "
        f"down by {_deepest_cut(changed):.0%} at the most, {up} go up{kills}.** ({worth.basis})"
    )


def _absent(outcome: Outcome) -> str:
    why = f": {outcome.reason}" if outcome.reason else ""
    return f"- {outcome.change.component} `{outcome.change.key}`, {outcome.status}{why}"


def summary_lines(advice: Advice) -> list[str]:
    """What a reader should know before the numbers: window, source, exceptions, warnings."""
    lines = []
    covered = [
        r
        for r in advice.recommendations
        if r.workload and r.written == "mesh default" and r.running
    ]
    if covered:
        lines.append(
            f"Workloads covered by the mesh default, not listed (--all does): {len(covered)}."
        )
    if advice.gone:
        some = ", ".join(row.key for row in advice.gone[:3])
        more = f" and {len(advice.gone) - 3} more" if len(advice.gone) > 3 else ""
        lines.append(f"Not running at the end of the window, nothing is written: {some}{more}.")
    lines += [f"HPA {p.namespace}/{p.hpa}: {p.advice}." for p in advice.scale_points]
    return [*lines, *advice.warnings, *advice.missing_in_short]


def _title(advice: Advice) -> str:
    days = f"{advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d} (UTC)"
    simulated = " — simulated, nothing here was measured" if advice.simulated else ""
    return f"Cluster {advice.cluster}, {days}, profile {advice.policy}{simulated}"


def _cells(resource: Resource, advice: ResourceAdvice) -> list[str | Text]:
    step = formatted(resource, advice.recommended_request)
    if advice.recommended_limit != advice.limit:
        step = _both(resource, advice.recommended_request, advice.recommended_limit)
    changed = advice.step != advice.now
    return [
        _both(resource, advice.request, advice.limit),
        formatted(resource, advice.usage.p95),
        formatted(resource, advice.usage.peak),
        Text(step, style="bold") if changed else step,
        formatted(resource, advice.target_request),
    ]


def _both(resource: Resource, request: float | None, limit: float | None) -> str:
    return f"{formatted(resource, request)}/{formatted(resource, limit)}"


def _change_table(rows: Iterable[Recommendation]) -> list[str]:
    head = ["workload", "component", "CPU request", "CPU limit", "memory request", "memory limit"]
    body = []
    for row in rows:
        if not row.changes:
            continue
        pairs: list[tuple[Resource, float | None, float | None]] = [
            ("cpu", row.cpu.request, row.cpu.recommended_request),
            ("cpu", row.cpu.limit, row.cpu.recommended_limit),
            ("memory", row.memory.request, row.memory.recommended_request),
            ("memory", row.memory.limit, row.memory.recommended_limit),
        ]
        body.append([f"`{row.key}`", row.component, *starmap(_arrow, pairs)])
    return _markdown(head, body) if body else ["Nothing changes."]


def _arrow(resource: Resource, before: float | None, after: float | None) -> str:
    if before == after:
        return formatted(resource, after)
    return f"{formatted(resource, before)} → **{formatted(resource, after)}**"


def _evidence_table(rows: Iterable[Recommendation]) -> list[str]:
    head = ["workload", "component", "days", "pods", "CPU p50 / p95 / p99 / peak"]
    head += ["memory p50 / p95 / p99 / peak", "end state", "why"]
    body = []
    for row in rows:
        cpu, memory, evidence = row.cpu, row.memory, row.evidence
        body.append(
            [
                f"`{row.key}`",
                row.component,
                "-" if evidence is None else f"{evidence.days:.1f}",
                "-" if evidence is None else str(evidence.pods),
                _quantiles("cpu", cpu),
                _quantiles("memory", memory),
                f"{formatted('cpu', cpu.target_request)}, "
                f"{formatted('memory', memory.target_request)}",
                row.reason,
            ]
        )
    return _markdown(head, body)


def _quantiles(resource: Resource, advice: ResourceAdvice) -> str:
    usage = advice.usage
    return " / ".join(formatted(resource, v) for v in (usage.p50, usage.p95, usage.p99, usage.peak))


def _risks(advice: Advice, rows: Iterable[Recommendation]) -> list[str]:
    lines = [
        f"- {name} goes down by {share:.0%} at the most in this step"
        for name, share in (("A request", _deepest_cut(rows)),)
        if share > 0
    ]
    lines += [f"- {row.key}: {note}" for row in rows if row.changes for note in row.notes]
    lines += [f"- {line}" for line in summary_lines(advice)]
    return lines or ["- None known: nothing is cut."]


def _deepest_cut(rows: Iterable[Recommendation]) -> float:
    cuts = [0.0]
    for row in rows:
        for size in (row.cpu, row.memory):
            if size.request and size.recommended_request is not None:
                cuts.append(1 - size.recommended_request / size.request)
    return max(cuts)


def _markdown(head: list[str], body: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in body),
    ]
