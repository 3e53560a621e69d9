"""Everything AWS can add to a snapshot, each source on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from rightsize.collectors.aws import commitments as held
from rightsize.collectors.aws.bill import fetch_bill
from rightsize.collectors.aws.cache import Answer, Cache
from rightsize.collectors.aws.calls import (
    COST,
    COVERAGE,
    INSTANCE_TYPES,
    PLAN_RATES,
    PRODUCTS,
    SPOT_HISTORY,
    Call,
)
from rightsize.collectors.aws.instance_types import fetch_instance_types
from rightsize.collectors.aws.instances import (
    fetch_instances,
    fetch_support,
    with_root_volumes,
)
from rightsize.collectors.aws.plan_rates import fetch_plan_rates
from rightsize.collectors.aws.prices import fetch_on_demand_prices
from rightsize.collectors.aws.scaling import fetch_scaling_events
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.spot import fetch_spot_prices
from rightsize.config import PriceSettings
from rightsize.errors import (
    AmbiguousPriceError,
    AwsCredentialsError,
    AwsError,
    AwsExpiredError,
    AwsUnreachableError,
    NoDataError,
    RightsizeError,
)
from rightsize.snapshot import Missing, frame

_SPOT_AGE = timedelta(hours=1)
_BILL_AGE = timedelta(hours=24)
"""Cost Explorer lags a day, and each question costs USD 0.01."""

AWS_MARK = "AWS"
"""How every gap that this package reports begins."""

_ENOUGH_UNREACHABLE = 2

_FATAL = (AwsCredentialsError, AwsExpiredError, AmbiguousPriceError)


@dataclass(frozen=True, slots=True)
class Asked:
    """One source that answered."""

    source: str
    rows: int
    fetched_at: datetime
    stored: bool
    """True if the answer comes from the disk."""

    @property
    def age(self) -> timedelta:
        return datetime.now(UTC) - self.fetched_at


@dataclass(frozen=True)
class AwsFacts:
    """What AWS reported, as tables of the snapshot; a table that nobody could fill is absent."""

    region: str
    tables: Mapping[str, pd.DataFrame]
    asked: tuple[Asked, ...]
    missing: tuple[Missing, ...]
    eks_support: str | None = None
    """`standard` or `extended`; None if not asked or not known."""


@dataclass(frozen=True, slots=True)
class Month:
    """A billing period: first day, and the day after the last."""

    start: date
    end: date

    @classmethod
    def before(cls, today: date) -> Month:
        """Return the last whole month before `today`."""
        end = today.replace(day=1)
        return cls((end - timedelta(days=1)).replace(day=1), end)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask AWS for, besides prices and commitments."""

    cluster: str | None = None
    """EKS cluster of the machines, scaling events and support asked for."""
    spot_days: float = 0
    """Days of Spot history for the range of prices; 0 asks for current prices alone."""
    bill: Month | None = None
    """Month of the bill and coverage asked of Cost Explorer, which charges each request."""
    bill_by_tag: bool = False
    """Take from the bill only what carries the cluster's cost-allocation tag."""


def ask_aws(
    session: AwsSession,
    wanted: Wanted,
    *,
    settings: PriceSettings | None = None,
    cache: Cache | None = None,
) -> AwsFacts:
    """Ask every source; what fails is listed as missing, with what it costs the answer.

    Raises
    ------
    AwsCredentialsError, AwsExpiredError
        If the credentials do not hold: then no source would answer.
    AmbiguousPriceError
        If a price is not certain.
    AwsError
        The first failure, if no source at all gave an answer.
    """
    collector = _Collector(session, settings or PriceSettings(), cache or Cache())
    collector.account = session.account()
    collector.ask_prices(wanted.spot_days)
    collector.ask_commitments(wanted.bill)
    if wanted.cluster is not None:
        collector.ask_cluster(wanted.cluster)
    if wanted.bill is not None:
        collector.ask_bill(wanted.bill, wanted.cluster if wanted.bill_by_tag else None)
    return collector.facts()


