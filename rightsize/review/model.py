"""What a month's review holds: every figure of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from rightsize.config import CurrencyRate
from rightsize.cost.against_bill import AgainstBill
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.levers.lever import Lever
from rightsize.cost.months import MonthFacts
from rightsize.cost.plan import PlanCost, Terms
from rightsize.cost.realised import Realised
from rightsize.cost.saving import Saving
from rightsize.dns.study import DnsStudy
from rightsize.istiod.thresholds import Outlook
from rightsize.nodes.answer import MonthAnswer, NodeAnswer
from rightsize.nodes.plan import NodePlans
from rightsize.results import Advice, Interval
from rightsize.review.accounts import Accounts
from rightsize.review.month import Month
from rightsize.review.savings import Running
from rightsize.sizing.backtest import Backtest


@dataclass(frozen=True)
class StripMonth:
    """One month in a line; None is unknown. Money is for the hours of the month that are there."""

    month: str
    hours: float | None = None
    bill_usd: float | None = None
    mesh_usd: float | None = None
    nodes: float | None = None
    """mean number of nodes"""
    requests: float | None = None
    """requests that the mesh served"""
    promised_usd: float | None = None
    """saving available, for a month of 730 hours"""
    realised_usd: float | None = None
    cumulative_usd: float | None = None
    """realised since advice was first in force"""

    @property
    def usd_per_day(self) -> float | None:
        """The bill by day: months are not equally long."""
        return self._ratio(self.bill_usd, None if self.hours is None else self.hours / 24)

    @property
    def mesh_share(self) -> float | None:
        return self._ratio(self.mesh_usd, self.bill_usd)

    @property
    def usd_per_million(self) -> float | None:
        """What the mesh costs by million requests."""
        return self._ratio(self.mesh_usd, None if self.requests is None else self.requests / 1e6)

    @staticmethod
    def _ratio(part: float | None, whole: float | None) -> float | None:
        return None if part is None or not whole else part / whole


StepKind = Literal["today", "packed", "this-step", "end-state", "mix"]
STEP_LABELS: Mapping[StepKind, str] = {
    "today": "today",
    "packed": "today's requests, packed",
    "this-step": "this step's requests",
    "end-state": "end-state requests",
    "mix": "cheapest mix",
}


@dataclass(frozen=True)
class Step:
    """One stage on the way from today's node set to the end state, for a month of 730 hours."""

    kind: StepKind
    label: str
    cost: PlanCost
    nodes: int


@dataclass(frozen=True)
class Review:
    """A month of one cluster.

    The bill, its causes and what was realised are in USD for the hours that the month's days cover
    (`money.covered_hours`); plans and savings to come are for a month of `plan_terms.hours`.
    """

    month: Month
    cluster: str
    simulated: bool
    advice: Advice
    money: MoneyAnswer
    """Bill and allocation of the month's days, each at its prices."""
    money_before: MoneyAnswer | None
    """The same of the month before; None where the snapshot does not hold it."""
    plan_terms: Terms
    plans: NodeAnswer | None
    end_plans: NodePlans | None
    """Plans with every request at its end state."""
    steps: tuple[Step, ...]
    available: Saving | None
    """This step's requests, from today's node set to the promised one of the same type, as far as the
    autoscaler in use takes the nodes away."""
    planned: int | None
    """Nodes that the promised node set does without."""
    end_state: Saving | None
    promised: pd.DataFrame
    """Earlier recommendations with what became of them; empty on a first report."""
    lowered: pd.DataFrame
    """Mesh containers with requests in force that fell since the month before."""
    realised: Realised | None
    """None without a month before, or without prices."""
    baseline: str | None
    """Label of the month that `realised` is taken against."""
    running: Running | None
    """Savings since advice was first in force; None while there are none."""
    earlier: str | None
    """Label of the newest month with a report that promised; None for a first report."""
    strip: tuple[StripMonth, ...]
    """Up to thirteen months, this one last."""
    facts: MonthFacts
    """What later months compare with."""
    facts_before: MonthFacts | None
    """The same of the month before; None where nobody has them."""
    incidents: pd.DataFrame
    risk: pd.DataFrame
    """Windows of the month above the sizes, in force and recommended."""
    packed: tuple[pd.DataFrame, pd.DataFrame]
    """How full each node is, now and with this step's requests."""
    nodes_by_day: pd.DataFrame
    node_groups: pd.DataFrame
    """The month's machines by node group and purchase type."""
    replay: MonthAnswer | None
    """The month's pods hour by hour, with today's and the recommended requests."""
    backtest: Backtest | None
    """Policies out of sample; None while history is shorter than one fold."""
    workloads: int
    """Mesh workloads of the snapshot, of which the back-test may take a sample."""
    outlook: Outlook | None
    dns: DnsStudy
    quality: pd.DataFrame
    against: AgainstBill | None
    """The estimate held against the bill of `review.bill`; None where the settings name none."""
    accounts: Accounts
    """Teams, unit costs, what changed, what comes, the budget."""
    currencies: Mapping[str, CurrencyRate]
    """Rates of the settings, by the code of the currency."""
    levers: tuple[Lever, ...]
    """What else would lower the bill, with this step's requests."""

    @property
    def fargate_saving(self) -> Interval | None:
        """What this step's requests save of Fargate's charges; None where nothing runs there."""
        return fargate_saving(self.levers)


def fargate_saving(levers: Sequence[Lever]) -> Interval | None:
    """What of the levers is in sizes of Fargate, USD a month."""
    return next((one.usd for one in levers if one.kind == "fargate"), None)
