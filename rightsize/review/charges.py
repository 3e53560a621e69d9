"""A month's charges as rows that FinOps tools load."""

from __future__ import annotations

from datetime import date

import pandas as pd

from rightsize.config import Settings
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.focus import Payer, focus_rows
from rightsize.cost.showback import teams_of
from rightsize.errors import UsageError
from rightsize.review.month import Month
from rightsize.review.review import month_money
from rightsize.snapshot import Snapshot


def month_charges(
    snapshot: Snapshot, month: Month, settings: Settings
) -> tuple[pd.DataFrame, MoneyAnswer]:
    """Return a month's bill as FOCUS rows, and the money answer that they were taken from.

    Raises
    ------
    UsageError
        If the settings name no billing account, which FOCUS demands in every row.
    """
    rules = settings.review
    if rules.billing_account is None:
        raise UsageError(
            "FOCUS needs the account that is billed, and none is set",
            hint="give --billing-account, or review.billing_account in the settings",
        )
    ours = snapshot.only(month.days)
    money = month_money(ours, settings, month.end)
    teams = None
    if rules.team:
        teams = teams_of(ours.read("pods"), ours.read("namespaces"), rules.team)
    payer = Payer(rules.billing_account, rules.billing_account_name, rules.sub_account)
    return focus_rows(money, date(month.year, month.number, 1), payer, teams), money


def left_out(money: MoneyAnswer) -> list[str]:
    """What the rows lack, for the reader of the file."""
    said = []
    if money.allocation.unpriced:
        names = ", ".join(money.allocation.unpriced[:5])
        more = len(money.allocation.unpriced) - 5
        said.append(
            f"no price is known of {names}{f' and {more} more' if more > 0 else ''}: "
            "their charges have no row, and the file's total is that of the known rows alone"
        )
    unknown = [name for name in money.today.unknown if name != "EC2"]
    if unknown:
        said.append(f"of unknown cost, and without a row: {', '.join(unknown)}")
    return said
