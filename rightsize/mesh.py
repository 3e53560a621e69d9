"""The Python interface: one object for one snapshot, plain frames and Axes out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
from matplotlib.axes import Axes

from rightsize.ambient.answer import answer_ambient, costs_frame
from rightsize.arguments import number, one_of, place, places, several
from rightsize.audit.reading import read_files
from rightsize.config import PolicySettings, Settings
from rightsize.cost.against_bill import AgainstBill
from rightsize.cost.answer import MoneyAnswer, price_answer
from rightsize.cost.levers import find_levers
from rightsize.cost.machines import billed_nodes, covered_hours
from rightsize.cost.showback import showback, teams_of
from rightsize.demo import demo_snapshot
from rightsize.dns.study import study_dns
from rightsize.errors import UsageError
from rightsize.files.known import parse_version
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.answer import answer as plan_nodes
from rightsize.nodes.plan import PLAN_NAMES, PlanName
from rightsize.output.advice_rows import advice_to_frame
from rightsize.output.charts.usage import request_against_usage
from rightsize.output.lever_rows import lever_rows
from rightsize.output.money_rows import allocation_rows, bill_rows
from rightsize.output.node_plans import answer_to_frame
from rightsize.output.report import write_report
from rightsize.output.report.build import build_report
from rightsize.output.report.earlier import EarlierReports, earlier_reports
from rightsize.output.simulation_rows import simulation_to_frame
from rightsize.recommend import recommend
from rightsize.results import Advice, Component, Resource
from rightsize.review import Review, month_of, review_month
from rightsize.review.charges import month_against, month_charges, month_money
from rightsize.review.out_of_sample import mesh_workloads
from rightsize.simulate.what_if import what_if
from rightsize.sizing.backtest import (
    Backtest,
    HalfSplit,
    Walk,
    backtest_workloads,
    snapshot_workloads,
)
from rightsize.sizing.policies import SizingPolicy
from rightsize.sizing.profiles import policy_named, profiles
from rightsize.snapshot import TABLES, Snapshot
from rightsize.snapshot.stored import open_at
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
        """One table of the snapshot (`docs/snapshot.md` lists them) over all days.

        Raises
        ------
        UsageError
            If there is no such table.
        """
        one_of("name", name, tuple(TABLES))
        return self.snapshot.read(name)

    def advise(self, policy: str | SizingPolicy | None = None) -> Advice:
        """Recommendations as value types, with evidence and reasons.

        Parameters
        ----------
        policy : str or SizingPolicy, optional
            A profile's name, or an estimator of your own; the settings' profile without.
        """
        if policy is not None and not isinstance(policy, str | SizingPolicy):
            raise UsageError(
                f"policy={policy!r} is no policy", hint="give a profile's name or a SizingPolicy"
            )
        if isinstance(policy, str):
            one_of("policy", policy, profiles())
            chosen = self.settings.policy.model_copy(update={"profile": policy})
            rules = PolicySettings.model_validate(chosen.model_dump())
            return recommend(self.snapshot, self.settings.model_copy(update={"policy": rules}))
        return recommend(self.snapshot, self.settings, policy=policy)

    def recommend(self, policy: str | SizingPolicy | None = None) -> pd.DataFrame:
        """Recommendations as a frame: one row for each workload and container.

        CPU columns are in cores, memory columns in bytes; the mesh default has no workload.
        """
        advice = self.advise(policy)
        return _about(advice_to_frame(advice), advice)

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
        several("plans", plans, PLAN_NAMES)
        advice = self.advise(policy)
        found = plan_nodes(
            self.snapshot,
            self.settings.nodes,
            advice=advice,
            names=tuple(plans),
            prices=self.settings.prices,
        )
        hours = self.settings.prices.hours_per_month
        types = {g.instance_type for g in found.today.groups if g.usd_per_hour is None}
        return _about(
            answer_to_frame(found, hours), found, hours=hours, unpriced=tuple(sorted(types))
        )

    def bill(self) -> pd.DataFrame:
        """The bill by line: `line`, `low`, `usd`, `high` (USD a month, NaN if unknown), `source`,
        `note`. `Settings.prices` holds commitments and the hours of a month."""
        money = price_answer(self.snapshot, settings=self.settings.prices)
        return _carrying(bill_rows(money), money)

    def allocation(self, by: Literal["month", "day"] = "month") -> pd.DataFrame:
        """Who causes the bill: `part`, `component`, `namespace`, `workload`, `usd` a month.

        The parts are mesh, application, system, idle and shared; their sum is the bill's.

        Parameters
        ----------
        by : {"month", "day"}
            With `day`: what each machine cost on each day, as it was seen: `day`, `node`, the
            columns above with `usd` of that day (NaN is unknown), `core_hours` and `byte_hours`
            requested. Costs that belong to no machine are not in it.
        """
        one_of("by", by, ("month", "day"))
        if by == "month":
            money = price_answer(self.snapshot, settings=self.settings.prices)
            return _carrying(allocation_rows(money), money)
        hours = covered_hours(self.snapshot, billed_nodes(self.snapshot))
        prices = self.settings.prices
        if hours:
            # Days as they were, not scaled to a month.
            prices = prices.model_copy(update={"hours_per_month": hours})
        money = price_answer(self.snapshot, settings=prices)
        return _carrying(
            money.allocation.days.drop(columns=["known_usd", "container_hours"]), money
        )

    def levers(self, policy: str | SizingPolicy | None = None) -> pd.DataFrame:
        """What else would lower the bill, each alone, with the recommended requests in force.

        Columns: `lever` (graviton, commitment, spot, extended-support, fargate), `low`, `usd`, `high`
        (saved a month, NaN if unknown), `realisable` (False: on-demand equivalent), `condition`.

        Raises
        ------
        NoDataError
            If the snapshot lacks what a node offers.
        """
        rules = self.settings
        nodes = plan_nodes(
            self.snapshot,
            rules.nodes,
            advice=self.advise(policy),
            prices=rules.prices,
            graviton=True,
        )
        money = price_answer(self.snapshot, nodes, rules.prices)
        found = find_levers(
            self.snapshot, nodes, money.in_use, money.terms, rules.nodes, rules.prices
        )
        return _carrying(lever_rows(found), money)

    def showback(self) -> pd.DataFrame:
        """The bill by team: `team`, `application_usd`, `sidecar_usd`, `spread_usd`, `usd` a month,
        `share`; NaN is unknown. `Settings.review` says how a team is found and common costs spread.

        Raises
        ------
        UsageError
            If the settings name no rule for teams.
        """
        rules = self.settings.review
        if not rules.team:
            raise UsageError(
                "review.team names no rule for a workload's team",
                hint='give one, such as ["label:team", "namespace"]',
            )
        teams = teams_of(self.table("pods"), self.table("namespaces"), rules.team)
        money = price_answer(self.snapshot, settings=self.settings.prices)
        return _carrying(showback(money.allocation.rows, teams, rules.spread), money)

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
        if not policies or isinstance(policies, str):
            raise UsageError(
                f"policies={policies!r} is no list of policies",
                hint='give some, such as ["balanced"]',
            )
        for name, days in (("train_days", train_days), ("test_days", test_days)):
            number(name, days, least=0, itself=False)
        known = {namespace for namespace, _ in mesh_workloads(self.snapshot)}
        for namespace in namespaces or ():
            one_of("namespaces", namespace, sorted(known))
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

        Raises
        ------
        UsageError
            If a number is none, or cannot be.
        """
        for name, value in (("services", services), ("pods", pods)):
            number(name, value, least=0, itself=False)
        number("requests_per_second", requests_per_second, least=0)
        number("waypoint_share", waypoint_share, least=0, most=1)
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

    def dns(self) -> pd.DataFrame:
        """What is found of CoreDNS, one row for each finding, as `rightsize dns`.

        Columns: `id`, `severity`, `evidence`, `advice`, `spares` (share of today's queries at
        most; null where unknown). `rightsize.dns.study.study_dns` has the load and the sizes.
        """
        found = study_dns(self.snapshot, self.settings).findings
        columns = ["id", "severity", "evidence", "advice", "spares"]
        return pd.DataFrame(
            [{c: getattr(one, c) for c in columns} for one in found], columns=columns
        )

    def ambient(
        self,
        files: Sequence[str | os.PathLike[str]] = (),
        *,
        istio_version: str | None = None,
        policy: str | SizingPolicy | None = None,
    ) -> pd.DataFrame:
        """What ambient mode would do, by namespace, as `rightsize ambient`.

        Columns: `namespace`, `sidecars`, `requests_per_second` (HTTP and gRPC, busy hour),
        `waypoint` (objects, traffic, telemetry, unknown, none), `obstacles`, `stays_on_sidecars`,
        `wave`; requests of sidecars after right-sizing and of ambient mode, in cores and bytes;
        `usd_saved` a month with its `_low` and `_high`, at the price of a core and a byte;
        `cheaper` and `break_even` (requests a second).

        Parameters
        ----------
        files : sequence of path-like
            Objects, values, alert rules and dashboards, or folders of them.
        istio_version : str, optional
            Istio's release, where the snapshot does not state it.
        policy : str or SizingPolicy, optional
            As for `advise`.
        """
        given = [Path(one) for one in places("files", files)]
        sources = read_files(given) if given else None
        return costs_frame(
            answer_ambient(
                self.snapshot,
                self.settings,
                sources,
                parse_version(istio_version),
                advice=self.advise(policy),
                alone=False,
            )
        )

    def report(self, out: str | os.PathLike[str], *, month: str | None = None) -> list[Path]:
        """Write the cost review of a month (`YYYY-MM`, the last one without) into folder `out`.

        Returns
        -------
        list of Path
            The files; the page comes first.
        """
        folder = Path(place("out", out))
        review = self.review(month, earlier=folder.parent)
        return list(write_report(build_report(review, self.settings), folder))

    def review(
        self, month: str | None = None, *, earlier: str | os.PathLike[str] | None = None
    ) -> Review:
        """The month's review as frames and value types, before it becomes a page.

        Parameters
        ----------
        month : str, optional
            `YYYY-MM`; the last one without.
        earlier : path-like, optional
            Folder with the reports of earlier months, which promised something.

        Returns
        -------
        Review
            Among others `promised`, `incidents`, `risk`, `node_groups`, `quality` (frames),
            `realised`, `running`, `strip` and `steps`.

        Raises
        ------
        UsageError, NoDataError
            If `month` is no month, or one of which the snapshot has no day.
        """
        chosen = month_of(self.snapshot, month).label
        found = EarlierReports({})
        if earlier is not None:
            found = earlier_reports(
                Path(place("earlier", earlier)), self.snapshot.manifest.cluster, chosen
            )
        return review_month(
            self.snapshot, chosen, self.settings, earlier=found.promises, results=found.results
        )

    def against_bill(
        self, bill: str | os.PathLike[str], *, month: str | None = None
    ) -> AgainstBill:
        """The month's estimate held against a cost export of AWS, as frames in USD.

        Parameters
        ----------
        bill : path-like or str
            A file or folder of CUR 2.0, the older CUR or FOCUS, or `s3://bucket/prefix`.
        month : str, optional
            `YYYY-MM`; the last one without.

        Returns
        -------
        AgainstBill
            `lines`, `machines` (by day and instance), `namespaces` (where the bill splits costs by
            pod) and `apart` (credits, refunds, tax, other currencies).

        Raises
        ------
        UsageError, NoDataError, InputFileError, AwsError
            If the month or the bill cannot be read.
        """
        where = place("bill", bill)
        chosen = month_of(self.snapshot, month)
        money = month_money(self.snapshot.only(chosen.days), self.settings, chosen.end)
        return month_against(where, self.snapshot, chosen, self.settings, money)

    def charges(self, month: str | None = None) -> pd.DataFrame:
        """A month's charges as rows of FOCUS 1.2; `Settings.review` names the account that is billed.

        Raises
        ------
        UsageError, NoDataError
            If no account is set, or `month` is no month or not in the snapshot.
        """
        return month_charges(self.snapshot, month_of(self.snapshot, month), self.settings)[0]

    def plot_requests(
        self,
        resource: Resource = "cpu",
        *,
        policy: str | SizingPolicy | None = None,
        component: Component = "sidecar",
    ) -> Axes:
        """Request now, recommended and used of each workload, sorted by p95."""
        one_of("resource", resource, get_args(Resource))
        one_of("component", component, get_args(Component))
        return request_against_usage(self.advise(policy), resource, component=component)


