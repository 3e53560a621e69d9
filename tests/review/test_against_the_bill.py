"""A month's estimate against cost exports made of known lines: to the cent, and why it differs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pandas as pd
import pytest

from rightsize.config import Settings
from rightsize.cost.against_bill import AgainstBill
from rightsize.mesh import load
from rightsize.output.report.against import against_section
from rightsize.output.tables import focus_parquet
from tests.cli.run import rightsize
from tests.collectors.billing.exports import (
    CLUSTER,
    WRITERS,
    Line,
    control_plane,
    cur2,
    machine_lines,
    pod_line,
)
from tests.review.two_months import OCTOBER, Month, written_of
from tests.servers.aws import moto_server

DAYS = 3
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
EKS = [control_plane(FIRST + timedelta(days=number)) for number in range(DAYS)]
TAGS = {"aws:eks:cluster-name": CLUSTER}


def named(_: int, tables: dict[str, pd.DataFrame]) -> None:
    """Every node states its instance."""
    numbers = range(len(tables["nodes"]))
    tables["nodes"]["provider_id"] = [f"aws:///us-east-1a/i-{n:017x}" for n in numbers]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("work") / "s"
    written_of(path, Month(OCTOBER, DAYS), named)
    return path


@pytest.fixture(scope="module")
def machines(snapshot: Path) -> list[Line]:
    """What each machine cost on each day by our own prices: a bill without a surprise."""
    mesh = load(snapshot, Settings())
    return machine_lines(_money(mesh))


def _money(mesh) -> pd.DataFrame:
    from rightsize.review.charges import month_money
    from rightsize.review.month import month_of

    month = month_of(mesh.snapshot)
    return month_money(mesh.snapshot, mesh.settings, month.end).machines


@pytest.fixture
def against(snapshot: Path, tmp_path: Path):
    def held(lines: Sequence[Line], name: str = "cur2.parquet", **review: object) -> AgainstBill:
        file = WRITERS[name](tmp_path / "export" / name, lines)
        settings = Settings.model_validate({"review": review, "prices": {"load_balancers": 0}})
        return load(snapshot, settings).against_bill(file)

    return held


def line(found: AgainstBill, name: str) -> pd.Series:
    (row,) = found.lines[found.lines["line"] == name].to_dict("records")
    return pd.Series(row)


@pytest.mark.parametrize("name", WRITERS)
def test_a_bill_at_our_prices_reconciles_to_the_cent_in_every_form(name, against, machines) -> None:
    found = against([*machines, *EKS], name)
    ec2 = line(found, "EC2 machines")
    assert ec2["bill"] == pytest.approx(ec2["estimate"], abs=0.005)
    assert ec2["cause"] == "agrees"
    assert line(found, "EKS control plane")["difference"] == pytest.approx(0.0, abs=0.005)
    assert set(found.machines["cause"]) == {"agrees"}
    assert found.machines["difference"].abs().max() < 0.005
    assert len(found.machines) == len(machines)


@pytest.mark.parametrize("name", ["cur2.parquet", "legacy.csv.gz", "focus.parquet", "focus.csv"])
def test_what_a_savings_plan_covers_costs_what_the_plan_pays(name, against, machines) -> None:
    covered = [
        one.but(kind="SavingsPlanCoveredUsage", effective=one.billed * 0.7) for one in machines
    ]
    negated = [one.but(kind="SavingsPlanNegation", billed=-one.billed) for one in machines]
    lines = covered if name.startswith("focus") else [*covered, *negated]
    found = against([*lines, *EKS], name)
    ec2 = line(found, "EC2 machines")
    assert ec2["bill"] == pytest.approx(ec2["estimate"] * 0.7, abs=0.005)
    assert ec2["cause"] == "savings-plan"
    assert found.machines["bill_hours"].sum() == pytest.approx(found.machines["hours"].sum())


def test_hours_and_rate_make_up_the_difference_exactly(against, machines) -> None:
    longer = machines[0].but(amount=machines[0].amount + 2, billed=machines[0].billed + 0.2)
    dearer = machines[1].but(billed=machines[1].billed * 1.5)
    found = against([longer, dearer, *machines[2:], *EKS])
    known = found.machines.dropna(subset=["hours", "bill_hours"])
    parts = known["hours_usd"] + known["rate_usd"]
    assert (parts - known["difference"]).abs().max() < 1e-9
    causes = dict(zip(known["instance_id"] + known["day"].astype(str), known["cause"], strict=True))
    assert causes[f"{longer.resource}{longer.start:%Y-%m-%d}"] == "hours"
    assert causes[f"{dearer.resource}{dearer.start:%Y-%m-%d}"] == "rate"


def test_machines_that_only_one_side_knows_are_named(against, machines) -> None:
    stranger = machines[0].but(resource="i-0123456789abcdef0", tags=TAGS)
    found = against([*machines[1:], stranger, *EKS])
    causes = set(found.machines["cause"])
    assert causes == {"agrees", "not-billed", "not-seen"}
    lost = found.machines[found.machines["cause"] == "not-seen"].iloc[0]
    assert lost["difference"] == pytest.approx(stranger.billed)
    ec2 = line(found, "EC2 machines")
    assert ec2["difference"] == pytest.approx(found.machines["difference"].sum(), abs=0.005)


@pytest.mark.parametrize("kind", ["Credit", "Refund", "Tax"])
@pytest.mark.parametrize("name", ["cur2.parquet", "focus.parquet"])
def test_credits_refunds_and_tax_stand_apart(kind, name, against, machines) -> None:
    apart = machines[0].but(kind=kind, billed=-55.5 if kind != "Tax" else 55.5)
    found = against([*machines, apart, *EKS], name)
    assert line(found, "EC2 machines")["cause"] == "agrees"
    (row,) = found.apart.to_dict("records")
    assert (row["charge"], row["of"]) == (kind.lower(), "cluster")
    assert row["usd"] == pytest.approx(apart.billed)


def test_another_currency_is_never_added_to_dollars(against, machines) -> None:
    euros = [one.but(currency="EUR") for one in machines]
    found = against([*euros, *EKS])
    ec2 = line(found, "EC2 machines")
    assert pd.isna(ec2["bill"])
    assert ec2["cause"] == "no-rate-of-currency"
    (row,) = found.apart[found.apart["currency"] == "EUR"].to_dict("records")
    assert row["amount"] == pytest.approx(sum(one.billed for one in machines))
    assert pd.isna(row["usd"])
    assert set(found.machines["cause"]) == {"no-rate-of-currency"}
    assert found.unrated == ("EUR",)
    assert "No rate is set for EUR" in " ".join(against_section(found).paragraphs)


def test_a_stated_rate_compares_another_currency_and_keeps_its_date(against, machines) -> None:
    euros = [one.but(currency="EUR", billed=one.billed / 1.25) for one in machines]
    rate = {"usd": 1.25, "as_of": "2026-10-31"}
    found = against([*euros, *EKS], currencies={"EUR": rate})
    assert line(found, "EC2 machines")["cause"] == "agrees"
    assert str(found.rates["EUR"].as_of) == "2026-10-31"


def test_pods_of_split_cost_allocation_are_beside_the_estimate_and_in_no_sum(
    against, machines
) -> None:
    pods = [
        pod_line(FIRST, str(machines[0].resource), "shop", f"web-{n}", 1.5, 0.5) for n in range(4)
    ]
    found = against([*machines, *pods, *EKS])
    assert line(found, "EC2 machines")["cause"] == "agrees"
    assert line(found, "EKS control plane")["cause"] == "agrees"
    shop = found.namespaces.set_index("namespace").loc["shop"]
    assert shop[["used", "unused", "bill"]].tolist() == [6.0, 2.0, 8.0]
    assert shop["estimate"] > 0


def test_an_export_by_month_is_compared_over_the_month(against, machines) -> None:
    whole: dict[str, Line] = {}
    for one in machines:
        old = whole.get(str(one.resource), one.but(amount=0.0, billed=0.0, start=FIRST))
        more = {"amount": old.amount + one.amount, "billed": old.billed + one.billed}
        whole[str(one.resource)] = old.but(**more)
    found = against([*whole.values(), *EKS])
    assert found.by_month
    assert len(found.machines) == len(whole)
    assert set(found.machines["cause"]) == {"agrees"}


def test_our_own_charges_read_back_agree_with_the_estimate(snapshot, tmp_path) -> None:
    settings = Settings.model_validate({"review": {"billing_account": "123456789012"}})
    mesh = load(snapshot, settings)
    file = tmp_path / "charges.parquet"
    file.write_bytes(focus_parquet(mesh.charges()))
    found = mesh.against_bill(file)
    assert set(found.machines["cause"]) == {"agrees"}
    assert line(found, "EC2 machines")["difference"] == pytest.approx(0.0, abs=0.005)


def test_an_amount_that_the_export_lacks_is_unknown_and_not_zero(against, machines) -> None:
    blind = [one.but(kind="SavingsPlanCoveredUsage", effective=None) for one in machines]
    found = against([*blind, *EKS])
    ec2 = line(found, "EC2 machines")
    assert pd.isna(ec2["bill"])
    assert ec2["cause"] == "unknown-amount"


def test_an_export_without_resource_ids_says_that_no_machine_can_be_found(
    against, machines
) -> None:
    found = against([one.but(resource=None) for one in machines])
    assert not found.named
    assert "no resource ids" in " ".join(against_section(found).paragraphs)
    assert against([*machines, *EKS]).named


def test_other_months_and_other_clusters_are_left_out(against, machines) -> None:
    before = machines[0].but(start=datetime(2026, 9, 30, 23, tzinfo=UTC), billed=99.0)
    after = machines[0].but(start=datetime(2026, 11, 1, tzinfo=UTC), billed=99.0)
    others = machines[0].but(resource="i-0fedcba9876543210", billed=7.0)
    found = against([*machines, before, after, others, *EKS])
    assert line(found, "EC2 machines")["cause"] == "agrees"
    (row,) = found.apart.to_dict("records")
    assert (row["of"], row["amount"]) == ("others", 7.0)


def test_the_page_holds_the_comparison_and_the_same_bill_from_s3(
    snapshot, machines, tmp_path, monkeypatch
) -> None:
    with moto_server() as url:
        keys = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "not-a-secret",
                "AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="exports")
        for month, rows in (("2026-09", [machines[0]]), ("2026-10", [*machines, *EKS])):
            file = cur2(tmp_path / month / "e-00001.snappy.parquet", rows)
            key = f"cur/e/data/BILLING_PERIOD={month}/{file.name}"
            s3.upload_file(str(file), "exports", key)
        s3.put_object(Bucket="exports", Key="cur/e/metadata/e-Manifest.json", Body=b"{}")
        done = rightsize(
            "report", "--snapshot", snapshot, "--bill", "s3://exports/cur/e", "-o", tmp_path / "r"
        )
        assert done.returncode == 0, done.stderr
        gone = rightsize(
            "report", "--snapshot", snapshot, "--bill", "s3://exports/nothing", "-o", tmp_path / "q"
        )
    page = (tmp_path / "r" / "index.html").read_text()
    assert "Estimate against the bill" in page
    assert "agrees to 1 percent" in page
    assert (tmp_path / "r" / "tables" / "bill-lines.csv").exists()
    assert gone.returncode == 6
    assert "no cost export of 2026-10" in gone.stderr
