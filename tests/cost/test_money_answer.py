"""The whole money answer for a small cluster, from a snapshot on disk."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.answer import MoneyAnswer, price_answer, region_of
from rightsize.cost.months import month_facts, scaled
from rightsize.cost.planned import quiet_share
from rightsize.cost.realised import realised_saving
from rightsize.cost.valued import changes_of, value_changes
from rightsize.nodes.answer import answer as plan_answer
from rightsize.output.money_rows import money_to_dict
from rightsize.prices.book import book_for
from rightsize.recommend import recommend
from rightsize.snapshot import DayRecord, Snapshot, SnapshotWriter, frame
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

NODES = NodeSettings(time_limit=1.0, headroom="none", surge=0.0, spread="none")
NO_COMMITMENT = PriceSettings(commitment_usd_per_hour=0)
GIB = 2**30


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Ten pods of `web`, each with an app of 0.35 cores and a proxy that asks for 0.5, on nodes."""
    path = tmp_path_factory.mktemp("money") / "snapshot"
    web = Tiny(
        pods=10,
        cpu=(0.01,),
        memory=(60 * MIB,),
        cpu_request=0.5,
        memory_request=512 * MIB,
        app_cpu_request=0.35,
    )
    plain = tiny_snapshot(path, web)
    manifest = plain.manifest
    with SnapshotWriter(path, manifest) as writer:
        for day in plain.days:
            tables = {name: plain.read(name, days=[day]) for name in ("usage",)}
            for name in ("pods", "containers"):
                tables[name] = plain.read(name, days=[day]).drop(columns="day")
            names = [f"n{number // 2}" for number in range(10)]
            tables["pods"] = tables["pods"].assign(node=names)
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            tables["nodes"] = _nodes(start)
            tables["traffic"] = _traffic(start)
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={})
            writer.write_day(day, tables, record)
    return Snapshot(path)


def _nodes(start: datetime) -> pd.DataFrame:
    return frame(
        "nodes",
        pd.DataFrame(
            {
                "node": [f"n{i}" for i in range(5)],
                "instance_type": "m5.large",
                "region": "us-east-1",
                "zone": ["us-east-1a", "us-east-1b"] * 2 + ["us-east-1a"],
                "capacity_type": "on-demand",
                "arch": "amd64",
                "capacity_cpu": 2.0,
                "capacity_memory": 8.0 * GIB,
                "allocatable_cpu": 1.93,
                "allocatable_memory": 7.0 * GIB,
                "allocatable_pods": 29.0,
                "first_seen": pd.Timestamp(start) + pd.Timedelta(minutes=5),
                "last_seen": pd.Timestamp(start) + pd.Timedelta(days=1),
            }
        ),
    )


def _traffic(start: datetime) -> pd.DataFrame:
    return frame(
        "traffic",
        pd.DataFrame(
            {
                "time": [pd.Timestamp(start) + pd.Timedelta(hours=1)],
                "source_namespace": ["shop"],
                "source_workload": ["web"],
                "destination_namespace": ["shop"],
                "destination_workload": ["web"],
                "destination_service": ["web.shop.svc.cluster.local"],
                "protocol": ["http"],
                "requests": [1000.0],
                "bytes": [1e9],
            }
        ),
    )


@pytest.fixture(scope="module")
def money(snapshot: Snapshot) -> MoneyAnswer:
    advice = recommend(snapshot)
    nodes = plan_answer(snapshot, NODES, advice=advice)
    return price_answer(snapshot, nodes, NO_COMMITMENT, advice=advice, node_settings=NODES)


def test_the_bill_of_today_is_that_of_the_machines_that_ran(money: MoneyAnswer) -> None:
    lines = {line.name: line for line in money.today.lines}
    assert lines["EC2 on-demand"].usd.mid == pytest.approx(5 * 0.096 * 730)
    assert "bundled catalogue" in lines["EC2 on-demand"].source
    assert money.today.nodes == pytest.approx(5)


