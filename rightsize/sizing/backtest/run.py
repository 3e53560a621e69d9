"""The back-test: each policy, on each stretch of each workload's history it had not seen.

```
workloads ─▶ folds (walk.py) ─▶ policy.size(past) ─▶ score(sizes, future) ─▶ one row each
```

Workloads pass one by one, so memory is bounded by the largest batch that the source reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from rightsize.errors import NoDataError
from rightsize.results import Sizes
from rightsize.sizing.backtest.score import Rates, score, usd_per_hour
from rightsize.sizing.backtest.walk import Split, Walk
from rightsize.sizing.policies import ArrayPolicy, History, Sizing, SizingPolicy
from rightsize.sizing.policies.daily import Daily, DailyPolicy

KEY = ["namespace", "workload", "container"]
TODAY = "today"
"""Name under which what is in force is scored as a policy."""

_SIZES = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_MEASURES = [
    "cpu_slack", "cpu_above", "throttled", "memory_slack", "memory_limit_slack", "memory_above",
    "memory_hit", "cpu_change", "memory_change", "usd_per_hour", "abstention_usd_per_hour",
    "abstained_cpu", "abstained_memory",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workload:
    """One container of one workload, and what is in force for it (None: not known)."""

    namespace: str
    workload: str
    container: str
    history: History
    in_force: Sizes | None = None


@dataclass(frozen=True)
class Backtest:
    """What every policy would have done.

    Attributes
    ----------
    windows : DataFrame
        One row for each workload, fold and policy: `namespace`, `workload`, `container`, `policy`,
        `start` and `end` of the scored stretch (UTC), the sizes (cores, bytes), the fields of
        `Score`, `cpu_change` and `memory_change` (relative change of the request since the fold
        before), `usd_per_hour`, what of it is due to keeping today's size where the policy
        abstains (`abstention_usd_per_hour`), `abstained_cpu` and `abstained_memory`.
    split : str
        How history was cut.
    left_out : int
        Workloads with a history too short for one fold.
    """

    windows: pd.DataFrame
    split: str
    left_out: int

    @property
    def workloads(self) -> pd.DataFrame:
        """Means over the folds, one row for each workload and policy."""
        means: pd.DataFrame = self.windows.groupby([*KEY, "policy"], sort=False, observed=True)[
            _MEASURES
        ].mean()
        return means.reset_index()

    @property
    def totals(self) -> pd.DataFrame:
        """One row for each policy: means over workloads, every workload alike; USD are summed.

        `usd_per_hour` is NaN where the cost of any workload is not known. `abstentions` counts
        workload-folds in which the policy would not predict, of `folds`.
        """
        each = self.workloads
        groups = each.groupby("policy", sort=False)
        totals = groups[_MEASURES].mean()
        for name in ("usd_per_hour", "abstention_usd_per_hour"):
            totals[name] = groups[name].agg(lambda usd: usd.sum(skipna=False))
        folds = self.windows.groupby("policy", sort=False)
        totals["workloads"] = groups.size()
        totals["folds"] = folds.size()
        totals["abstentions"] = folds[["abstained_cpu", "abstained_memory"]].sum().sum(axis=1)
        return totals.drop(columns=["abstained_cpu", "abstained_memory"]).reset_index()


def backtest(
    usage: pd.DataFrame,
    policies: Mapping[str, SizingPolicy],
    *,
    split: Split | None = None,
    rates: Rates | None = None,
) -> Backtest:
    """Back-test policies on a frame of usage.

    Parameters
    ----------
    usage : DataFrame
        `namespace`, `workload`, `container`, `pod`, `time` (datetime64), `cpu` (cores), `memory`
        (bytes) and, if known, the sizes in force `cpu_request`, `cpu_limit`, `memory_request` and
        `memory_limit`, of which the last row of a workload counts. Order does not matter.
    policies : mapping of str to SizingPolicy
        Names to unfitted policies.
    split : Walk or HalfSplit, optional
        14 days, then 7 by default.
    rates : Rates, optional
        Without, USD are unknown.

    Raises
    ------
    NoDataError
        If no workload has history enough for one fold.
    """
    return backtest_workloads(workloads_of(usage), policies, split=split, rates=rates)


def backtest_workloads(
    workloads: Iterable[Workload],
    policies: Mapping[str, SizingPolicy],
    *,
    split: Split | None = None,
    rates: Rates | None = None,
    progress: Callable[[str], None] | None = None,
) -> Backtest:
    """Back-test policies on workloads as they come; see `backtest`.

    A policy that abstains keeps the larger of what is in force and its own answer. Where sizes
    are in force, they are scored too, as policy `today`.
    """
    cut = split or Walk()
    money = rates or Rates()
    rows: list[dict[str, object]] = []
    left_out = 0
    for workload in workloads:
        before = len(rows)
        rows.extend(_rows(workload, policies, cut, money))
        left_out += len(rows) == before
        if progress is not None:
            progress(workload.workload)
    if not rows:
        raise NoDataError(
            f"no workload has history enough for one fold ({cut})",
            hint="give fewer days to train and to test",
        )
    frame = pd.DataFrame(rows)
    for name in ("start", "end"):
        frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
    return Backtest(frame, str(cut), left_out)


def workloads_of(usage: pd.DataFrame) -> Iterator[Workload]:
    """Cut a frame into its workloads."""
    code = usage.groupby(KEY, sort=True, observed=True, dropna=False).ngroup().to_numpy()
    order = np.argsort(code, kind="stable")
    edges = np.flatnonzero(np.diff(code[order], prepend=-1, append=code.max(initial=-1) + 1))
    for begin, end in pairwise(edges):
        part = usage.iloc[order[begin:end]]
        namespace, workload, container = (str(part[name].iloc[0]) for name in KEY)
        yield Workload(namespace, workload, container, History.of(part), _in_force(part))


def own_answers(policies: Mapping[str, SizingPolicy], history: History) -> dict[str, Sizing]:
    """What each policy says of itself, also where it abstains."""
    found: dict[str, Sizing] = {}
    daily = None
    for name, policy in policies.items():
        if isinstance(policy, DailyPolicy):
            # Summed up once for all of them.
            daily = Daily.of(history) if daily is None else daily
            found[name] = policy.size_daily(daily)
        elif isinstance(policy, ArrayPolicy):
            found[name] = policy.size(history)
        else:
            fitted = policy.fit(_frame(history))
            found[name] = Sizing(fitted.sizes_, fitted.rules_, fitted.abstained_)
    return found


def kept_answer(sizing: Sizing, in_force: Sizes | None) -> Sizing:
    """Where the policy abstains, the larger of its sizes and those in force; else its sizes."""
    if in_force is None or not sizing.abstained:
        return sizing
    own, today = sizing.sizes, in_force
    cpu, memory = "cpu" in sizing.abstained, "memory" in sizing.abstained
    kept = Sizes(
        _larger(own.cpu_request, today.cpu_request) if cpu else own.cpu_request,
        _larger(own.cpu_limit, today.cpu_limit) if cpu else own.cpu_limit,
        _larger(own.memory_request, today.memory_request) if memory else own.memory_request,
        _larger(own.memory_limit, today.memory_limit) if memory else own.memory_limit,
    )
    return Sizing(kept, sizing.rules, sizing.abstained)


def _rows(
    workload: Workload, policies: Mapping[str, SizingPolicy], split: Split, rates: Rates
) -> Iterator[dict[str, object]]:
    last: dict[str, Sizes] = {}
    for past, future in split.folds(workload.history):
        own = own_answers(policies, past)
        answers = {name: kept_answer(sizing, workload.in_force) for name, sizing in own.items()}
        if workload.in_force is not None:
            answers[TODAY] = Sizing(workload.in_force, {})
        for name, sizing in answers.items():
            scored = score(sizing.sizes, future)
            without = own.get(name, sizing).sizes
            usd = usd_per_hour(sizing.sizes, scored.pods, rates)
            before = last.get(name)
            last[name] = sizing.sizes
            yield {
                "namespace": workload.namespace,
                "workload": workload.workload,
                "container": workload.container,
                "policy": name,
                "start": int(future.time[0]),
                "end": int(future.time[-1]),
                **{size: _number(getattr(sizing.sizes, size)) for size in _SIZES},
                **asdict(scored),
                "cpu_change": _change(before, sizing.sizes, "cpu_request"),
                "memory_change": _change(before, sizing.sizes, "memory_request"),
                "usd_per_hour": usd,
                "abstention_usd_per_hour": usd - usd_per_hour(without, scored.pods, rates),
                "abstained_cpu": "cpu" in sizing.abstained,
                "abstained_memory": "memory" in sizing.abstained,
            }


def _change(before: Sizes | None, after: Sizes, name: str) -> float:
    old, new = (None, None) if before is None else (getattr(before, name), getattr(after, name))
    return abs(new - old) / old if old and new is not None else float("nan")


def _in_force(part: pd.DataFrame) -> Sizes | None:
    if not set(_SIZES) & set(part.columns):
        return None
    newest = part.sort_values("time", kind="stable").iloc[-1]
    sizes = Sizes(*(_known(newest[name]) if name in part else None for name in _SIZES))
    return None if sizes == Sizes() else sizes


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _frame(history: History) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.to_datetime(history.time, unit="s", utc=True),
            "pod": history.pod,
            "cpu": history.cpu,
            "memory": history.memory,
        }
    )


def _larger(own: float | None, today: float | None) -> float | None:
    if own is None or today is None:
        return None if own is None and today is None else (today if own is None else own)
    return max(own, today)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
