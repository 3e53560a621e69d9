"""A gate before moto's server, one a session of a worker, and an environment that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import boto3
import botocore.session
import pytest

from rightsize.collectors.aws import AwsFacts, AwsSession, Cache, Month, Wanted, ask_aws
from rightsize.config import PriceSettings
from tests.servers.aws import Gate, iso, moto_server

CLUSTER = "shop"
OCTOBER = Month(date(2026, 10, 1), date(2026, 11, 1))
EVERYTHING = Wanted(CLUSTER, bill=OCTOBER)

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "AWS_MAX_ATTEMPTS": "1",
}


@pytest.fixture(scope="session")
def seeded_gate() -> Iterator[Gate]:
    """The gate, with a small EKS cluster in moto: three tagged machines and one group."""
    with moto_server() as moto:
        gate = Gate(moto)
        _seed(moto)
        yield gate
        gate.close()


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Let all sessions share one loader: reading EC2's service model takes longer than a test."""
    loader = botocore.session.create_loader()
    original = botocore.session.create_loader
    botocore.session.create_loader = lambda *_: loader
    yield
    botocore.session.create_loader = original


@pytest.fixture
def gate(seeded_gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A fresh gate whose address is in the environment, with keys that moto accepts."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", seeded_gate.url)
    seeded_gate.reset()
    now = datetime.now(UTC)
    seeded_gate.account.spot = [
        ("m5.large", "us-east-1a", "0.0423", iso(now - timedelta(hours=2))),
        ("m5.large", "us-east-1a", "0.0437", iso(now - timedelta(hours=9))),
        ("m5.large", "us-east-1b", "0.0401", iso(now - timedelta(hours=3))),
    ]
    return seeded_gate


@pytest.fixture
def session(gate: Gate) -> AwsSession:
    return AwsSession("us-east-1", max_attempts=1)


@pytest.fixture
def collect(gate: Gate, tmp_path: Path) -> Callable[..., AwsFacts]:
    """Collect once from the gate, with an empty cache unless one is given."""

    def run(
        wanted: Wanted = EVERYTHING,
        region: str = "us-east-1",
        cache: Cache | None = None,
        attempts: int = 1,
        settings: PriceSettings | None = None,
    ) -> AwsFacts:
        aws = AwsSession(region, max_attempts=attempts)
        return ask_aws(aws, wanted, settings=settings, cache=cache or Cache(tmp_path / "cache"))

    return run


def _seed(moto: str) -> None:
    def client(service: str):
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=moto,
            aws_access_key_id="seed",
            aws_secret_access_key="seed",
        )

    ec2 = client("ec2")
    tags = [
        {"Key": f"kubernetes.io/cluster/{CLUSTER}", "Value": "owned"},
        {"Key": "eks:nodegroup-name", "Value": "blue"},
    ]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    spec = [{"ResourceType": "instance", "Tags": tags}]
    common = {"ImageId": image, "InstanceType": "m5.large", "TagSpecifications": spec}
    ec2.run_instances(MinCount=2, MaxCount=2, **common)
    spot = {"MarketType": "spot"}
    metadata = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"}
    ec2.run_instances(
        MinCount=1, MaxCount=1, InstanceMarketOptions=spot, MetadataOptions=metadata, **common
    )
    ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)
    groups = client("autoscaling")
    groups.create_launch_configuration(
        LaunchConfigurationName="lc", ImageId=image, InstanceType="t3.medium"
    )
    groups.create_auto_scaling_group(
        AutoScalingGroupName="blue",
        LaunchConfigurationName="lc",
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=0,
        AvailabilityZones=["us-east-1a"],
        Tags=[
            {
                "Key": f"kubernetes.io/cluster/{CLUSTER}",
                "Value": "owned",
                "PropagateAtLaunch": False,
            }
        ],
    )
    client("eks").create_cluster(
        name=CLUSTER,
        version="1.33",
        roleArn="arn:aws:iam::123456789012:role/eks",
        resourcesVpcConfig={"subnetIds": []},
    )
