"""The plan as a page to read, and a page for each phase to work from."""

from __future__ import annotations

from collections.abc import Sequence

from rightsize.border import markdown_lines, printable
from rightsize.results import Interval
from rightsize.rollout.checks import RECORD
from rightsize.rollout.model import Phase, PhaseMoney, RolloutPlan
from rightsize.rollout.steps import PhaseFiles, Step

STEPS = "steps.md"
"""File of a phase's folder that says how it is carried out."""


def plan_markdown(plan: RolloutPlan, rules: str) -> str:
    """The page that is read: what, why, the money and the order.

    Parameters
    ----------
    rules : str
        File name of the checks.
    """
    lines = [f"# Rollout plan: {printable(plan.cluster)}", "", *_simulated(plan)]
    lines += _head(plan, rules)
    lines += ["", *_table(plan), ""]
    for phase in plan.phases:
        lines += [_summary(plan, phase), ""]
    lines += _closing(plan)
    return _page(lines)


def steps_markdown(plan: RolloutPlan, phase: Phase, made: PhaseFiles, rules: str) -> str:
    """The page of one phase, to work from.

    Parameters
    ----------
    made : PhaseFiles
        What lies beside it.
    rules : str
        File name of the checks.
    """
    folder = plan.folder(phase)
    lines = [f"# {folder}", "", *_simulated(plan), f"**{phase.title}.** {phase.what}", ""]
    lines += _bullets("Before", phase.preconditions)
    lines += ["**Expected saving.** " + _saving(phase.money), ""]
    lines += [f"**Risk.** {phase.risk}", ""]
    if made.files:
        lines += [f"**Files.** {_named(folder, made)}", ""]
    lines += ["**Steps**, in the folder of the plan", "", *_steps(made.steps)]
    lines += _checks(folder, phase, rules)
    lines += [f"**Wait.** {phase.wait}", ""]
    lines += ["**Way back**", "", *_steps(made.back)]
    return _page([*lines, *_bullets("Notes", phase.notes)])


def _page(lines: Sequence[str]) -> str:
    return markdown_lines("\n".join(lines).rstrip("\n") + "\n")


def _simulated(plan: RolloutPlan) -> list[str]:
    warning = "**Simulated: no figure of this mesh was measured.**"
    return [warning, ""] if plan.simulated else []


def _summary(plan: RolloutPlan, phase: Phase) -> str:
    """A phase in one paragraph."""
    return f"**{plan.folder(phase)}: {phase.title}.** {phase.what} *Risk:* {phase.risk}"


def _head(plan: RolloutPlan, rules: str) -> list[str]:
    lines = [
        f"From usage of {plan.start:%Y-%m-%d} to {plan.end:%Y-%m-%d} (UTC)"
        + ("." if plan.istio_version is None else f", Istio {plan.istio_version}."),
        "",
        "- Phases are carried out in this order, each by the page of its link. One begins when the "
        "checks of the one before hold.",
        "- All commands run in this folder, with kubectl, Helm, istioctl and jq. Those of Helm take Istio's charts from a repository "
        "called `istio` (`helm repo add istio "
        "https://istio-release.storage.googleapis.com/charts`) and the releases `istiod` and, for "
        "a gateway, its own name; put yours where they differ. Where a pipeline deploys from Git, "
        "the files go there, or it undoes them.",
        f"- Checks are in `{rules}`: `{RECORD}` is 1 where one holds. No series is no pass: then "
        "its metrics are missing.",
    ]
    if plan.istio_version is None:
        lines.append("- The release of Istio is not known: `export ISTIO_VERSION=` the one that "
                     "runs, before any command of Helm.")  # fmt: skip
    bill = plan.bill_today
    if bill is not None:
        lines.append(
            f"- The month costs {_usd(bill)} today on {plan.nodes_today} nodes, known lines only "
            "(`rightsize cost`)."
        )
    lines += [f"- {note}" for note in plan.notes]
    if plan.nodes_today is not None:
        lines += [
            f"- Prices: {plan.prices}. A saving is what the promised node set falls by when a phase "
            "joins those before it: a request that frees no node saves nothing, and nothing is "
            "counted twice."
        ]
    return lines