class _Collector:
    """Asks the sources one by one and gathers answers and failures."""

    def __init__(self, session: AwsSession, settings: PriceSettings, cache: Cache) -> None:
        self.session, self.settings, self.cache = session, settings, cache
        self.account: str | None = None
        self._parts: dict[str, list[pd.DataFrame]] = {}
        self._asked: list[Asked] = []
        self._missing: list[Missing] = []
        self._failures: list[RightsizeError] = []
        self._support: str | None = None

    def ask_prices(self, spot_days: float) -> None:
        """Shapes, on-demand, Spot and Savings Plans prices: public, so kept on disk."""
        session, settings = self.session, self.settings
        day = timedelta(hours=settings.cache_hours)
        self._public(
            "instance types",
            "shapes of nodes come from the bundled catalogue",
            "instance_types",
            INSTANCE_TYPES,
            day,
            lambda: fetch_instance_types(session),
        )
        rate = settings.usd_per_cny
        self._public(
            "on-demand prices",
            "on-demand prices come from the bundled catalogue, with their older date; "
            "a type that it lacks has no price",
            "prices",
            PRODUCTS,
            day,
            lambda: fetch_on_demand_prices(session, usd_per_cny=rate),
            str(rate),
        )
        self._public(
            "Spot prices",
            "Spot nodes have no price, and plans cannot use Spot",
            "prices",
            SPOT_HISTORY,
            min(_SPOT_AGE, day),
            lambda: fetch_spot_prices(session, days=spot_days, usd_per_cny=rate),
            f"{spot_days} {rate}",
        )
        self._public(
            "Savings Plans rates",
            "what a Savings Plan covers is reckoned with prices.commitment_discount, "
            "or not at all without it",
            "prices",
            PLAN_RATES,
            day,
            lambda: fetch_plan_rates(session, plan=settings.savings_plan),
            settings.savings_plan,
        )

    def ask_commitments(self, bill: Month | None) -> None:
        """Savings Plans and reservations held, or the setting in their place."""
        session, stated = self.session, self.settings.commitment_usd_per_hour
        if stated is not None:
            discount = self.settings.commitment_discount
            self._add("commitments", held.commitment_of_settings(stated, discount))
            return
        costs = "commitments are unknown: savings are on-demand equivalent, never realisable"
        plans = self._try(
            "Savings Plans held", costs, lambda: _now(held.fetch_savings_plans(session))
        )
        reserved = self._try(
            "reserved instances", costs, lambda: _now(held.fetch_reserved_instances(session))
        )
        for answer in (plans, reserved):
            if answer is not None and not answer.table.empty:
                self._add("commitments", answer.table)
        if plans is None or reserved is None:
            self._add("commitments", held.commitment_mark("unknown", "AWS did not report it"))
        elif plans.table.empty and reserved.table.empty:
            self._add("commitments", held.commitment_mark("none", "AWS, asked for both kinds"))
        if bill is not None:
            self._private(
                "Savings Plans coverage",
                "how much of the account's EC2 is covered is not known",
                "commitments",
                COVERAGE,
                bill,
                lambda: held.fetch_coverage(session, bill.start, bill.end),
            )

    def ask_cluster(self, cluster: str) -> None:
        """The cluster's machines, scaling events and support."""
        session = self.session
        machines = self._try(
            "the cluster's instances",
            "purchase types come from node labels alone",
            lambda: _now(fetch_instances(session, cluster)),
        )
        if machines is not None:
            known = self._try(
                "root volumes",
                f"root volumes are reckoned with {self.settings.root_volume_gib:g} GiB a node",
                lambda: _now(with_root_volumes(session, machines.table)),
            )
            self._add("instances", (known or machines).table)
        events = self._try(
            "Auto Scaling activity",
            "scaling events of the past are known from node lifetimes alone",
            lambda: _now(fetch_scaling_events(session, cluster)),
        )
        if events is not None:
            self._add("scaling_events", events.table)
        self._try(
            "EKS support of the cluster's version",
            "the control plane is priced for standard support; extended support costs more",
            lambda: self._note_support(fetch_support(session, cluster)),
        )

    def ask_bill(self, bill: Month, cluster: str | None) -> None:
        """The month's bill; kept on disk by account, as each request is charged."""
        self._private(
            "the month's bill",
            "figures cannot be held against what AWS charged",
            "bill",
            COST,
            bill,
            lambda: fetch_bill(self.session, bill.start, bill.end, cluster=cluster),
            cluster or "",
        )

    def facts(self) -> AwsFacts:
        if not self._asked and self._failures:
            raise self._failures[0]
        tables = {
            name: frame(name, pd.concat(parts, ignore_index=True))
            for name, parts in self._parts.items()
        }
        return AwsFacts(
            self.session.region,
            tables,
            tuple(self._asked),
            tuple(self._missing),
            self._support,
        )

    def _public(
        self,
        source: str,
        costs: str,
        table: str,
        call: Call,
        max_age: timedelta,
        fetch: Callable[[], pd.DataFrame],
        detail: str = "",
    ) -> None:
        def stored() -> Answer:
            key = [call.operation, self.session.endpoint(call), self.session.region, detail]
            return self.cache.get(table, key, fetch, max_age=max_age)

        answer = self._try(source, costs, stored)
        if answer is not None:
            self._add(table, answer.table)

    def _private(
        self,
        source: str,
        costs: str,
        table: str,
        call: Call,
        month: Month,
        fetch: Callable[[], pd.DataFrame],
        detail: str = "",
    ) -> None:
        def stored() -> Answer:
            if self.account is None:
                return _now(fetch())
            place = [call.operation, self.session.endpoint(call), self.session.region]
            key = [*place, self.account, month.start.isoformat(), month.end.isoformat(), detail]
            return self.cache.get(table, key, fetch, max_age=_BILL_AGE)

        answer = self._try(source, costs, stored)
        if answer is not None:
            self._add(table, answer.table)

    def _try(self, source: str, costs: str, ask: Callable[[], Answer]) -> Answer | None:
        try:
            answer = ask()
        except _FATAL:
            raise
        except (AwsError, NoDataError) as error:
            self._failures.append(error)
            if not self._asked and self._is_cut_off():
                raise
            self._missing.append(Missing(f"{AWS_MARK}, {source}: {error.what}", costs))
            return None
        self._asked.append(Asked(source, len(answer.table), answer.fetched_at, answer.stored))
        return answer

    def _is_cut_off(self) -> bool:
        """Whether so many services cannot be reached that the others are not worth waiting for."""
        lost = [isinstance(error, AwsUnreachableError) for error in self._failures]
        return all(lost) and len(lost) >= _ENOUGH_UNREACHABLE

    def _note_support(self, support: str) -> Answer:
        self._support = support
        return _now(pd.DataFrame({"support": [support]}))

    def _add(self, table: str, rows: pd.DataFrame) -> None:
        self._parts.setdefault(table, []).append(rows)


def _now(table: pd.DataFrame) -> Answer:
    return Answer(table, datetime.now(UTC), False)
