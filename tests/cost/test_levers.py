"""Levers beside the sidecars: each with its dollars, its condition, and unknown where one is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from rightsize.cli.cost import app
from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.answer import MoneyAnswer, price_answer, terms_for
from rightsize.cost.levers import find_levers
from rightsize.cost.levers.charged import extended_support
from rightsize.cost.levers.lever import Lever
from rightsize.cost.levers.spot import spot_shares
from rightsize.nodes.answer import answer
from rightsize.output.money_rows import money_tables
from rightsize.recommend import recommend
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import MIB, Tiny, tiny_nodes, tiny_snapshot

NODES = NodeSettings(time_limit=0.5, headroom="none", surge=0.0, spread="none")
NONE_HELD = PriceSettings(commitment_usd_per_hour=0)
M5 = 0.192
NOW = pd.Timestamp("2026-08-01T00:00Z")
WEB = Tiny(pods=8, days=10, cpu_request=1.0, memory_request=512 * MIB, app_cpu_request=0.5)


def prices(**rates: float) -> pd.DataFrame:
    """On-demand m5.xlarge, with the rates of other purchase options."""
    return pd.DataFrame(
        {
            "instance_type": "m5.xlarge",
            "region": "us-east-1",
            "zone": None,
            "purchase_option": ["on-demand", *(name.replace("_", "-") for name in rates)],
            "usd_per_hour": [M5, *rates.values()],
            "source": "Compute Savings Plan, 1 year, no upfront",
            "as_of": NOW,
        }
    )


def budget(workload: str = "web", allowed: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"namespace": ["shop"], "pdb": [workload], "workload": [workload], "min_available": ["1"],
         "disruptions_allowed": [allowed]}
    )  # fmt: skip


def mesh(path: Path, *containers: Tiny, nodes: int = 4, **tables: pd.DataFrame) -> Snapshot:
    return tiny_snapshot(path, *(containers or (WEB,)), nodes=nodes, more=tables)


def levers(snapshot: Snapshot, settings: PriceSettings = NONE_HELD) -> Mapping[str, Lever]:
    nodes = answer(
        snapshot, NODES, advice=recommend(snapshot), prices=settings, names=("same-type",)
    )
    money: MoneyAnswer = price_answer(snapshot, nodes, settings)
    found = find_levers(snapshot, nodes, money.in_use, money.terms, NODES, settings)
    return {one.kind: one for one in found}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Rates of every kind, and a budget."""
    path = tmp_path_factory.mktemp("levers") / "snapshot"
    return mesh(path, prices=prices(savings_plan=0.144, spot=0.064), pdbs=budget())


def test_the_commitment_is_the_floor_after_the_change_at_the_one_year_rate(plain: Snapshot) -> None:
    found = levers(plain)["commitment"]
    floor = found.figures["floor_nodes"]
    assert floor is not None
    assert floor < (found.figures["floor_nodes_today"] or 0)
    assert found.figures["discount"] == pytest.approx(0.25)
    assert found.figures["commit_usd_per_hour"] == pytest.approx(floor * 0.144)
    assert found.usd is not None
    assert found.usd.mid == pytest.approx(floor * (M5 - 0.144) * 730)
    wasted = ((found.figures["floor_nodes_today"] or 0) - floor) * 0.144 * 730
    assert found.figures["wasted_usd_before"] == pytest.approx(wasted)
    assert found.realisable


def test_what_is_committed_already_is_not_committed_twice(plain: Snapshot) -> None:
    alone = levers(plain)["commitment"]
    # 0.072 USD/h at half price pay for 0.144 USD/h on demand.
    owned = levers(plain, PriceSettings(commitment_usd_per_hour=0.072, commitment_discount=0.5))
    before, after = (
        one.figures["uncommitted_usd_per_hour"] for one in (alone, owned["commitment"])
    )
    assert before is not None
    assert after == pytest.approx(before - 0.144)


def test_more_owned_than_the_floor_needs_leaves_nothing_to_commit(plain: Snapshot) -> None:
    found = levers(plain, PriceSettings(commitment_usd_per_hour=9.0, commitment_discount=0.3))
    assert found["commitment"].usd is not None
    assert found["commitment"].usd.mid == pytest.approx(0, abs=1e-9)