def _table(plan: RolloutPlan) -> list[str]:
    head = "| phase | nodes | saves, USD/month | together, USD/month | promised | basis |"
    lines = [head, "|---|---|---|---|---|---|"]
    for phase in plan.phases:
        money = phase.money
        cells = ["not computed", "", "", "", ""] if money is None else money_cells(money)
        link = f"[{plan.folder(phase)}]({plan.folder(phase)}/{STEPS})"
        lines.append("| " + " | ".join([link, *cells]) + " |")
    return lines


def money_cells(money: PhaseMoney) -> list[str]:
    return [
        _nodes(money),
        "unknown" if money.saving is None else _range(money.saving),
        "unknown" if money.cumulative is None else _range(money.cumulative),
        _promised(money),
        money.certainty,
    ]


def _promised(money: PhaseMoney) -> str:
    if money.certainty == "predicted":
        return "not yet"
    return "unknown" if money.promised is None else _range(money.promised)


def _named(folder: str, made: PhaseFiles) -> str:
    """Files by name; folders within the phase's by their number of files."""
    inner: dict[str, int] = {}
    for name in made.files:
        head, slash, _ = name.partition("/")
        inner[head + slash] = inner.get(head + slash, 0) + 1
    return ", ".join(
        f"`{folder}/{name}`" + (f" (files: {count})" if name.endswith("/") else "")
        for name, count in sorted(inner.items())
    )


def _saving(money: PhaseMoney | None) -> str:
    if money is None:
        return "Not computed."
    if money.saving is None:
        return "Unknown: a machine has no price."
    if money.saving.mid == 0 and money.note:
        return f"None of its own: {money.note}."
    nodes = money.nodes_before - money.nodes_after
    count = f"{abs(nodes)} node" + ("" if abs(nodes) == 1 else "s")
    if nodes:
        effect = f": {'frees' if nodes > 0 else 'adds'} {count}"
    else:
        effect = " on as many nodes" if money.saving.mid > 0 else ": frees no node"
    text = f"{_usd(money.saving)} a month{effect}"
    if money.certainty == "predicted":
        text += ", predicted; the next plan counts it"
    return f"{text}, {money.note}." if money.note else f"{text}."


def _checks(folder: str, phase: Phase, rules: str) -> list[str]:
    if not phase.checks:
        return []
    lines = [f"**Checks**, each of them 1 (their queries are in `{rules}`):", ""]
    lines += [f"- `{check.name}`: {check.says}" for check in phase.checks]
    every = f'min(rightsize:plan_check{{phase="{folder}"}})'
    return [*lines, "", f"All at once: `{every}`, expected 1, over {len(phase.checks)} series.", ""]


def _steps(steps: Sequence[Step]) -> list[str]:
    lines: list[str] = []
    for number, step in enumerate(steps, start=1):
        lines.append(f"{number}. {step.text}".rstrip())
        if step.commands:
            lines += [
                "",
                f"   ```{step.language}",
                *(f"   {command}" for command in step.commands),
                "   ```",
            ]
        lines.append("")
    return lines


def _bullets(title: str, texts: Sequence[str]) -> list[str]:
    return [f"**{title}**", "", *(f"- {text}" for text in texts), ""] if texts else []


def _closing(plan: RolloutPlan) -> list[str]:
    lines = []
    if plan.waiting:
        lines += ["## Not in this plan", ""]
        lines += [f"- {one.what}: {one.why}" for one in plan.waiting] + [""]
    if plan.ahead:
        lines += [
            "## What comes next",
            "",
            "By the growth of the mesh (`rightsize control-plane`):",
        ]
        lines += ["", *(f"- {line}" for line in plan.ahead), ""]
    return lines


def _nodes(money: PhaseMoney) -> str:
    if money.nodes_before == money.nodes_after:
        return str(money.nodes_after)
    return f"{money.nodes_before} to {money.nodes_after}"


def _usd(found: Interval) -> str:
    return f"{_range(found)} USD"


def _range(found: Interval) -> str:
    if found.low == found.high:
        return _whole(found.mid)
    return f"{_whole(found.mid)} ({_whole(found.low)} to {_whole(found.high)})"


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace("-0", "0") if abs(value) < 0.5 else f"{value:,.0f}"
