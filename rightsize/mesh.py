"""The Python interface: one object for one snapshot, plain frames and Axes out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from rightsize.config import PolicySettings, Settings
from rightsize.cost.answer import price_answer
from rightsize.demo import demo_snapshot
from rightsize.nodes.answer import answer as plan_nodes
from rightsize.nodes.plan import PLAN_NAMES, PlanName
from rightsize.output.advice_rows import advice_to_frame
from rightsize.output.charts.usage import request_against_usage
from rightsize.output.money_rows import allocation_rows, bill_rows
from rightsize.output.node_plans import answer_to_frame
from rightsize.output.report import write_report
from rightsize.output.report.build import build_report
from rightsize.output.report.earlier import earlier_reports
from rightsize.output.simulation_rows import simulation_to_frame
from rightsize.recommend import recommend
from rightsize.results import Advice, Component, Resource
from rightsize.review import month_of, review_month
from rightsize.simulate.what_if import what_if
from rightsize.sizing.backtest import (
    Backtest,
    HalfSplit,
    Walk,
    backtest_workloads,
    snapshot_workloads,
)
from rightsize.sizing.policies import SizingPolicy
from rightsize.sizing.profiles import policy_named
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import usage_by_workload


class Mesh:
    """A mesh as its snapshot shows it.

    Parameters
    ----------
    snapshot : Snapshot
    settings : Settings, optional

    Examples
    --------
    >>> mesh = rightsize.load("demo")  # doctest: +SKIP
    >>> mesh.recommend(policy="lean").head()  # doctest: +SKIP
    """

    def __init__(self, snapshot: Snapshot, settings: Settings | None = None) -> None:
        self.snapshot = snapshot
        self.settings = settings or Settings()

    def __repr__(self) -> str:
        manifest = self.snapshot.manifest
        kind = "simulated" if manifest.simulated else manifest.source
        days = self.snapshot.days
        return f"<Mesh {manifest.cluster}: {len(days)} days, {days[0]} to {days[-1]}, {kind}>"

    @property
    def usage(self) -> pd.DataFrame:
        """Usage of every mesh container in 5-minute windows, with its workload and component.

        Columns time, namespace, workload, component, pod, container, cpu (cores), memory (bytes),
        periods and throttled_periods (CFS periods).
        """
        joined = usage_by_workload(self.snapshot)
        first = ["time", "namespace", "workload", "component"]
        joined = joined[first + [c for c in joined.columns if c not in first]]
        return joined.astype(
            dict.fromkeys(["namespace", "workload", "component", "pod"], "category")
        )

    def table(self, name: str) -> pd.DataFrame:
        """One table of the snapshot (`docs/snapshot.md` lists them) over all days."""
        return self.snapshot.read(name)

    def advise(self, policy: str | SizingPolicy | None = None) -> Advice:
        """Recommendations as value types, with evidence and reasons.

        Parameters
        ----------
        policy : str or SizingPolicy, optional
            A profile's name, or an estimator of your own; the settings' profile without.
        """
        if isinstance(policy, str):
            chosen = self.settings.policy.model_copy(update={"profile": policy})
            rules = PolicySettings.model_validate(chosen.model_dump())
            return recommend(self.snapshot, self.settings.model_copy(update={"policy": rules}))
        return recommend(self.snapshot, self.settings, policy=policy)

    def recommend(self, policy: str | SizingPolicy | None = None) -> pd.DataFrame:
        """Recommendations as a frame: one row for each workload and container.

        CPU columns are in cores, memory columns in bytes; the mesh default has no workload.
        """
        return advice_to_frame(self.advise(policy))

    def nodes(
        self,
        policy: str | SizingPolicy | None = None,
        *,
        plans: Sequence[PlanName] = PLAN_NAMES,
    ) -> pd.DataFrame:
        """Node plans for today's requests and for the recommended ones, one row each.

        All three take half a minute on a mesh of 300 pods; `plans=["same-type"]` is the quickest.

        Columns: `requests` (today, recommended), `plan` (same-type, single-type, mix),
        `packed_nodes` and its `optimality_gap` (a share), `promised_nodes`, their
        `packed_usd_per_month` and `promised_usd_per_month` (on-demand USD, NaN where a price is
        unknown), `types`, `binding`, `unplaced_pods`. `Settings.nodes` says what is allowed.

        Raises
        ------
        NoDataError
            If the snapshot lacks what a node offers.
        """
        advice = self.advise(policy)
        found = plan_nodes(
            self.snapshot,
            self.settings.nodes,
            advice=advice,
            names=tuple(plans),
            prices=self.settings.prices,
        )
        return answer_to_frame(found, self.settings.prices.hours_per_month)

    def bill(self) -> pd.DataFrame:
        """The bill by line: `line`, `low`, `usd`, `high` (USD a month, NaN if unknown), `source`,
        `note`. `Settings.prices` holds commitments and the hours of a month."""
        return bill_rows(price_answer(self.snapshot, settings=self.settings.prices))

    def allocation(self) -> pd.DataFrame:
        """Who causes the bill: `part`, `component`, `namespace`, `workload`, `usd` a month.

        The parts are mesh, application, system, idle and shared; their sum is the bill's.
        """
        return allocation_rows(price_answer(self.snapshot, settings=self.settings.prices))

    def backtest(
        self,
        policies: Sequence[str] | Mapping[str, SizingPolicy],
        *,
        train_days: float = 14.0,
        test_days: float = 7.0,
        half: bool = False,
        namespaces: Sequence[str] | None = None,
    ) -> Backtest:
        """Fit policies on past windows and score them on what came next.

        Parameters
        ----------
        policies : sequence of str, or mapping of str to SizingPolicy
            Names as in `rightsize backtest --policies`, or estimators of your own.
        train_days, test_days : float
            Lengths of the stretches, walked through the history.
        half : bool
            One split in the middle instead.
        namespaces : sequence of str, optional
            Only these.

        Returns
        -------
        Backtest
            With the frames `totals` (by policy), `workloads` and `windows`.

        Raises
        ------
        NoDataError
            If no workload has history enough.
        """
        chosen = (
            policies
            if isinstance(policies, Mapping)
            else {name: policy_named(name) for name in policies}
        )
        kept = None if namespaces is None else list(namespaces)
        return backtest_workloads(
            snapshot_workloads(self.snapshot, namespaces=kept),
            chosen,
            split=HalfSplit() if half else Walk(train_days, test_days),
        )

    def what_if(
        self,
        *,
        services: float | None = None,
        pods: float | None = None,
        requests_per_second: float | None = None,
        ambient: bool = False,
        waypoint_share: float = 1.0,
    ) -> pd.DataFrame:
        """The mesh at another scale, as `rightsize simulate`: today first, then each outcome.

        CPU columns are in cores, memory columns in bytes, money in USD a month; `_low` and `_high`
        bound what the fitted laws leave open.
        """
        today, found = what_if(
            self.snapshot,
            self.settings,
            services=services,
            pods=pods,
            requests_per_second=requests_per_second,
            ambient=ambient,
            waypoint_share=waypoint_share,
        )
        return simulation_to_frame(today, found)

    def report(self, out: str | os.PathLike[str], *, month: str | None = None) -> list[Path]:
        """Write the cost review of a month (`YYYY-MM`, the last one without) into folder `out`.

        Returns
        -------
        list of Path
            The files; the page comes first.
        """
        folder = Path(out)
        chosen = month_of(self.snapshot, month)
        earlier = earlier_reports(folder.parent, self.snapshot.manifest.cluster, chosen.label)
        review = review_month(
            self.snapshot,
            chosen.label,
            self.settings,
            earlier=earlier.promises,
            results=earlier.results,
        )
        return list(write_report(build_report(review, self.settings), folder))

    def plot_requests(
        self,
        resource: Resource = "cpu",
        *,
        policy: str | SizingPolicy | None = None,
        component: Component = "sidecar",
    ) -> Axes:
        """Request now, recommended and used of each workload, sorted by p95."""
        return request_against_usage(self.advise(policy), resource, component=component)


def load(
    snapshot: str | os.PathLike[str] = "demo",
    settings: Settings | None = None,
    *,
    days: int | None = None,
) -> Mesh:
    """Open a snapshot folder; `"demo"` is the simulated demo mesh, made on first use.

    Parameters
    ----------
    snapshot : path-like
    settings : Settings, optional
    days : int, optional
        Only the last days.

    Raises
    ------
    SnapshotError
        If the folder is no snapshot.
    """
    found = Snapshot(demo_snapshot() if snapshot == "demo" else Path(snapshot))
    return Mesh(found if days is None else found.only(found.days[-days:]), settings)
