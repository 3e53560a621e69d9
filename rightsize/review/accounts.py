"""What a finance reader asks beside the bill: teams, unit costs, what changed, what comes, the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from rightsize.config import ReviewSettings
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.machines import bought, days_of, machine_days
from rightsize.cost.plan import MACHINE_LINES
from rightsize.cost.showback import NO_TEAM, showback, teams_of
from rightsize.cost.unit_cost import unit_costs, with_trend
from rightsize.results import Interval
from rightsize.review.changes import changes_of
from rightsize.review.forecast import Forecast, forecast
from rightsize.snapshot import Snapshot

if TYPE_CHECKING:
    from rightsize.review.month import Month


@dataclass(frozen=True)
class Budget:
    """A month's budget and what came of it, USD."""

    usd: float
    spent: Interval | None
    """The known lines of the bill of the days seen; None where a machine's price is unknown."""
    allowed: float
    """The budget's part of these days."""
    unknown: tuple[str, ...] = ()
    """Lines of the bill that are in no sum."""

    @property
    def kept(self) -> bool | None:
        """By the known lines; None where these are not known."""
        return None if self.spent is None else self.spent.mid <= self.allowed

    @property
    def sure(self) -> bool:
        """Whether both ends of the bill's range say the same."""
        return self.spent is not None and not self.spent.low <= self.allowed < self.spent.high


@dataclass(frozen=True)
class Accounts:
    """Frames of the month; money in USD, NaN is unknown."""

    teams: pd.DataFrame | None
    """As `showback` gives; None where the settings name no rule for teams."""
    owners: Mapping[tuple[str, str], str]
    """Team by namespace and workload, where one is known."""
    unit_costs: pd.DataFrame
    """As `with_trend` gives."""
    changes: pd.DataFrame
    """As `changes_of` gives: USD a day, the largest change first."""
    forecast: Forecast | None
    budget: Budget | None


def accounts_of(
    past: Snapshot,
    month: Month,
    money: MoneyAnswer,
    before: MoneyAnswer | None,
    settings: ReviewSettings,
) -> Accounts:
    """Put the month's accounts together.

    Parameters
    ----------
    past : Snapshot
        All days up to the month's end.
    money, before : MoneyAnswer
        The bill of the month and of the month before (None where the snapshot lacks it), each for
        the hours that its days cover.
    """
    ours = past.only(month.days)
    teams, owners = None, {}
    if settings.team:
        found = teams_of(ours.read("pods"), ours.read("namespaces"), settings.team)
        teams = showback(money.allocation.rows, found, settings.spread)
        keys = zip(found["namespace"].astype(str), found["workload"].astype(str), strict=True)
        owners = {
            key: str(team) for key, team in zip(keys, found["team"], strict=True) if team != NO_TEAM
        }
    now = _unit_costs(past, money)
    old = None if before is None else _unit_costs(past, before)
    budget = None
    if settings.budget_usd_per_month is not None:
        whole = month.length * 24.0
        budget = Budget(
            settings.budget_usd_per_month,
            money.today.total if money.allocation.complete else None,
            settings.budget_usd_per_month * money.covered_hours / whole,
            tuple(money.today.unknown),
        )
    return Accounts(
        teams,
        owners,
        with_trend(now, old),
        changes_of(money, before),
        forecast(daily_bill(past, money), money.today.total),
        budget,
    )


def _unit_costs(past: Snapshot, money: MoneyAnswer) -> pd.DataFrame:
    """What a million requests cost, by the days that the money is about."""
    days = sorted(days_of(money.machines))
    return unit_costs(money.allocation.rows, past.read("traffic", days=days))


def daily_bill(past: Snapshot, money: MoneyAnswer) -> pd.Series:
    """The bill of each day that is over: what was paid for machines, at their day's price and by
    node-hour of volumes, and a day of the rest."""
    if not money.covered_hours:
        return pd.Series(dtype=float)
    paid = {
        kind: sum(one.usd.mid for one in money.today.lines if one.kind == kind and one.usd)
        for kind in MACHINE_LINES
    }
    ran = bought(money.machines)
    listed = float((ran["usd_per_hour"] * ran["hours"]).sum())
    machines = bought(machine_days(past.read("nodes"), money.terms.book))
    usd = machines["usd_per_hour"] * machines["hours"] * (paid["ec2"] / listed if listed else 1.0)
    if len(ran):
        usd += machines["hours"] * paid["ebs"] / float(ran["hours"].sum())
    sums = usd.groupby(pd.to_datetime(machines["day"]).dt.date).sum(min_count=1, skipna=False)
    apart = money.allocation.rows[money.allocation.rows["part"].isin(["shared", "unused"])]
    rest = float(apart["usd"].sum(skipna=False)) / money.covered_hours * 24
    records = past.manifest.days
    over = [day for day in sums.index if day in records and records[day].complete]
    found: pd.Series = sums.loc[over] + rest
    return found
