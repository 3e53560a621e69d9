"""`rightsize prices` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rightsize.cli.prices import app
from rightsize.config import PriceSettings
from rightsize.cost.answer import terms_for
from rightsize.errors import AwsCredentialsError, UsageError
from rightsize.snapshot import Snapshot
from tests.servers.aws import Gate
from tests.tiny_mesh import Tiny, tiny_snapshot


@pytest.fixture
def run(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def prices(*arguments: str):
        result = CliRunner().invoke(app, ["--region", "us-east-1", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return prices


def test_json_has_a_version_prices_their_source_and_age(run) -> None:
    result = run("--cluster", "shop", "--format", "json")
    body = json.loads(result.stdout)
    assert body["schema_version"] == 1
    [row] = body["prices"]  # the cluster's only type
    assert (row["instance_type"], row["on_demand"], row["savings_plan"]) == (
        "m5.large",
        0.096,
        0.07,
    )
    assert (row["spot_lowest_zone"], row["spot_highest_zone"]) == (0.0401, 0.0423)
    assert len(body["instances"]) == 3
    assert {one["source"] for one in body["asked"]} >= {"on-demand prices", "Spot prices"}
    assert all(one["age_hours"] >= 0 for one in body["asked"])


def test_every_field_of_the_json_is_in_the_guide(run) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "aws.md").read_text()
    body = json.loads(run("--cluster", "shop", "--bill", "2026-10", "--format", "json").stdout)
    for part in (body, body["prices"][0], body["asked"][0]):
        for name in part:
            assert f"`{name}`" in guide or f"`{name}[]`" in guide, name


def test_the_table_shows_unknown_where_there_is_no_price(run) -> None:
    result = run("--instance-type", "c6g.xlarge")
    line = next(line for line in result.stdout.splitlines() if "c6g.xlarge" in line)
    assert line.count("unknown") == 3
    assert "0.0000" not in line


def test_missing_sources_are_reported_on_stderr_with_what_they_cost(gate: Gate, run) -> None:
    gate.fail("ec2:DescribeSpotPriceHistory", "UnauthorizedOperation", status=403)
    result = run("--format", "csv")
    assert "Missing: AWS, Spot prices" in result.stderr
    assert "Missing" not in result.stdout
    assert result.stdout.startswith("instance_type,vcpu,memory_gib,arch,on_demand")


def test_every_table_can_be_written_to_a_folder(run, tmp_path: Path) -> None:
    run("--cluster", "shop", "--bill", "2026-10", "--out", str(tmp_path / "tables"))
    names = {file.stem for file in (tmp_path / "tables").iterdir()}
    assert names >= {"prices", "instance_types", "instances", "commitments", "bill"}


def test_the_policy_is_printed_for_the_cluster_without_asking_aws(gate: Gate, run) -> None:
    policy = json.loads(run("--iam-policy", "--cluster", "shop").stdout)
    assert "cluster/shop" in json.dumps(policy)
    assert gate.requests == []


def test_live_fails_without_credentials(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsCredentialsError):
        run("--live")


@pytest.mark.parametrize("arguments", [["--bill", "October"], ["--bill-by-tag"]])
def test_options_that_make_no_sense_are_usage_errors(run, arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        run(*arguments)


def test_tables_are_stored_in_a_snapshot_for_later_commands(run, tmp_path: Path) -> None:
    snapshot = tiny_snapshot(tmp_path / "mesh", Tiny())
    usage = snapshot.read("usage")
    for _ in range(2):  # a second time replaces the first
        run("--cluster", "shop", "--snapshot", str(snapshot.path))
    stored = Snapshot(snapshot.path)
    assert stored.read("prices", days=stored.days[-1:])["usd_per_hour"].notna().all()
    assert len(stored.read("instances")) == 3
    assert stored.read("usage").equals(usage)
    assert stored.manifest.days[stored.days[-1]].rows["usage"] > 0
    assert stored.manifest.facts["eks_support"] == "standard"
    assert stored.manifest.missing == ()


def test_prices_of_another_region_are_not_stored(gate: Gate, run, tmp_path: Path) -> None:
    snapshot = tiny_snapshot(tmp_path / "mesh", Tiny())
    with pytest.raises(UsageError, match=r"eu-west-1 cannot be stored.*run in us-east-1"):
        run("--region", "eu-west-1", "--snapshot", str(snapshot.path))
    assert gate.requests == []
    assert Snapshot(snapshot.path).read("prices").empty


def test_the_snapshots_region_is_the_default(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    snapshot = tiny_snapshot(tmp_path / "mesh", Tiny())
    result = CliRunner().invoke(app, ["--snapshot", str(snapshot.path)])
    assert result.exit_code == 0
    assert set(Snapshot(snapshot.path).read("prices")["region"]) == {"us-east-1"}


def test_stored_prices_and_commitments_are_what_cost_reckons_with(run, tmp_path: Path) -> None:
    snapshot = tiny_snapshot(tmp_path / "mesh", Tiny())
    at = snapshot.manifest.end
    before = terms_for(snapshot, PriceSettings(), "us-east-1", at)
    assert "bundled" in before.book.price("m5.large", "on-demand").source
    assert before.commitments.known is False
    run("--cluster", "shop", "--snapshot", str(snapshot.path))
    after = terms_for(Snapshot(snapshot.path), PriceSettings(), "us-east-1", at)
    assert "AWS Price List" in after.book.price("m5.large", "on-demand").source
    assert "bundled" in after.book.price("m5.4xlarge", "on-demand").source  # AWS gave none
    assert after.book.price("m5.large", "spot", "us-east-1b").usd_per_hour == 0.0401
    assert after.commitments.known is True
    assert after.eks_support == "standard"


def test_what_aws_did_not_tell_joins_the_snapshots_gaps_once(
    gate: Gate, run, tmp_path: Path
) -> None:
    gate.fail("ec2:DescribeSpotPriceHistory", "UnauthorizedOperation", status=403)
    snapshot = tiny_snapshot(tmp_path / "mesh", Tiny())
    for _ in range(2):
        run("--snapshot", str(snapshot.path))
    [gap] = Snapshot(snapshot.path).manifest.missing
    assert "Spot" in gap.what


def test_collect_asks_aws_too_on_request(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rightsize.cli import collect as command
    from rightsize.collectors import prometheus
    from rightsize.collectors.prometheus.collect import Collected

    snapshot = tiny_snapshot(tmp_path / "mesh", Tiny())
    done = Collected(snapshot.path, snapshot.manifest, (), 10, 0, 0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(prometheus, "collect", lambda settings, **rest: done)
    result = CliRunner().invoke(command.app, ["--prometheus-url", "http://127.0.0.1:1", "--aws"])
    assert result.exit_code == 0, result.output
    assert len(Snapshot(snapshot.path).read("prices")) == 7
    # The tiny mesh is no cluster of the account: said, not failed.
    assert "kubernetes.io/cluster/tiny" in result.stderr
