"""What the advice of all earlier reports saved: in this month, and since it was first followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rightsize.cost.months import OWNER, MonthFacts, facts_of_json, month_facts, scaled
from rightsize.cost.realised import Realised, realised_saving
from rightsize.prices.book import PriceBook
from rightsize.results import Interval
from rightsize.review.promises import followed, promises_before
from rightsize.snapshot import Snapshot

_KEYS = list(OWNER)
_PROMISED = [*_KEYS, "asked_in"]
_CREDIT = (*_PROMISED, "applied_on", "usd")
"""What a month's report keeps of each promise."""
Promises = Mapping[str, Sequence[Mapping[str, Any]]]
"""What earlier reports recommended, by the label of their month."""


@dataclass(frozen=True)
class Credit:
    """What earlier advice saved in one month."""

    promised: pd.DataFrame
    """See `followed`."""
    realised: Realised | None
    """None without promises, without the baseline's month, or without a price."""
    baseline: str | None
    """Label of the month that savings are taken against."""

    def by_promise(self) -> pd.DataFrame:
        """`_CREDIT` of each promise: 0 USD where not in force, NaN if unknown; dates as text."""
        if self.promised.empty:
            return pd.DataFrame(columns=list(_CREDIT))
        text = dict.fromkeys(_KEYS, object)
        table = self.promised.astype(text)
        if self.realised is None:
            table = table.assign(usd=np.nan)
        else:
            table = table.merge(self.realised.by_change.astype(text), on=_KEYS, how="left")
            table = table.fillna({"usd": 0.0})
        days = [None if pd.isna(day) else str(day) for day in table["applied_on"]]
        return table.assign(applied_on=pd.Series(days, index=table.index, dtype=object))[
            list(_CREDIT)
        ]


@dataclass(frozen=True)
class Running:
    """Savings since the first month in which advice was in force."""

    since: str
    this_month: Interval | None
    """None where it cannot be known; 0 where nothing is in force any more"""
    to_date: Interval
    """Sum over the known months since, each against its baseline."""
    months: pd.DataFrame
    """`month`, `usd`; NaN where a month cannot be known"""
    promises: pd.DataFrame
    """What each promise brought so far: namespace, workload, container, `asked_in`, `applied_on`
    (the first day on which it was in force), `to_date_usd` (of the known months)"""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Months since then that are in no sum."""
        lacks = self.months[self.months["usd"].isna() & (self.months["month"] >= self.since)]
        return tuple(lacks["month"])


class Months:
    """Facts of the months that a snapshot or an earlier report holds."""

    def __init__(
        self, snapshot: Snapshot, book: PriceBook, results: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._snapshot = snapshot
        self._book = book
        self._results = results
        self._known: dict[str, MonthFacts | None] = {}

    def facts(self, label: str) -> MonthFacts | None:
        """Facts of a month, from the snapshot if it has days of it; None if nobody has them."""
        if label not in self._known:
            self._known[label] = self._read(label)
        return self._known[label]

    def _read(self, label: str) -> MonthFacts | None:
        days = [day for day in self._snapshot.days if day.strftime("%Y-%m") == label]
        if days:
            found = month_facts(self._snapshot, self._book, days=days)
            # Without a container of any day, what was requested is unknown, and not nothing.
            if found.hours and len(found.requests):
                return found
        try:
            return facts_of_json(self._results[label]["month_facts"])
        except (KeyError, TypeError, ValueError):
            return None

    def credit(self, label: str, promises: Promises) -> Credit:
        """What the advice given before a month saved in it."""
        facts = self.facts(label)
        asked = promises_before(label, promises)
        if facts is None or facts.pods.empty or not asked:
            pods = pd.DataFrame() if facts is None else facts.pods
            return Credit(followed(asked, pods)[0], None, None)
        kept, removed = followed(asked, facts.pods)
        baseline = self._baseline(label, kept, removed)
        before = None if baseline is None else self.facts(baseline)
        if before is None or not before.hours:
            return Credit(kept, None, baseline)
        same_hours = scaled(before, facts.hours / before.hours)
        found = realised_saving(same_hours, facts, (), removed=removed)
        return Credit(kept, found, baseline)

    def _baseline(self, label: str, kept: pd.DataFrame, removed: pd.DataFrame) -> str | None:
        """The month in which the oldest advice that is in force was given.

        It stays the same as long as that advice is followed, so that a saving does not end with the
        month after the change. Where nothing is followed, the newest earlier report.
        """
        asked = kept if removed.empty else kept.merge(removed[_KEYS], on=_KEYS)
        months = sorted(asked["asked_in"]) if len(removed) else sorted(asked["asked_in"])[::-1]
        return next((month for month in months if self.facts(month) is not None), None)

    def running(self, label: str, promises: Promises) -> Running | None:
        """Savings of every month since advice was first in force, up to `label`.

        None while nothing has been saved. Money that was saved stays in the sum after a change has
        been undone or its workload is gone.
        """
        first = min(promises, default=None)
        if first is None:
            return None
        found = [(month, *self._credited(month, promises)) for month in _labels(first, label)[1:]]
        # A saving that may have been, but was not seen, is no start.
        since = next((month for month, usd, _ in found if usd is not None and usd.mid != 0), None)
        if since is None:
            return None
        known = [usd for month, usd, _ in found if usd is not None and month >= since]
        ends = ([getattr(one, end) for one in known] for end in ("low", "mid", "high"))
        table = pd.DataFrame(
            [(month, np.nan if usd is None else usd.mid) for month, usd, _ in found],
            columns=["month", "usd"],
        )
        lives = _lives([rows for _, _, rows in found if len(rows)])
        return Running(since, found[-1][1], Interval(*map(sum, ends)), table, lives)

    def _credited(self, label: str, promises: Promises) -> tuple[Interval | None, pd.DataFrame]:
        """A month's saving and that of each promise: from the snapshot where it has the month, else
        what its report said."""
        facts = self.facts(label)
        if facts is not None and not facts.pods.empty:
            credit = self.credit(label, promises)
            found = credit.realised
            return None if found is None else found.by_tool, credit.by_promise()
        report = self._results.get(label, {})
        return _interval(report.get("realised")), _credits(report.get("credits"))


def _interval(said: Any) -> Interval | None:
    try:
        return Interval(float(said["low"]), float(said["mid"]), float(said["high"]))
    except (KeyError, TypeError, ValueError):
        return None


def _credits(said: Any) -> pd.DataFrame:
    """`Credit.by_promise` as a report kept it; empty where it is something else."""
    try:
        rows = [{name: row[name] for name in _CREDIT} for row in said]
        table = pd.DataFrame(rows, columns=list(_CREDIT))
        return table.assign(usd=pd.to_numeric(table["usd"]).astype(float))
    except (KeyError, TypeError, ValueError):
        return pd.DataFrame(columns=list(_CREDIT))


def _lives(months: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Credits of several months, by promise: first day in force, and the sum of the known months."""
    if not months:
        return pd.DataFrame(columns=[*_PROMISED, "applied_on", "to_date_usd"])
    table = pd.concat(months, ignore_index=True)
    groups = table.groupby(_PROMISED, sort=True)
    return groups.agg(
        applied_on=("applied_on", lambda days: min((d for d in days if d), default=None)),
        to_date_usd=("usd", "sum"),
    ).reset_index()


def _labels(first: str, last: str) -> list[str]:
    """Months from `first` to `last`, both included."""
    return [str(one) for one in pd.period_range(first, last, freq="M")]
