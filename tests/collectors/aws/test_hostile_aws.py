"""Whatever AWS sends: an answer or one error, in bounded memory and time, and nothing made up."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSResponse

from rightsize.collectors.aws import AwsSession, Cache, ask_aws, transport
from rightsize.collectors.aws.commitments import fetch_reserved_instances, fetch_savings_plans
from rightsize.collectors.aws.plan_rates import fetch_plan_rates
from rightsize.collectors.aws.spot import fetch_spot_prices
from rightsize.errors import AmbiguousPriceError, AwsError, AwsUnreachableError
from rightsize.snapshot import TABLES
from rightsize.snapshot.faults import within_range
from rightsize.snapshot.schema import to_arrow
from tests.collectors.aws.conftest import EVERYTHING, KEYS
from tests.servers.aws import Gate, plan_rate

DOCUMENTED_MIB = 500
"""docs/collect.md, for AWS as for a metrics server."""
VALUES: tuple[object, ...] = (
    *(None, True, "x", "", [], {}, -1, 1e300, 10**25, "1e999", "NaN", "-5", "2026-99-99", "\u202e"),
    *([[1]], {"a": {}}, "9" * 5000),
)


@pytest.fixture(scope="module")
def runs() -> list[dict]:
    """Every hostile answer, in one process of its own so that its memory is known."""
    command = [sys.executable, "-m", "tests.collectors.hostile_answers", "http://127.0.0.1:9"]
    done = subprocess.run(
        [*command, "0.5"], capture_output=True, text=True, check=False, env=os.environ | KEYS
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_no_answer_ends_in_a_traceback(runs: list[dict]) -> None:
    assert len(runs) > 80
    assert [run for run in runs if run["kind"] == "traceback"] == []
    # Each was asked, and did not end before.
    assert [run for run in runs if run["kind"] == "AwsCredentialsError"] == []
    assert not any("root:" in run["said"] for run in runs)


def test_what_never_ends_is_an_error_in_bounded_memory_and_time(runs: list[dict]) -> None:
    without_end = [run for run in runs if "endless" in run["name"] or "drips" in run["name"]]
    assert len(without_end) > 15
    assert not [run for run in without_end if run["kind"] == "answer"]
    assert max(run["peak_mib"] for run in runs) < DOCUMENTED_MIB
    assert all(len(run["said"]) < 1000 for run in runs)


class _Answers:
    """In place of the HTTP session of every client: recorded answers, one of them altered."""

    def __init__(self, http: object) -> None:
        self.http = http

    def send(self, request: SimpleNamespace) -> AWSResponse:
        key = re.sub(r"[?].*", "", request.url) + _operation(request)
        if key not in RECORDED:
            RECORDED[key] = self.http.send(request)
        there = RECORDED[key]
        body = ALTERED.get(key, there.content)
        raw = SimpleNamespace(stream=lambda: [body])
        return AWSResponse(request.url, there.status_code, there.headers, raw)


RECORDED: dict[str, AWSResponse] = {}
ALTERED: dict[str, bytes] = {}


def _operation(request: SimpleNamespace) -> str:
    target = request.headers.get("X-Amz-Target", b"")
    named = re.search(r"Action=(\w+)", str(request.body))
    return f" {target!s}{named[1] if named else ''}"


def altered(body: bytes, rng: random.Random) -> bytes:
    """One value of an answer replaced, whatever it was."""
    value = rng.choice(VALUES)
    if body.lstrip().startswith(b"<"):
        root = ElementTree.fromstring(body)
        element = rng.choice([one for one in root.iter() if one is not root])
        del element[:]
        if isinstance(value, (dict, list)):
            ElementTree.SubElement(element, "item").text = "x"
        element.text = None if value is None else json.dumps(value).strip('"')
        return ElementTree.tostring(root)
    document = json.loads(body)
    places = list(_places(document))
    if inner := [place for place in places if str(place[0][place[1]]).startswith('{"')]:
        # An entry of the price list is text that holds JSON.
        holder, key = rng.choice(inner)
        within = json.loads(holder[key])
        node, name = rng.choice(list(_places(within)))
        node[name] = value
        holder[key] = json.dumps(within)
    else:
        node, name = rng.choice(places)
        node[name] = value
    return json.dumps(document).encode()


def _places(node: object) -> Iterator[tuple]:
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in list(items):
        yield node, key
        yield from _places(value)


def test_an_altered_value_is_an_error_or_not_known(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table that comes of it holds what a snapshot can hold."""
    gate.page_size = 9
    gate.account.plans = [
        {"savingsPlanId": "sp-1", "savingsPlanType": "Compute", "commitment": "0.5",
         "currency": "USD", "end": "2027-01-01T00:00:00Z", "region": "us-east-1"}
    ]  # fmt: skip
    gate.account.reserved = [
        {"reservedInstancesId": "r", "instanceType": "m5.large", "duration": "31536000",
         "instanceCount": "2", "productDescription": "Linux/UNIX", "fixedPrice": "10.0"}
    ]  # fmt: skip
    gate.account.activities = [("a", "Launching a new EC2 instance: i-1", "2026-10-01T00:00:00Z")]
    RECORDED.clear()
    session = AwsSession("us-east-1", max_attempts=1)
    made = session._made

    def recorded(*arguments: object) -> object:
        client = made(*arguments)
        client._endpoint.http_session = _Answers(client._endpoint.http_session)
        return client

    monkeypatch.setattr(session, "_made", recorded)
    whole = ask_aws(session, EVERYTHING, cache=Cache(refresh=True))
    assert not whole.missing
    rng, seen = random.Random(7), {"tables": 0, "missing": 0}
    keys = sorted(RECORDED)
    assert len(keys) >= 13
    for number in range(4 * len(keys)):
        key = keys[number % len(keys)]
        ALTERED.clear()
        ALTERED[key] = altered(RECORDED[key].content, rng)
        facts = ask_aws(session, EVERYTHING, cache=Cache(refresh=True))
        seen["missing" if facts.missing else "tables"] += 1
        for name, table in facts.tables.items():
            typed = to_arrow(TABLES[name], table)
            assert within_range(TABLES[name], typed).equals(typed), (key, ALTERED[key][:500])
    ALTERED.clear()
    gate.page_size = 2
    assert min(seen.values()) > 0


