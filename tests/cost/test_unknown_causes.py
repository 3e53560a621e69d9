"""What a snapshot lacks makes figures unknown, and never zero or a part that looks like a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from rightsize.cli import app
from rightsize.config import ReviewSettings, Settings
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.focus import Payer, focus_rows
from rightsize.errors import NoDataError
from rightsize.nodes.answer import answer
from rightsize.nodes.autoscaler import AutoscalerKind
from rightsize.nodes.demand import pod_days
from rightsize.nodes.kept import staying
from rightsize.prices.book import snapshot_book
from rightsize.recommend import recommend
from rightsize.review.accounts import accounts_of
from rightsize.review.changes import changes_of
from rightsize.review.charges import month_money
from rightsize.review.month import month_of
from rightsize.review.risk import windows_above
from rightsize.review.savings import Months
from rightsize.snapshot import frame
from rightsize.snapshot.views import newest_rows
from tests.review.two_months import OCTOBER, Month, promise, written_of

Tables = dict[str, pd.DataFrame]
Change = Callable[[int, Tables], None]
PAYER = Payer("123456789012", None, None)


def emptied(table: str, days: range = range(4)) -> Change:
    def change(number: int, tables: Tables) -> None:
        if number in days:
            tables[table] = tables[table].iloc[:0]

    return change


def nulled(table: str, *columns: str, days: range = range(4)) -> Change:
    def change(number: int, tables: Tables) -> None:
        if number in days:
            nothing = dict.fromkeys(columns)
            tables[table] = frame(table, tables[table].astype(object).assign(**nothing))

    return change


def money_of(path: Path, change: Change) -> MoneyAnswer:
    found = written_of(path / "snapshot", Month(OCTOBER, 4), change)
    return month_money(found, Settings(), found.manifest.end)


LACKS = {
    "pods": emptied("pods"),
    "containers": emptied("containers"),
    "nodes of pods": nulled("pods", "node"),
    "requests": nulled("containers", "cpu_request", "memory_request", "requests_known"),
    "requests of CPU": nulled("containers", "cpu_request", "requests_known"),
    "sizes of nodes": nulled("nodes", "allocatable_cpu"),
}


@pytest.mark.parametrize("lacks", LACKS)
def test_without_what_ran_the_bill_is_known_and_nobodys_part_of_it(
    lacks: str, tmp_path: Path
) -> None:
    money = money_of(tmp_path, LACKS[lacks])
    assert money.today.ec2 is not None
    assert money.today.ec2.mid == pytest.approx(Month(OCTOBER, 4).usd_per_hour * 96, rel=1e-4)
    assert money.allocation.total_usd is not None
    assert money.allocation.total_usd == pytest.approx(money.today.total.mid, abs=0.006)
    assert money.allocation.mesh_usd is None
    assert money.allocation.idle_usd is None
    unsaid = lacks == "sizes of nodes"
    assert any("who causes it is not" in note for note in money.notes) != unsaid
    charged = focus_rows(money, OCTOBER, PAYER, None)
    assert float(charged["EffectiveCost"].sum()) == pytest.approx(money.today.total.mid, abs=0.01)
    assert not charged["ChargeDescription"].str.contains("nan|None").any()


@pytest.mark.parametrize("table", ["pods", "containers", "nodes"])
def test_days_that_lack_a_table_are_in_no_sum_and_no_share(table: str, tmp_path: Path) -> None:
    whole = money_of(tmp_path, lambda number, tables: None)
    part = money_of(tmp_path, emptied(table, range(1, 3)))
    assert part.covered_hours == 48
    assert part.today.ec2.mid == pytest.approx(whole.today.ec2.mid / 2, rel=1e-6)
    assert part.allocation.mesh_usd == pytest.approx(whole.allocation.mesh_usd / 2, abs=0.02)
    assert any("2 days lack a node" in note for note in part.notes)


def test_a_day_on_which_nobody_states_a_request_of_cpu_has_no_causes(tmp_path: Path) -> None:
    whole = money_of(tmp_path, lambda number, tables: None)
    unstated = nulled("containers", "cpu_request", "requests_known", days=range(2))
    part = money_of(tmp_path, unstated)
    assert part.covered_hours == 48
    assert part.allocation.mesh_usd == pytest.approx(whole.allocation.mesh_usd / 2, abs=0.02)


def test_where_requests_were_reported_none_of_cpu_is_an_answer(tmp_path: Path) -> None:
    def change(number: int, tables: Tables) -> None:
        nulled("containers", "cpu_request")(number, tables)
        tables["containers"]["requests_known"] = True

    assert money_of(tmp_path, change).allocation.mesh_usd > 0


def test_a_pod_without_an_owner_is_charged_in_words(tmp_path: Path) -> None:
    money = money_of(tmp_path, nulled("pods", "workload"))
    said = focus_rows(money, OCTOBER, PAYER, None)["ChargeDescription"]
    assert said.str.contains("of shop/a pod of unknown owner").any()
    assert not said.str.contains("nan").any()


def test_requests_of_days_without_money_are_in_no_unit_cost(tmp_path: Path) -> None:
    costs = []
    for name, change in (
        ("whole", emptied("nodes", range(0))),
        ("part", emptied("nodes", range(1, 3))),
    ):
        found = written_of(tmp_path / name, Month(OCTOBER, 4), change)
        money = month_money(found, Settings(), found.manifest.end)
        rows = accounts_of(found, month_of(found), money, None, ReviewSettings()).unit_costs
        costs.append(rows.set_index(["namespace", "workload"])["usd_per_million"].iloc[0])
    assert costs[1] == pytest.approx(costs[0], rel=0.01)


def test_a_cause_that_is_not_known_has_no_change_and_saved_nothing_known(tmp_path: Path) -> None:
    whole = money_of(tmp_path / "whole", emptied("nodes", range(0)))
    blind = money_of(tmp_path / "blind", emptied("containers"))
    changes = changes_of(blind, whole).set_index("part")["change"]
    assert changes[["mesh", "application", "idle", "system"]].isna().all()
    for table in ("pods", "containers", "nodes"):
        found = written_of(tmp_path / "snapshot", Month(OCTOBER, 4), emptied(table))
        months = Months(found, snapshot_book(found, "us-east-1", {}), {})
        assert months.facts("2026-10") is None
        credit = months.credit("2026-10", {"2026-09": [promise("web", 0.1)]})
        assert credit.promised["state"].tolist() == ["unknown"]
        assert credit.by_promise()["usd"].isna().all()


def test_of_a_month_in_which_nobody_states_a_request_of_cpu_no_saving_is_known(
    tmp_path: Path,
) -> None:
    unstated = nulled("containers", "cpu_request", "requests_known")
    found = written_of(tmp_path / "snapshot", Month(OCTOBER, 4), unstated)
    assert Months(found, snapshot_book(found, "us-east-1", {}), {}).facts("2026-10") is None


def test_a_month_without_a_container_has_no_window_above_a_size_and_no_error(
    tmp_path: Path,
) -> None:
    advice = recommend(written_of(tmp_path / "whole", Month(OCTOBER, 4)))
    found = written_of(tmp_path / "snapshot", Month(OCTOBER, 4), emptied("containers"))
    risk = windows_above(found, advice)
    assert risk.empty
    assert "windows" in risk.columns


def test_a_mesh_without_a_container_has_nothing_to_size(tmp_path):
    found = written_of(tmp_path / "snapshot", Month(OCTOBER, 4), emptied("containers"))
    assert recommend(found).recommendations == ()
    done = CliRunner().invoke(app, ["recommend", "--snapshot", str(found.path)])
    assert isinstance(done.exception, NoDataError)


def of_half(table: str, *columns: str) -> Change:
    """What `nulled` does, in every other row of the table alone."""

    def change(number: int, tables: Tables) -> None:
        rows = tables[table].astype(object).reset_index(drop=True)
        rows.loc[rows.index % 2 == 0, list(columns)] = None
        tables[table] = frame(table, rows)

    return change


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        (of_half("pods", "node"), "ran on nodes that are not known"),
        (
            of_half("containers", "cpu_request", "memory_request", "requests_known"),
            "request amounts that are not known",
        ),
    ],
)
def test_parts_that_rest_on_some_pods_alone_say_so(
    lacks: Change, said: str, tmp_path: Path
) -> None:
    (note,) = (note for note in money_of(tmp_path, lacks).notes if "no part of the bill" in note)
    assert said in note


def test_a_whole_bill_has_no_note_on_pods_left_out(tmp_path: Path) -> None:
    notes = money_of(tmp_path, emptied("nodes", range(0))).notes
    assert not any("no part of the bill" in note for note in notes)


@pytest.mark.parametrize("kind", ["karpenter", "cluster-autoscaler"])
@pytest.mark.parametrize("lacks", ["requests", "containers"])
def test_nodes_are_not_promised_to_go_when_nobody_knows_what_their_pods_request(
    lacks: str, kind: AutoscalerKind, tmp_path: Path
) -> None:
    found = written_of(tmp_path / "snapshot", Month(OCTOBER, 4), LACKS[lacks])
    planned = answer(found, autoscaler=kind, names=("same-type",))
    assert planned.before.named("same-type").promised.nodes == planned.today.nodes
    assert any("nobody knows what" in said for said in planned.before.assumptions)
    assert planned.month is None
    assert any("not replayed" in note for note in planned.notes)


def test_a_node_stays_for_one_pod_of_which_nobody_knows_what_it_requests(tmp_path: Path) -> None:
    def one_pod(number: int, tables: Tables) -> None:
        first = tables["pods"]["pod"].iloc[0]
        rows = tables["containers"].astype(object)
        rows.loc[rows["pod"] == first, ["cpu_request", "memory_request", "requests_known"]] = None
        tables["containers"] = frame("containers", rows)

    found = written_of(tmp_path / "snapshot", Month(OCTOBER, 4), one_pod)
    pods = pod_days(found.read("pods"), found.read("containers"))
    unknown = pods[pods["unknown"]]
    assert unknown["pod"].nunique() == 1
    assert staying(newest_rows(found, "nodes"), pods) == set(unknown["node"])