def load(
    snapshot: str | os.PathLike[str] = "demo",
    settings: Settings | None = None,
    *,
    days: int | None = None,
    month: str | None = None,
    start: date | None = None,
    end: date | None = None,
    cache: bool = True,
) -> Mesh:
    """Open a snapshot folder; `"demo"` is the simulated demo mesh, made on first use.

    A cluster of a fleet's store is opened by its URL, such as `s3://bucket/fleet/prod`.

    Parameters
    ----------
    snapshot : path-like
    settings : Settings, optional
    days : int, optional
        Only the last days.
    month : str, optional
        Only this month, as `YYYY-MM`.
    start, end : date, optional
        Only days from `start` on, and those before `end`.
    cache : bool
        Keep what is computed beside the snapshot, and take what was kept for the same days, settings
        and release.

    Raises
    ------
    UsageError
        If no day is left.
    SnapshotError
        If the folder is no snapshot.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise UsageError(
            f"settings={settings!r} are no Settings", hint="give rightsize.config.Settings(...)"
        )
    where = place("snapshot", snapshot)
    found = open_at(demo_snapshot() if where == "demo" else where)
    found.keeps_answers = cache
    if days is not None and (type(days) is not int or days < 1):
        raise UsageError(f"days={days!r} is no number of days", hint="give 1 or more")
    for name, one in (("start", start), ("end", end)):
        if one is not None and type(one) is not date:
            raise UsageError(f"{name}={one!r} is no date", hint="give datetime.date(2026, 10, 1)")
    kept = found.days if month is None else month_of(found, month).days
    kept = tuple(
        day for day in kept if (start is None or day >= start) and (end is None or day < end)
    )
    if not kept:
        raise UsageError(
            f"no day from start={start} to end={end}",
            hint=f"the snapshot has {found.days[0]} to {found.days[-1]}; end is not in it",
        )
    kept = kept if days is None else kept[-days:]
    return Mesh(found if len(kept) == len(found.days) else found.only(kept), settings)


def _about(
    frame: pd.DataFrame, answer: Advice | NodeAnswer | MoneyAnswer, **more: Any
) -> pd.DataFrame:
    """The frame with what its figures are about in `attrs`."""
    frame.attrs = {"cluster": answer.cluster, "start": answer.start, "end": answer.end}
    frame.attrs.update(more)
    return frame


def _carrying(frame: pd.DataFrame, money: MoneyAnswer) -> pd.DataFrame:
    return _about(
        frame,
        money,
        hours=money.terms.hours,
        hours_seen=money.covered_hours,
        unpriced=money.allocation.unpriced,
    )