def test_the_recommended_requests_save_nodes_of_the_same_type(money: MoneyAnswer) -> None:
    [same] = [plan for plan in money.plans if plan.name == "same-type"]
    assert same.before.nodes > same.after.nodes
    fewer = same.before.nodes - same.after.nodes
    assert same.saving.on_demand_equivalent.mid == pytest.approx(fewer * (0.096 * 730 + 1.6))
    assert same.saving.realisable.mid == pytest.approx(same.saving.on_demand_equivalent.mid)


def test_no_more_is_promised_than_the_machines_that_ran_would_give_up(
    snapshot: Snapshot, money: MoneyAnswer
) -> None:
    [same] = [plan for plan in money.plans if plan.name == "same-type"]
    assert same.realisable.mid == pytest.approx(same.saving.realisable.mid)
    # With headroom and surge more nodes are promised than ran: nothing can be given up.
    careful = NodeSettings(time_limit=1.0)
    nodes = plan_answer(snapshot, careful, advice=recommend(snapshot))
    found = price_answer(snapshot, nodes, NO_COMMITMENT)
    [same] = [plan for plan in found.plans if plan.name == "same-type"]
    assert same.after.nodes > found.today.nodes
    assert same.saving.realisable.mid > 0
    assert same.against_today.realisable.mid < 0
    assert same.realisable.mid == 0


def test_the_parts_of_the_bill_add_up_to_it(money: MoneyAnswer) -> None:
    assert money.allocation.total_cents == round(money.today.total.mid * 100)
    assert money.allocation.rows["cents"].sum() == money.allocation.total_cents
    # 10 proxies of 0.5 cores and 512 MiB are more than half of what 5 nodes can do.
    assert 0.3 < money.allocation.sidecar_usd * 100 / money.allocation.total_cents < 0.9


def test_the_one_change_gets_the_whole_saving_of_its_plan(money: MoneyAnswer) -> None:
    [one] = money.valued
    [same] = [plan for plan in money.plans if plan.name == "same-type"]
    ec2 = same.before.ec2.mid - same.after.ec2.mid
    assert one.share_usd == pytest.approx(ec2)
    assert (one.frees, one.realisable) == ("alone", True)


def test_without_commitments_known_no_change_is_called_realisable(snapshot: Snapshot) -> None:
    advice = recommend(snapshot)
    found = price_answer(snapshot, None, PriceSettings(), advice=advice, node_settings=NODES)
    assert [one.realisable for one in found.valued] == [None]
    assert any("commitments are unknown" in note for note in found.notes)


def test_under_a_commitment_that_pays_for_everything_no_change_is_realisable(
    snapshot: Snapshot,
) -> None:
    settings = PriceSettings(commitment_usd_per_hour=10, commitment_discount=0.3)
    advice = recommend(snapshot)
    found = price_answer(snapshot, None, settings, advice=advice, node_settings=NODES)
    assert [one.realisable for one in found.valued] == [False]


def test_changes_are_grouped_by_what_is_applied_together(snapshot: Snapshot) -> None:
    advice = recommend(snapshot)
    assert len(changes_of(advice)) == 1


def test_a_region_without_prices_gives_unknown_money(snapshot: Snapshot) -> None:
    found = price_answer(snapshot, None, NO_COMMITMENT, region="cn-north-1")
    assert found.today.total is None
    assert "m5.large" in found.today.unpriced[0]
    assert value_changes(snapshot, recommend(snapshot), NODES, region="cn-north-1") == ()


def test_the_region_may_come_from_the_nodes_alone(snapshot: Snapshot) -> None:
    assert region_of(snapshot, snapshot.read("nodes")) == "us-east-1"
    unnamed = replace(snapshot.manifest, region=None)
    lost = Snapshot(snapshot.path)
    lost.manifest = unnamed
    nodes = lost.read("nodes")
    assert region_of(lost, nodes) == "us-east-1"
    assert region_of(lost, nodes.assign(region=None)) is None


