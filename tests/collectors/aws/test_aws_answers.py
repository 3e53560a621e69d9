"""What the collector reads from AWS, over HTTP, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rightsize.collectors.aws import AwsFacts, AwsSession, Wanted, ask_aws
from rightsize.collectors.aws.bill import category
from rightsize.collectors.aws.instance_types import fetch_instance_types
from rightsize.collectors.aws.prices import fetch_on_demand_prices
from rightsize.collectors.aws.spot import fetch_spot_prices
from rightsize.config import PriceSettings
from rightsize.cost.commitments import commitments_of, cover
from rightsize.cost.node_sets import NodeLot
from rightsize.errors import AwsError
from rightsize.prices.book import PriceBook, bundled_prices
from tests.servers.aws import Gate, iso, price_document

Collect = Callable[..., AwsFacts]


def test_on_demand_prices_come_from_every_page(gate: Gate, session: AwsSession) -> None:
    prices = fetch_on_demand_prices(session).set_index("instance_type")["usd_per_hour"]
    assert prices.to_dict() == {"m5.large": 0.096, "m5.xlarge": 0.192, "c6i.xlarge": 0.17}
    assert len(gate.made("pricing:GetProducts")) == 2


def test_the_price_list_is_asked_for_shared_linux_on_demand_machines_of_the_region(
    gate: Gate, session: AwsSession
) -> None:
    fetch_on_demand_prices(session)
    body = gate.made("pricing:GetProducts")[0].body
    asked = {one["Field"]: one["Value"] for one in body["Filters"]}
    assert asked["regionCode"] == "us-east-1"
    assert (asked["tenancy"], asked["operatingSystem"]) == ("Shared", "Linux")
    assert (asked["capacitystatus"], asked["marketoption"]) == ("Used", "OnDemand")
    assert (asked["preInstalledSw"], asked["productFamily"]) == ("NA", "Compute Instance")


@pytest.mark.parametrize(
    ("region", "asked"),
    [
        ("us-west-2", "us-east-1"),
        ("eu-west-1", "eu-central-1"),
        ("ap-northeast-1", "ap-south-1"),
        ("sa-east-1", "us-east-1"),
        ("cn-north-1", "cn-northwest-1"),
    ],
)
def test_the_price_list_is_asked_in_the_endpoint_region_of_the_continent(
    gate: Gate, region: str, asked: str
) -> None:
    gate.account.products = [price_document("m5.large", "0.1", region=region)]
    fetch_on_demand_prices(AwsSession(region, max_attempts=1))
    assert {request.region for request in gate.made("pricing:GetProducts")} == {asked}


def test_govcloud_has_no_price_list_and_says_so(gate: Gate) -> None:
    with pytest.raises(AwsError, match="aws-us-gov has no Price List endpoint"):
        fetch_on_demand_prices(AwsSession("us-gov-west-1", max_attempts=1))
    assert gate.made("pricing:GetProducts") == []


def test_yuan_become_dollars_at_the_rate_of_the_settings(gate: Gate) -> None:
    gate.account.products = [price_document("m5.large", "0.7", region="cn-north-1", currency="CNY")]
    session = AwsSession("cn-north-1", max_attempts=1)
    prices = fetch_on_demand_prices(session, usd_per_cny=0.14)
    assert prices["usd_per_hour"].tolist() == pytest.approx([0.098])
    for fetch in (fetch_on_demand_prices, fetch_spot_prices):
        with pytest.raises(AwsError, match="in CNY"):
            fetch(session)
    spot = fetch_spot_prices(session, usd_per_cny=0.14).set_index("zone")
    assert spot.loc["us-east-1b", "usd_per_hour"] == pytest.approx(0.0401 * 0.14)


def test_the_newest_spot_price_of_each_zone_counts_and_the_history_gives_its_range(
    session: AwsSession,
) -> None:
    prices = fetch_spot_prices(session, days=1).set_index("zone")
    assert prices.loc["us-east-1a", "usd_per_hour"] == 0.0423
    assert prices.loc["us-east-1a", ["lowest", "highest"]].tolist() == [0.0423, 0.0437]
    assert prices.loc["us-east-1b", "usd_per_hour"] == 0.0401


def test_shapes_are_read_page_by_page(gate: Gate, session: AwsSession) -> None:
    shapes = fetch_instance_types(session).set_index("instance_type")
    assert shapes.loc["m5.large", ["vcpu", "max_enis", "ipv4_per_eni"]].tolist() == [2, 3, 10]
    assert shapes.loc["m5.large", "memory"] == 8 * 2**30
    assert shapes.loc["c6g.xlarge", "arch"] == "arm64"
    assert len(gate.made("ec2:DescribeInstanceTypes")) == 2


@pytest.mark.servers
def test_shapes_of_a_real_recording_agree_with_the_bundled_catalogue(
    gate: Gate, session: AwsSession
) -> None:
    from rightsize.prices.catalogue import instance_types

    gate.account.shapes = None  # moto answers, with AWS's recorded list
    live = fetch_instance_types(session).set_index("instance_type")
    assert len(live) > 1000
    bundled = instance_types().set_index("instance_type").reindex(live.index.astype(str))
    for column in ("vcpu", "memory", "ipv4_per_eni"):
        known = bundled[column].notna()
        assert (live[column][known.to_numpy()].to_numpy() == bundled[column][known]).all(), column


def test_the_clusters_machines_are_those_with_its_tag(collect: Collect) -> None:
    machines = collect().tables["instances"]
    assert len(machines) == 3
    assert sorted(machines["purchase_option"]) == ["on-demand", "on-demand", "spot"]
    assert set(machines["node_group"]) == {"blue"}
    assert machines["root_gib"].notna().all()


def test_a_machine_says_who_reaches_its_metadata(collect: Collect) -> None:
    machines = collect().tables["instances"].set_index("purchase_option")
    spot = machines.loc["spot", ["metadata_tokens", "metadata_hops", "metadata_endpoint"]]
    assert spot.tolist() == ["required", 2, "enabled"]


def test_a_cluster_without_machines_is_missing_not_empty(collect: Collect) -> None:
    facts = collect(Wanted("no-such-cluster"))
    assert "instances" not in facts.tables
    assert any("kubernetes.io/cluster/no-such-cluster" in gap.what for gap in facts.missing)


def test_scaling_events_tell_launches_from_terminations(gate: Gate, collect: Collect) -> None:
    now = iso(datetime.now(UTC) - timedelta(days=1))
    gate.account.activities = [
        ("a1", "Launching a new EC2 instance: i-0", now),
        ("a2", "Terminating EC2 instance: i-0", now),
        ("a3", "Updating load balancers", now),
    ]
    events = collect().tables["scaling_events"].set_index("activity")
    assert events["kind"].to_dict() == {"a1": "launch", "a2": "terminate", "a3": "other"}
    assert set(events["group"]) == {"blue"}


def test_the_bill_is_read_with_categories_page_by_page(gate: Gate, collect: Collect) -> None:
    bill = collect().tables["bill"]
    assert bill["unblended_usd"].sum() == pytest.approx(310.46)
    by_category = bill.groupby("category", observed=True)["unblended_usd"].sum()
    assert by_category["ec2"] == pytest.approx(171.04)
    assert by_category["ebs"] == pytest.approx(4.80)
    assert len(gate.made("ce:GetCostAndUsage")) == 4


def test_credits_refunds_and_tax_are_not_asked_for(gate: Gate, collect: Collect) -> None:
    collect()
    parts = gate.made("ce:GetCostAndUsage")[0].body["Filter"]["And"]
    [left_out] = [part["Not"]["Dimensions"] for part in parts if "Not" in part]
    assert left_out["Key"] == "RECORD_TYPE"
    assert {"Credit", "Refund", "Tax"} <= set(left_out["Values"])


def test_the_bill_is_asked_for_only_on_request(gate: Gate, collect: Collect) -> None:
    facts = collect(Wanted())
    assert "bill" not in facts.tables
    assert not [request for request in gate.requests if request.service == "ce"]


def test_the_bill_can_be_bound_to_the_clusters_cost_tag(gate: Gate, collect: Collect) -> None:
    from dataclasses import replace

    from tests.collectors.aws.conftest import EVERYTHING

    facts = collect(replace(EVERYTHING, bill_by_tag=True))
    parts = gate.made("ce:GetCostAndUsage")[0].body["Filter"]["And"]
    assert {"Tags": {"Key": "aws:eks:cluster-name", "Values": ["shop"]}} in parts
    assert set(facts.tables["bill"]["scope"]) == {"aws:eks:cluster-name=shop"}


@pytest.mark.parametrize(
    ("service", "usage_type", "expected"),
    [
        ("EC2 - Other", "USE2-EBS:VolumeUsage.gp3", "ebs"),
        ("EC2 - Other", "EU-NatGateway-Bytes", "nat"),
        ("EC2 - Other", "DataTransfer-Regional-Bytes", "data-transfer"),
        ("Amazon Elastic Compute Cloud - Compute", "EUC1-SpotUsage:m5.large", "ec2"),
        ("Amazon Elastic Load Balancing", "EU-LCUUsage", "load-balancer"),
        ("Amazon Elastic Container Service for Kubernetes", "EU-AmazonEKS-Hours", "eks"),
        ("EC2 - Other", "CPUCredits:t3", "other"),
    ],
)
def test_bill_lines_are_sorted_by_what_they_pay_for(
    service: str, usage_type: str, expected: str
) -> None:
    assert category(service, usage_type) == expected


def test_savings_plans_and_reservations_held_are_listed_with_what_they_cost(
    gate: Gate, collect: Collect
) -> None:
    common = {"state": "active", "currency": "USD", "end": "2027-01-01T00:00:00Z"}
    gate.account.plans = [
        {"savingsPlanId": "sp-1", "savingsPlanType": "Compute", "commitment": "1.50"} | common,
        {"savingsPlanId": "sp-2", "savingsPlanType": "SageMaker", "commitment": "9.99"} | common,
        {
            "savingsPlanId": "sp-3",
            "savingsPlanType": "EC2Instance",
            "region": "eu-west-1",
            "ec2InstanceFamily": "m5",
            "commitment": "7.00",
        }
        | common,
    ]
    gate.account.reserved = [
        {
            "reservedInstancesId": "ri-1",
            "instanceType": "m5.large",
            "instanceCount": "2",
            "productDescription": "Linux/UNIX (Amazon VPC)",
            "duration": str(365 * 86400),
            "fixedPrice": "294.0",
            "currencyCode": "USD",
            "end": "2027-01-01T00:00:00Z",
        }
    ]
    dedicated = {"reservedInstancesId": "ri-2", "instanceTenancy": "dedicated"}
    gate.account.reserved.append(gate.account.reserved[0] | dedicated)
    held = collect().tables["commitments"].set_index("commitment")
    assert set(held.index) == {"sp-1", "ri-1", "coverage"}
    assert held.loc["sp-1", "usd_per_hour"] == 1.5
    assert held.loc["ri-1", "usd_per_hour"] == pytest.approx(2 * 294 / 8760)
    assert held.loc["coverage", "covered_share"] == pytest.approx(0.6)


_HELD = {
    "reservedInstancesId": "ri-5",
    "instanceType": "m5.4xlarge",
    "instanceCount": "5",
    "productDescription": "Linux/UNIX (Amazon VPC)",
    "duration": str(365 * 86400),
    "fixedPrice": str(0.48418 * 8760),
    "currencyCode": "USD",
    "end": "2027-01-01T00:00:00Z",
}
_ZONE = {"availabilityZone": "us-east-1a", "scope": "Availability Zone"}


@pytest.mark.parametrize(
    ("held", "running", "usd_a_month"),
    [
        # 24 * 0.192 * 730 = 3,363.84 on demand, and 1,767.26 for reservations that cover nothing.
        (_HELD | _ZONE, "m5.xlarge", 5131.1),
        # A regional one floats: 5 m5.4xlarge are 20 m5.xlarge.
        (_HELD, "m5.xlarge", 2327.9),
        # Zone and size fit.
        (_HELD | _ZONE, "m5.4xlarge", 1767.26 + 19 * 0.768 * 730),
        # Another zone.
        (
            _HELD | _ZONE | {"availabilityZone": "us-east-1b"},
            "m5.4xlarge",
            1767.26 + 24 * 0.768 * 730,
        ),
        # A family without size flexibility, 5 of another size.
        (_HELD | {"instanceType": "g4dn.4xlarge"}, "g4dn.xlarge", 1767.26 + 24 * 0.526 * 730),
        # Other tenancy, other platform: no part of this node set's bill.
        (_HELD | {"instanceTenancy": "dedicated"}, "m5.xlarge", 3363.84),
        (_HELD | {"productDescription": "Windows"}, "m5.xlarge", 3363.84),
        (_HELD | {"productDescription": "Red Hat Enterprise Linux"}, "m5.xlarge", 3363.84),
    ],
)
def test_a_reservation_pays_for_machines_of_its_scope_alone(
    gate: Gate, collect: Collect, held: dict[str, str], running: str, usd_a_month: float
) -> None:
    gate.account.reserved = [held]
    table = collect().tables["commitments"]
    table = table[table["kind"] != "coverage"]
    node_set = (NodeLot(running, 24, zone="us-east-1a"),)
    paid = cover(
        node_set, PriceBook(bundled_prices("us-east-1"), region="us-east-1"), commitments_of(table)
    )
    assert paid is not None
    assert paid.paid * 730 == pytest.approx(usd_a_month, abs=1.0)


def test_having_no_commitment_is_kept_apart_from_not_knowing(gate: Gate, collect: Collect) -> None:
    assert "none" in set(collect().tables["commitments"]["kind"])
    gate.fail("ec2:DescribeReservedInstances", "UnauthorizedOperation", status=403)
    kinds = set(collect().tables["commitments"]["kind"])
    assert "unknown" in kinds
    assert "none" not in kinds


@pytest.mark.parametrize("currency", ["EUR", "CNY"])
def test_a_commitment_in_another_currency_is_unknown_and_no_dollars(
    gate: Gate, collect: Collect, currency: str
) -> None:
    gate.account.reserved = [_HELD | {"currencyCode": currency}]
    table = collect().tables["commitments"]
    assert table.loc[table["kind"] == "reserved-instance", "usd_per_hour"].isna().all()
    assert not commitments_of(table).known
    gate.account.reserved = []
    gate.account.plans = [
        {"savingsPlanId": "sp-1", "savingsPlanType": "Compute", "commitment": "1.50",
         "state": "active", "end": "2027-01-01T00:00:00Z", "currency": currency}
    ]  # fmt: skip
    table = collect().tables["commitments"]
    assert not commitments_of(table).known
    assert not (table["usd_per_hour"] == 1.5).any()


def test_rates_and_prices_in_another_currency_are_not_taken_for_dollars(
    gate: Gate, collect: Collect, session: AwsSession
) -> None:
    for rate in gate.account.rates:
        rate["savingsPlanOffering"]["currency"] = "CNY"
    prices = collect(Wanted()).tables["prices"]
    assert "savings-plan" not in set(prices["purchase_option"])
    gate.account.products = [price_document("m5.large", "0.7", currency="EUR")]
    with pytest.raises(AwsError, match="in EUR"):
        fetch_on_demand_prices(session)


def test_a_commitment_of_the_settings_stands_in_for_asking(gate: Gate, session: AwsSession) -> None:
    settings = PriceSettings(commitment_usd_per_hour=2.0, commitment_discount=0.28)
    held = ask_aws(session, Wanted(), settings=settings).tables["commitments"]
    assert held[["kind", "usd_per_hour", "discount"]].values.tolist() == [["setting", 2.0, 0.28]]
    assert gate.made("savingsplans:DescribeSavingsPlans") == []


def test_savings_plans_rates_take_the_one_year_offer_from_every_page(
    gate: Gate, collect: Collect
) -> None:
    from tests.servers.aws import YEAR_SECONDS, plan_rate

    gate.account.rates.append(plan_rate("m5.large", "0.04", seconds=3 * YEAR_SECONDS))
    prices = collect(Wanted()).tables["prices"]
    plans = prices[prices["purchase_option"] == "savings-plan"].set_index("instance_type")
    assert plans["usd_per_hour"].to_dict() == {"m5.large": 0.07, "m5.xlarge": 0.14}


def test_extended_support_of_the_clusters_version_is_noticed(gate: Gate, collect: Collect) -> None:
    assert collect().eks_support == "standard"
    gate.account.version_status = "EXTENDED_SUPPORT"
    assert collect().eks_support == "extended"
