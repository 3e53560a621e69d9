"""The plan on a terminal."""

from __future__ import annotations

from rich.table import Table

from rightsize.rollout.markdown import money_cells
from rightsize.rollout.model import RolloutPlan


def plan_table(plan: RolloutPlan) -> Table:
    """Phases in order with their money; steps are in the page."""
    simulated = ", simulated" if plan.simulated else ""
    table = Table(title=f"Rollout plan for {plan.cluster}{simulated}", title_justify="left")
    for header in ("phase", "what"):
        table.add_column(header, overflow="fold")
    for header in ("nodes", "saves USD/month", "together", "promised"):
        table.add_column(header, justify="right")
    table.add_column("basis")
    table.add_column("checks", justify="right")
    for phase in plan.phases:
        cells = (
            ["not computed", "", "", "", ""] if phase.money is None else money_cells(phase.money)
        )
        table.add_row(plan.folder(phase), phase.title, *cells, str(len(phase.checks)))
    return table