@pytest.mark.parametrize("fetch", [fetch_savings_plans, fetch_reserved_instances])
@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>", b"{}", b"<R/>"])
def test_an_answer_without_its_list_is_not_none_held(
    gate: Gate,
    session: AwsSession,
    monkeypatch: pytest.MonkeyPatch,
    fetch: Callable[[AwsSession], object],
    body: bytes,
) -> None:
    monkeypatch.setattr("tests.servers.aws._answer", lambda *_: ("text/plain", body))
    with pytest.raises(AwsError):
        fetch(session)


def test_pages_with_ever_new_tokens_end(
    gate: Gate, session: AwsSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter(range(10**9))
    monkeypatch.setattr(
        "tests.servers.aws._page", lambda items, token, size: (items, f"t{next(tokens)}")
    )
    monkeypatch.setattr(transport, "_CALL_BYTES", 20_000)
    with pytest.raises(AwsError, match="DescribeSpotPriceHistory.*larger than"):
        fetch_spot_prices(session)
    assert next(tokens) < 100


def test_pages_that_lead_in_a_circle_end(
    gate: Gate, session: AwsSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = {None: "a", "a": "b", "b": "a"}
    monkeypatch.setattr("tests.servers.aws._page", lambda items, token, size: (items, after[token]))
    with pytest.raises(AwsError, match="page token"):
        fetch_spot_prices(session)


def test_a_silent_endpoint_is_waited_for_twice(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rightsize.collectors.aws.session.READ_SECONDS", 0.2)
    monkeypatch.setattr("tests.servers.aws._answer", lambda *_: __import__("time").sleep(2))
    asked = AwsSession("us-east-1", max_attempts=8)
    with pytest.raises(AwsUnreachableError, match="no whole answer"):
        fetch_spot_prices(asked)
    assert len(gate.made("ec2:DescribeSpotPriceHistory")) == 2


@pytest.mark.parametrize("rate", ["NaN", "Infinity", "-1", "1e400"])
def test_a_rate_that_no_machine_has_is_no_price(gate: Gate, session: AwsSession, rate: str) -> None:
    gate.account.rates = [plan_rate("m5.large", rate), plan_rate("m5.xlarge", "0.14")]
    assert fetch_plan_rates(session)["usd_per_hour"].dropna().tolist() == [0.14]


def test_a_planted_programming_error_keeps_its_traceback(
    gate: Gate, session: AwsSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rightsize.collectors.aws.spot.spot_table", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fetch_spot_prices(session)


def test_an_ambiguous_price_stays_one(gate: Gate, session: AwsSession) -> None:
    gate.account.rates = [plan_rate("m5.large", "0.07"), plan_rate("m5.large", "0.08")]
    with pytest.raises(AmbiguousPriceError):
        ask_aws(session, EVERYTHING, cache=Cache(refresh=True))


def test_the_documented_memory_is_in_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "collect.md").read_text()
    assert f"{DOCUMENTED_MIB} MB" in page
