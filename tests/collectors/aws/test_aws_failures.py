"""What the collector says when AWS refuses, throttles, or tells nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rightsize.collectors.aws import (
    CALLS,
    AwsFacts,
    AwsSession,
    Cache,
    Wanted,
    ask_aws,
    collect_aws,
)
from rightsize.collectors.aws.prices import fetch_on_demand_prices, read_offer
from rightsize.collectors.aws.spot import fetch_spot_prices
from rightsize.config import PriceSettings
from rightsize.errors import (
    AmbiguousPriceError,
    AwsAccessDeniedError,
    AwsCredentialsError,
    AwsError,
    AwsExpiredError,
    AwsRegionError,
    AwsRoleError,
    AwsThrottledError,
    AwsUnreachableError,
)
from tests.servers.aws import Gate, iso, plan_rate, price_document

Collect = Callable[..., AwsFacts]

DENIED = {"ec2": "UnauthorizedOperation", "autoscaling": "AccessDenied"}

TABLE_LOST = {
    "ec2:DescribeInstanceTypes": "instance_types",
    "ec2:DescribeInstances": "instances",
    "autoscaling:DescribeAutoScalingGroups": "scaling_events",
    "autoscaling:DescribeScalingActivities": "scaling_events",
    "ce:GetCostAndUsage": "bill",
}


@pytest.mark.parametrize("action", [call.action for call in CALLS])
def test_a_call_that_is_denied_alone_is_missing_and_the_rest_is_there(
    gate: Gate, collect: Collect, action: str
) -> None:
    gate.fail(action, DENIED.get(action.split(":")[0], "AccessDeniedException"), status=403)
    facts = collect()
    [gap] = [gap for gap in facts.missing if action in gap.what]
    assert gap.costs
    everything = {"instance_types", "prices", "commitments", "instances", "scaling_events", "bill"}
    assert everything - set(facts.tables) == {TABLE_LOST.get(action)} - {None}


def test_denied_everywhere_is_an_error_that_names_the_policy(gate: Gate, collect: Collect) -> None:
    for call in CALLS:
        gate.fail(call.action, DENIED.get(call.service, "AccessDeniedException"), status=403)
    with pytest.raises(AwsAccessDeniedError, match="iam-policy"):
        collect()


def test_missing_credentials_are_an_error_when_live_prices_are_wanted(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsCredentialsError, match="credentials"):
        collect_aws("us-east-1", live=True)


def test_without_credentials_the_bundled_prices_serve_with_their_date(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    facts = collect_aws("us-east-1")
    price = facts.tables["prices"].set_index("instance_type").loc["m5.large"]
    assert price["usd_per_hour"] == 0.096
    assert "bundled" in price["source"]
    assert price["as_of"].year == 2026
    assert "unknown" in set(facts.tables["commitments"]["kind"])
    assert "bundled catalogue" in facts.missing[0].costs


def test_when_only_the_price_list_fails_the_bundled_prices_fill_in(
    gate: Gate, tmp_path: Path
) -> None:
    gate.fail("pricing:GetProducts", "AccessDeniedException", status=403)
    facts = collect_aws(
        "us-east-1", settings=PriceSettings(max_attempts=1), cache=Cache(tmp_path / "c")
    )
    prices = facts.tables["prices"]
    listed = prices[prices["purchase_option"] == "on-demand"]
    assert set(listed["source"].astype(str).str.startswith("bundled")) == {True}
    assert (prices["purchase_option"] == "spot").any()


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestExpired"])
def test_expired_credentials_are_reported_as_such(gate: Gate, collect: Collect, code: str) -> None:
    gate.fail("*", code, status=403)
    with pytest.raises(AwsExpiredError, match="sign in"):
        collect()


def test_keys_that_aws_does_not_know_are_reported_as_such(gate: Gate, collect: Collect) -> None:
    gate.fail("*", "InvalidClientTokenId", status=403)
    with pytest.raises(AwsCredentialsError):
        collect()


def test_credentials_that_expire_half_way_stop_the_collection(gate: Gate, collect: Collect) -> None:
    gate.fail("savingsplans:DescribeSavingsPlans", "ExpiredTokenException", status=403)
    with pytest.raises(AwsExpiredError):
        collect()


def test_an_unknown_profile_is_reported_as_such(gate: Gate) -> None:
    with pytest.raises(AwsCredentialsError, match="no-such-profile"):
        AwsSession("us-east-1", profile="no-such-profile")


def test_a_role_is_assumed_for_every_call(gate: Gate) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    fetch_on_demand_prices(AwsSession("us-east-1", role_arn=role, max_attempts=1))
    assert gate.made("sts:AssumeRole")[0].body["RoleArn"] == role


def test_a_role_that_cannot_be_assumed_is_reported_as_such(gate: Gate) -> None:
    gate.fail("sts:AssumeRole", "AccessDenied", status=403)
    with pytest.raises(AwsRoleError, match="role/reader"):
        AwsSession("us-east-1", role_arn="arn:aws:iam::123456789012:role/reader", max_attempts=1)


def test_a_throttled_page_is_asked_again(gate: Gate) -> None:
    gate.fail("pricing:GetProducts", "ThrottlingException", times=1)
    prices = fetch_on_demand_prices(AwsSession("us-east-1", max_attempts=3))
    assert len(prices) == 3
    assert len(gate.made("pricing:GetProducts")) == 3


def test_a_throttle_without_end_is_reported_as_such(gate: Gate) -> None:
    gate.fail("ec2:DescribeSpotPriceHistory", "RequestLimitExceeded", status=503)
    with pytest.raises(AwsThrottledError, match="DescribeSpotPriceHistory"):
        fetch_spot_prices(AwsSession("us-east-1", max_attempts=2))
    assert len(gate.made("ec2:DescribeSpotPriceHistory")) == 2


def test_an_unknown_region_is_reported_as_such(gate: Gate) -> None:
    with pytest.raises(AwsRegionError, match="mars-1"):
        AwsSession("mars-1")


def test_a_region_that_only_looks_right_is_reported_as_such(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1")
    with pytest.raises(AwsRegionError):
        fetch_spot_prices(AwsSession("us-east-99", max_attempts=1))


def test_no_region_at_all_is_reported_as_such(gate: Gate) -> None:
    with pytest.raises(AwsRegionError, match="no AWS region"):
        AwsSession()


def test_the_region_may_come_from_the_environment(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert AwsSession().region == "eu-west-1"


def test_an_endpoint_that_does_not_answer_is_reported_as_such(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", "http://127.0.0.1:1")
    with pytest.raises(AwsUnreachableError, match="pricing:GetProducts"):
        fetch_on_demand_prices(AwsSession("us-east-1", max_attempts=1))


def test_without_a_network_two_services_are_tried_and_no_more(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    session = AwsSession("us-east-1", max_attempts=8)
    asked = []
    monkeypatch.setattr(
        session,
        "pages",
        lambda call, body, pages=session.pages: asked.append(call) or pages(call, body),
    )
    with pytest.raises(AwsUnreachableError):
        ask_aws(session, Wanted(), cache=Cache(refresh=True))
    assert len(asked) == 2


def test_a_page_token_that_repeats_does_not_loop_for_ever(
    gate: Gate, session: AwsSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.servers.aws._page", lambda items, token, size: (items[:1], "1"))
    with pytest.raises(AwsError, match="page token"):
        fetch_on_demand_prices(session)


def test_two_skus_for_one_type_fail_loudly_and_nothing_is_chosen(
    gate: Gate, collect: Collect
) -> None:
    gate.account.products.append(price_document("m5.large", "0.1060", sku="OTHER"))
    with pytest.raises(AmbiguousPriceError, match="m5.large.*OTHER"):
        collect()


def test_two_savings_plan_rates_for_one_type_fail_loudly(gate: Gate, collect: Collect) -> None:
    gate.account.rates.append(plan_rate("m5.large", "0.0600", offering="o-2"))
    with pytest.raises(AmbiguousPriceError, match="m5.large"):
        collect()


def test_a_type_whose_price_is_zero_or_absent_has_no_price(gate: Gate, collect: Collect) -> None:
    gate.account.products.append(price_document("c6g.xlarge", "0.0000000000"))
    facts = collect()
    assert "c6g.xlarge" in set(facts.tables["instance_types"]["instance_type"])
    prices = facts.tables["prices"]
    assert "c6g.xlarge" not in set(prices["instance_type"])
    assert (prices["usd_per_hour"] > 0).all()


@pytest.mark.parametrize(
    ("attributes"),
    [
        {"tenancy": "Dedicated"},
        {"operatingSystem": "Windows"},
        {"preInstalledSw": "SQL Std"},
        {"capacitystatus": "AllocatedCapacityReservation"},
        {"regionCode": "us-west-2"},
    ],
)
def test_a_product_that_is_something_else_is_passed_over(attributes: dict[str, str]) -> None:
    assert read_offer(price_document("m5.large", "0.1", **attributes), "us-east-1") is None


def test_a_price_by_another_unit_is_passed_over() -> None:
    text = price_document("m5.large", "294").replace('"Hrs"', '"Quantity"')
    assert read_offer(text, "us-east-1") is None


def test_prices_keep_every_digit_that_aws_wrote() -> None:
    offer = read_offer(price_document("t4g.nano", "0.0042000001"), "us-east-1")
    assert offer is not None
    assert str(offer.price) == "0.0042000001"


@pytest.mark.parametrize("text", ["not json", "[]", json.dumps({"product": {}})])
def test_a_price_document_that_cannot_be_read_is_reported_as_such(text: str) -> None:
    with pytest.raises(AwsError, match="cannot be read"):
        read_offer(text, "us-east-1")


@pytest.mark.servers
def test_the_fake_spot_price_of_a_stand_in_server_is_refused(
    gate: Gate, session: AwsSession
) -> None:
    gate.account.spot = None  # moto answers 0.00001, set in 2006
    with pytest.raises(AwsError, match="no credible Spot price"):
        fetch_spot_prices(session, instance_types=["m5.large"])


def test_a_spot_price_older_than_the_history_is_refused(gate: Gate, session: AwsSession) -> None:
    old = datetime.now(UTC) - timedelta(days=91)
    gate.account.spot = [("m5.large", "us-east-1a", "0.04", iso(old))]
    with pytest.raises(AwsError, match="too old"):
        fetch_spot_prices(session)


def test_stored_answers_are_used_again_with_their_age(
    gate: Gate, collect: Collect, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "kept")
    first = collect(Wanted(), cache=cache)
    second = collect(Wanted(), cache=cache)
    assert len(gate.made("ec2:DescribeInstanceTypes")) == 2  # two pages, once
    stored = {one.source: one for one in second.asked}["on-demand prices"]
    assert stored.stored
    assert (
        stored.fetched_at == {one.source: one for one in first.asked}["on-demand prices"].fetched_at
    )
    assert second.tables["prices"].equals(first.tables["prices"])


def test_refresh_asks_again(gate: Gate, collect: Collect, tmp_path: Path) -> None:
    collect(Wanted(), cache=Cache(tmp_path / "kept"))
    before = len(gate.made("pricing:GetProducts"))
    collect(Wanted(), cache=Cache(tmp_path / "kept", refresh=True))
    assert len(gate.made("pricing:GetProducts")) == 2 * before


def test_a_stored_answer_past_its_age_is_asked_again(
    gate: Gate, collect: Collect, tmp_path: Path
) -> None:
    settings = PriceSettings(cache_hours=0)
    collect(Wanted(), cache=Cache(tmp_path / "kept"), settings=settings)
    before = len(gate.made("pricing:GetProducts"))
    collect(Wanted(), cache=Cache(tmp_path / "kept"), settings=settings)
    assert len(gate.made("pricing:GetProducts")) == 2 * before


def test_a_damaged_stored_answer_is_asked_again(
    gate: Gate, collect: Collect, tmp_path: Path
) -> None:
    collect(Wanted(), cache=Cache(tmp_path / "kept"))
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(b"damaged")
    assert "prices" in collect(Wanted(), cache=Cache(tmp_path / "kept")).tables


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    gate: Gate, collect: Collect, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "prices" in collect(Wanted(), cache=Cache(tmp_path / "file" / "kept")).tables