def test_steady_demand_has_no_quiet_days(snapshot: Snapshot) -> None:
    assert quiet_share(snapshot.read("pods"), snapshot.read("containers")) == pytest.approx(1)


def test_the_json_says_unknown_as_null_and_sums_as_the_table(money: MoneyAnswer) -> None:
    body = money_to_dict(money)
    assert body["schema_version"] == 1
    assert json.loads(json.dumps(body)) == body
    lines = {line["name"]: line["usd"] for line in body["today"]["lines"]}
    assert lines["access logs"] is None
    assert "access logs" in body["today"]["not_in_total"]
    total = sum(row["usd"] for row in body["allocation"]["rows"])
    assert total == pytest.approx(body["allocation"]["total"])
    assert body["simulated"] is True


def test_every_field_of_the_json_is_in_the_guide(money: MoneyAnswer) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "money.md").read_text()
    body = money_to_dict(money)
    nested = [body["plans"][0], body["recommendations"][0], body["cross_zone"], body["allocation"]]
    for part in (body, body["today"], *nested):
        for name in part:
            assert f"`{name}`" in guide or f"`{name}[]`" in guide, name


def test_a_snapshot_without_nodes_has_no_known_machines_cost_and_none_is_called_zero(
    tmp_path: Path,
) -> None:
    bare = tiny_snapshot(tmp_path / "bare", Tiny())
    found = price_answer(bare, None, NO_COMMITMENT)
    assert math.isnan(found.today.nodes)
    assert found.today.total is None
    split = found.allocation
    assert (split.mesh_usd, split.idle_usd, split.total_usd) == (None, None, None)
    assert split.total_cents == 7300  # what is known: the control plane
    body = json.loads(json.dumps(money_to_dict(found), allow_nan=False))
    assert body["today"]["nodes"] is None
    assert body["allocation"]["mesh"] is None
    assert body["allocation"]["known_total"] == 73.0


def test_the_command_prints_the_bill_and_json(snapshot: Snapshot, monkeypatch, tmp_path) -> None:
    from rightsize.cli.cost import app

    monkeypatch.chdir(tmp_path)
    common = ["--snapshot", str(snapshot.path), "--no-plans", "--commitment", "0"]
    table = CliRunner().invoke(app, common)
    assert table.exit_code == 0, table.output
    assert "simulated" in table.stdout
    assert "EC2 on-demand" in table.stdout
    body = json.loads(CliRunner().invoke(app, [*common, "--format", "json"]).stdout)
    assert body["commitments_known"] is True
    csv = CliRunner().invoke(app, [*common, "--format", "csv"]).stdout
    assert csv.startswith("part,component,namespace,workload,usd")


def test_two_halves_of_a_steady_month_show_no_saving(snapshot: Snapshot) -> None:
    book = book_for("us-east-1", snapshot.read("prices"))
    first = month_facts(snapshot, book, days=snapshot.days[:5])
    second = month_facts(snapshot, book, days=snapshot.days[5:])
    assert first.machines["node_hours"].tolist() == pytest.approx([5 * 5 * 24])
    proxy = first.requests.set_index("container").loc["istio-proxy"]
    assert proxy["cpu_request"] == pytest.approx(0.5)
    assert proxy["pod_hours"] == pytest.approx(10 * 5 * 24)
    found = realised_saving(first, second, [("shop", "web", "istio-proxy")])
    assert (found.fall, found.by_tool.high, found.traffic_change) == pytest.approx((0, 0, 0))


def test_a_month_can_be_scaled_to_the_length_of_another(snapshot: Snapshot) -> None:
    book = book_for("us-east-1", snapshot.read("prices"))
    short = scaled(month_facts(snapshot, book, days=snapshot.days[:5]), 2)
    whole = month_facts(snapshot, book)
    assert short.machines["node_hours"].sum() == pytest.approx(whole.machines["node_hours"].sum())
    assert short.traffic == pytest.approx(whole.traffic)