def test_an_unknown_rate_is_unknown_and_the_floor_is_said_all_the_same(tmp_path: Path) -> None:
    found = levers(mesh(tmp_path / "s", prices=prices()))["commitment"]
    assert found.usd is None
    assert found.figures["commit_usd_per_hour"] is None
    assert found.figures["floor_nodes"]
    assert "rate is unknown" in found.condition


def test_unknown_commitments_leave_the_new_one_unknown(plain: Snapshot) -> None:
    found = levers(plain, PriceSettings())["commitment"]
    assert found.usd is None
    assert "what is committed is unknown" in found.condition


def test_spot_takes_the_share_that_qualifies_at_live_prices(plain: Snapshot) -> None:
    found = levers(plain)["spot"]
    assert found.figures["share"] == pytest.approx(1.0)
    assert found.figures["discount"] == pytest.approx(2 / 3)
    assert found.figures["assumed_discount"] is None
    assert found.namespaces == {"shop": 8}
    assert found.usd is not None
    assert found.usd.mid % (M5 * 2 / 3 * 730) == pytest.approx(0, abs=1e-6)


def test_without_a_spot_price_the_discount_is_an_assumption_and_called_so(tmp_path: Path) -> None:
    snapshot = mesh(tmp_path / "s", prices=prices(), pdbs=budget())
    found = levers(snapshot, NONE_HELD.model_copy(update={"spot_discount": 0.5}))["spot"]
    assert (found.figures["discount"], found.figures["assumed_discount"]) == (None, 0.5)
    assert "assumed" in found.condition


@pytest.mark.parametrize(
    ("workload", "tables", "share", "unguarded"),
    [
        (WEB, {}, 0, 1),
        (WEB, {"pdbs": budget("other")}, 0, 1),
        (WEB, {"pdbs": budget(allowed=0.0)}, 0, 1),
        (WEB.but(kind="StatefulSet"), {"pdbs": budget()}, 0, 0),
        (WEB.but(kind="Job"), {"pdbs": budget()}, 0, 0),
        (WEB.but(pods=1), {"pdbs": budget()}, 0, 0),
        (WEB.but(namespace="kube-system"), {"pdbs": budget()}, 0, 0),
        (WEB.but(component="istiod", container="discovery"), {"pdbs": budget()}, 0, 0),
    ],
)
def test_only_stateless_pods_of_two_replicas_with_a_budget_qualify(
    tmp_path: Path, workload: Tiny, tables: dict[str, pd.DataFrame], share: float, unguarded: float
) -> None:
    snapshot = tiny_snapshot(tmp_path / "s", workload, nodes=2, days=1, more=tables)
    found = spot_shares(snapshot, NODES)
    assert (found.able, found.unguarded) == pytest.approx((share, unguarded))


def test_extended_support_is_a_lever_only_where_it_applies(plain: Snapshot) -> None:
    terms = terms_for(plain, NONE_HELD, "us-east-1", NOW.to_pydatetime())
    assert extended_support(terms) is None
    assert extended_support(replace(terms, eks_support="standard")) is None
    found = extended_support(replace(terms, eks_support="extended"))
    assert found is not None
    assert found.usd is not None
    assert found.usd.mid == pytest.approx(0.5 * 730)
    unknown = extended_support(replace(terms, eks_support="extended", other={}))
    assert unknown is not None
    assert unknown.usd is None


def test_the_command_shows_each_lever_in_text_and_json(plain: Snapshot) -> None:
    arguments = ["--snapshot", str(plain.path), "--time-limit", "0.5", "--commitment", "0"]
    body = json.loads(CliRunner().invoke(app, [*arguments, "--format", "json"]).stdout)
    kinds = [one["kind"] for one in body["levers"]]
    assert kinds == ["graviton", "commitment", "spot"]
    graviton = body["levers"][0]
    assert graviton["figures"]["packed_graviton_usd"] < graviton["figures"]["packed_in_use_usd"]
    assert graviton["pods_by_namespace"] == {"shop": 8}
    text = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments).stdout
    assert "Graviton beside x86" in text
    assert "arm64 build" in text


