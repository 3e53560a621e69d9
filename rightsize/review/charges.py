"""A month's money: what it cost, its charges as rows for FinOps tools, and the bill that finance has."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import pandas as pd

from rightsize.collectors.billing.read import read_bill
from rightsize.config import Settings
from rightsize.cost.against_bill import AgainstBill, against_bill
from rightsize.cost.answer import MoneyAnswer, price_answer
from rightsize.cost.focus import Payer, focus_rows
from rightsize.cost.machines import billed_nodes, covered_hours, days_of
from rightsize.cost.showback import teams_of
from rightsize.errors import NoDataError, UsageError
from rightsize.review.month import Month
from rightsize.snapshot import Snapshot

if TYPE_CHECKING:
    from rightsize.collectors.aws.session import AwsSession


def month_money(snapshot: Snapshot, settings: Settings, at: datetime) -> MoneyAnswer:
    """The bill for the hours that the snapshot's days cover, nothing added; ages of prices count to `at`."""
    hours = covered_hours(snapshot, billed_nodes(snapshot)) or _hours(snapshot)
    prices = settings.prices.model_copy(update={"hours_per_month": hours})
    return price_answer(snapshot, None, prices, at=at)


def _hours(snapshot: Snapshot) -> float:
    records = snapshot.manifest.days.values()
    return sum((one.end - one.start).total_seconds() / 3600 for one in records)


def month_charges(
    snapshot: Snapshot, month: Month, settings: Settings
) -> tuple[pd.DataFrame, MoneyAnswer]:
    """Return a month's bill as FOCUS rows, and the money answer that they were taken from.

    Raises
    ------
    UsageError
        If the settings name no billing account, which FOCUS demands in every row.
    NoDataError
        If no machine was seen: a file without rows would say that nothing was charged.
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
    if not money.covered_hours:
        raise NoDataError(
            f"no node was seen in {month.label}, so its charges are unknown",
            hint="collect the month with kube-state-metrics' nodes, or choose another with --month",
        )
    payer = Payer(rules.billing_account, rules.billing_account_name, rules.sub_account)
    return focus_rows(money, date(month.year, month.number, 1), payer, teams), money


def month_against(
    place: str, snapshot: Snapshot, month: Month, settings: Settings, money: MoneyAnswer
) -> AgainstBill:
    """Read a cost export of the month and hold the bill's estimate against it.

    Parameters
    ----------
    place : str
        A file, a folder, or `s3://bucket/prefix`.
    money : MoneyAnswer
        The month's estimate, for the hours that its days cover.

    Raises
    ------
    InputFileError, NoDataError, UsageError, AwsError
        See `rightsize.collectors.billing.read.read_bill`.
    """

    def session() -> AwsSession:
        from rightsize.collectors.aws.session import AwsSession

        return AwsSession(money.region, max_attempts=settings.prices.max_attempts)

    bill = read_bill(
        place,
        [day for day in month.days if day in days_of(money.machines)] or month.days,
        cluster=snapshot.manifest.cluster,
        instances=set(money.machines["instance_id"].dropna()),
        session=session,
    )
    return against_bill(
        money,
        bill.rows,
        bill.pods,
        bill.rest,
        source=bill.source,
        rates=settings.review.currencies,
        twice=bill.twice,
        named=bill.named,
    )


def left_out(money: MoneyAnswer, month: Month) -> list[str]:
    """What the rows lack, for the reader of the file."""
    said = []
    covered = len(days_of(money.machines))
    if covered < month.length:
        said.append(f"{covered} of {month.length} days of {month.label} have rows")
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
