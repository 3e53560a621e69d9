"""What the advice of all earlier reports saved: in this month, and since it was first followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rightsize.cost.months import OWNER, MonthFacts, facts_of_json, month_facts, scaled
from rightsize.cost.realised import Realised, realised_saving
from rightsize.prices.book import PriceBook
from rightsize.results import Interval
from rightsize.review.promises import followed, promises_before
from rightsize.snapshot import Snapshot

_KEYS = list(OWNER)
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


@dataclass(frozen=True)
class Running:
    """Savings since the first month in which advice was in force."""

    since: str
    this_month: Interval
    to_date: Interval
    """Sum over the months since, each against its baseline."""
    months: pd.DataFrame
    """`month`, `usd`; NaN where a month cannot be known"""


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
            if found.hours:
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
        """Savings of every month since advice was first in force, up to `label`."""
        first = min(promises, default=None)
        if first is None:
            return None
        rows: list[tuple[str, Interval | None]] = []
        for month in _labels(first, label)[1:]:
            rows.append((month, self._credited(month, promises)))
        # A saving that may have been, but was not seen, is no start.
        counted = [row for row in rows if row[1] is None or row[1].mid != 0]
        known = [usd for _, usd in counted if usd is not None]
        if not known or counted[-1][0] != label or counted[-1][1] is None:
            return None
        total = Interval(
            *(sum(getattr(one, end) for one in known) for end in ("low", "mid", "high"))
        )
        table = pd.DataFrame(
            [(month, float("nan") if usd is None else usd.mid) for month, usd in rows],
            columns=["month", "usd"],
        )
        since = next(month for month, usd in counted if usd is not None)
        return Running(since, counted[-1][1], total, table)

    def _credited(self, label: str, promises: Promises) -> Interval | None:
        """From the snapshot where it has the month, else what its report said."""
        facts = self.facts(label)
        if facts is not None and not facts.pods.empty:
            found = self.credit(label, promises).realised
            return None if found is None else found.by_tool
        said: Any = self._results.get(label, {}).get("realised")
        try:
            return Interval(float(said["low"]), float(said["mid"]), float(said["high"]))
        except (KeyError, TypeError, ValueError):
            return None


def _labels(first: str, last: str) -> list[str]:
    """Months from `first` to `last`, both included."""
    return [str(one) for one in pd.period_range(first, last, freq="M")]