def test_opencosts_rule_is_an_option_and_the_answer_says_what_it_changes(tmp_path: Path) -> None:
    hungry = WEB.but(days=1, cpu=(0.6,), cpu_request=0.1)
    snapshot = tiny_snapshot(tmp_path / "s", hungry, nodes=4, days=1)
    arguments = ["--snapshot", str(snapshot.path), "--no-plans", "--format", "json"]
    run = CliRunner()
    ours, theirs = (
        json.loads(run.invoke(app, [*arguments, "--allocation", rule]).stdout)
        for rule in ("requests", "larger")
    )
    assert (ours["allocation"]["rule"], theirs["allocation"]["rule"]) == ("requests", "larger")
    assert theirs["allocation"]["total"] == ours["allocation"]["total"]
    assert theirs["allocation"]["mesh"] > ours["allocation"]["mesh"]
    assert theirs["allocation"]["idle"] < ours["allocation"]["idle"]
    for name in ("mesh", "sidecars", "idle"):
        assert theirs["allocation"]["by_requests"][name] == ours["allocation"][name]
    assert "larger of request and use" in ours["notes"][-1]
    assert f"instead of {ours['allocation']['mesh']:,.2f}" in theirs["notes"][-1]


def test_extended_support_stands_in_the_bills_headline(plain: Snapshot) -> None:
    money = price_answer(plain, settings=NONE_HELD)
    extended = replace(money, terms=replace(money.terms, eks_support="extended"))
    titles = [money_tables(one)[0].title for one in (money, extended)]
    assert "365 of it for EKS extended support" in str(titles[1])
    assert "extended" not in str(titles[0])


def _held(**about: object) -> pd.DataFrame:
    row = {"commitment": "c", "kind": "none", "family": None, "instance_type": None, "zone": None,
           "count": None, "usd_per_hour": None, "discount": None, "covered_share": None,
           "ends": None, "source": "AWS"}  # fmt: skip
    return pd.DataFrame([row | about])


def test_a_reservation_of_a_zone_is_netted_where_the_nodes_are(tmp_path: Path) -> None:
    """Two of four nodes are in us-east-1a, so half of the floor's machines are."""
    reserved = _held(
        kind="reserved-instance", family="m5", instance_type="m5.xlarge", zone="us-east-1a",
        count=1.0, usd_per_hour=0.12,
    )  # fmt: skip
    snapshot = mesh(tmp_path / "s", prices=prices(savings_plan=0.144), commitments=reserved)
    figures = levers(snapshot, PriceSettings())["commitment"].figures
    whole, left = figures["floor_usd_per_hour"], figures["uncommitted_usd_per_hour"]
    assert whole is not None
    assert left == pytest.approx(whole - min(whole / 2, M5))


@pytest.mark.parametrize(
    ("rates", "commitment", "spot"),
    [
        # A plan's rate is never above on demand: it is no rate.
        ({"savings_plan": 0.3}, None, 0.0),
        # Spot may be: then it saves nothing, and costs nothing either.
        ({"savings_plan": 0.144, "spot": 0.25}, 0.25, 0.0),
    ],
)
def test_a_rate_above_on_demand_saves_nothing(
    tmp_path: Path, rates: dict[str, float], commitment: float | None, spot: float
) -> None:
    found = levers(mesh(tmp_path / "s", prices=prices(**rates)))
    assert found["commitment"].figures["discount"] == (commitment and pytest.approx(commitment))
    assert found["spot"].usd is not None
    assert found["spot"].usd.mid == spot


def test_nodes_that_no_plan_replaces_are_committed_to_and_never_moved_to_spot(
    tmp_path: Path,
) -> None:
    nodes = tiny_nodes(2).assign(
        kind="accelerator", instance_type="g5.xlarge",
        first_seen=pd.Timestamp("2026-09-01T00:05Z"), last_seen=pd.Timestamp("2026-09-02T00:00Z"),
    )  # fmt: skip
    snapshot = tiny_snapshot(tmp_path / "s", WEB.but(days=1, pods=1), days=1, more={"nodes": nodes})
    found = levers(snapshot)
    assert found["commitment"].figures["floor_nodes"] == 2
    assert "spot" not in found
    assert "graviton" not in found


def test_machines_that_are_all_spot_leave_nothing_to_commit_to(tmp_path: Path) -> None:
    nodes = tiny_nodes(2).assign(
        capacity_type="spot",
        first_seen=pd.Timestamp("2026-09-01T00:05Z"), last_seen=pd.Timestamp("2026-09-02T00:00Z"),
    )  # fmt: skip
    snapshot = tiny_snapshot(tmp_path / "s", WEB.but(days=1, pods=1), days=1, more={"nodes": nodes})
    assert "commitment" not in levers(snapshot)
