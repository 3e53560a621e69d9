"""An AWS endpoint on the loopback: moto's server behind a gate that can refuse any call.

The gate answers what moto does not implement (Price List, Savings Plans, credible Spot prices,
reserved instances, EKS versions, coverage), in the shapes of recorded answers, with paging; it
forwards everything else to moto over HTTP. It remembers each request, so that a test can say which
calls were made, and fails the calls that a test names, in the error form of their protocol.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs

from moto.server import ThreadedMotoServer

YEAR_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Request:
    """One request that reached the gate."""

    service: str
    operation: str
    region: str
    body: dict[str, Any]

    @property
    def action(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass
class Failure:
    """What to answer instead: an error code, `times` times (-1: always)."""

    code: str
    status: int = 400
    times: int = -1


def price_document(
    instance_type: str,
    price: str,
    *,
    region: str = "us-east-1",
    sku: str | None = None,
    currency: str = "USD",
    **attributes: str,
) -> str:
    """One entry of `PriceList`, in the shape of a recorded m5.large (published 2021-02-05)."""
    sku = sku or "SKU" + re.sub(r"\W", "", instance_type).upper()
    return json.dumps(
        {
            "product": {
                "productFamily": "Compute Instance",
                "sku": sku,
                "attributes": {
                    "instanceType": instance_type,
                    "regionCode": region,
                    "tenancy": "Shared",
                    "operatingSystem": "Linux",
                    "preInstalledSw": "NA",
                    "capacitystatus": "Used",
                    "marketoption": "OnDemand",
                    "usagetype": f"BoxUsage:{instance_type}",
                    "servicecode": "AmazonEC2",
                }
                | attributes,
            },
            "serviceCode": "AmazonEC2",
            "publicationDate": "2026-11-20T00:00:00Z",
            "terms": {
                "OnDemand": {
                    f"{sku}.JRTCKXETXF": {
                        "priceDimensions": {
                            f"{sku}.JRTCKXETXF.6YS6EN2CT7": {
                                "unit": "Hrs",
                                "beginRange": "0",
                                "endRange": "Inf",
                                "pricePerUnit": {currency: price},
                            }
                        },
                        "sku": sku,
                    }
                },
                "Reserved": {},
            },
        }
    )


def plan_rate(
    instance_type: str, rate: str, *, seconds: int = YEAR_SECONDS, offering: str = "o-1"
) -> dict[str, Any]:
    """One entry of `searchResults` of the Savings Plans rates."""
    return {
        "savingsPlanOffering": {
            "offeringId": offering,
            "paymentOption": "No Upfront",
            "planType": "Compute",
            "durationSeconds": seconds,
            "currency": "USD",
        },
        "rate": rate,
        "unit": "Hrs",
        "productType": "EC2",
        "serviceCode": "AmazonEC2",
        "usageType": f"BoxUsage:{instance_type}",
        "operation": "RunInstances",
        "properties": [
            {"name": "instanceType", "value": instance_type},
            {"name": "region", "value": "us-east-1"},
        ],
    }


def shape(
    name: str, vcpu: int, mebibytes: int, enis: int, addresses: int, *, arch: str = "x86_64"
) -> str:
    """XML of one DescribeInstanceTypes item, with the fields that are read."""
    return (
        f"<item><instanceType>{name}</instanceType><currentGeneration>true</currentGeneration>"
        "<bareMetal>false</bareMetal><hypervisor>nitro</hypervisor>"
        "<burstablePerformanceSupported>false</burstablePerformanceSupported>"
        "<processorInfo><supportedArchitectures>"
        f"<item>{arch}</item></supportedArchitectures></processorInfo>"
        f"<vCpuInfo><defaultVCpus>{vcpu}</defaultVCpus></vCpuInfo>"
        f"<memoryInfo><sizeInMiB>{mebibytes}</sizeInMiB></memoryInfo>"
        f"<networkInfo><maximumNetworkInterfaces>{enis}</maximumNetworkInterfaces>"
        f"<ipv4AddressesPerInterface>{addresses}</ipv4AddressesPerInterface></networkInfo></item>"
    )


@dataclass
class Account:
    """What the gate itself answers with; tests change it."""

    products: list[str] = field(
        default_factory=lambda: [
            price_document("m5.large", "0.0960000000"),
            price_document("m5.xlarge", "0.1920000000"),
            price_document("c6i.xlarge", "0.1700000000"),
        ]
    )
    rates: list[dict[str, Any]] = field(
        default_factory=lambda: [plan_rate("m5.large", "0.0700"), plan_rate("m5.xlarge", "0.1400")]
    )
    plans: list[dict[str, Any]] = field(default_factory=list)
    reserved: list[dict[str, str]] = field(default_factory=list)
    spot: list[tuple[str, str, str, str]] | None = None
    """(instance type, zone, price, ISO time); None forwards to moto, whose prices are fake."""
    coverage: list[tuple[str, str]] = field(default_factory=lambda: [("60", "100")])
    """(covered, total) spend, one page each."""
    version_status: str = "STANDARD_SUPPORT"
    shapes: list[str] | None = field(
        default_factory=lambda: [
            shape("m5.large", 2, 8192, 3, 10),
            shape("m5.xlarge", 4, 16384, 4, 15),
            shape("c6g.xlarge", 4, 8192, 4, 15, arch="arm64"),
        ]
    )
    """XML of instance types; None forwards to moto, which knows 1,395 of them."""
    activities: list[tuple[str, str, str]] = field(default_factory=list)
    """(id, description, ISO time) of the group's scaling activities."""
    bill: list[tuple[str, str, str]] = field(
        default_factory=lambda: [
            ("Amazon Elastic Compute Cloud - Compute", "BoxUsage:m5.large", "140.16"),
            ("Amazon Elastic Compute Cloud - Compute", "SpotUsage:m5.large", "30.88"),
            ("EC2 - Other", "EBS:VolumeUsage.gp3", "4.80"),
            ("EC2 - Other", "DataTransfer-Regional-Bytes", "12.34"),
            ("EC2 - Other", "NatGateway-Hours", "32.85"),
            ("Amazon Elastic Container Service for Kubernetes", "AmazonEKS-Hours:perCluster", "73"),
            ("Amazon Elastic Load Balancing", "LoadBalancerUsage", "16.43"),
        ]
    )
    """(service, usage type, USD) of the month."""


class Gate:
    """The endpoint. `url` goes to `AWS_ENDPOINT_URL`."""

    def __init__(self, moto: str | None, page_size: int = 2) -> None:
        self.moto = moto
        self.page_size = page_size
        self.reset()
        gate = self

        class Handler(_Handler):
            owner = gate

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Forget requests, failures and changed answers."""
        self.requests: list[Request] = []
        self.failures: dict[str, Failure] = {}
        self.account = Account()

    def fail(self, action: str, code: str, *, status: int = 400, times: int = -1) -> None:
        """Answer `action` (`ec2:DescribeInstances`, or `*`) with an error."""
        self.failures[action] = Failure(code, status, times)

    def made(self, action: str) -> list[Request]:
        return [request for request in self.requests if request.action == action]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's server and yield its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class _Handler(BaseHTTPRequestHandler):
    owner: Gate
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes) -> None:
        request = _parsed(self.path, dict(self.headers.items()), body)
        self.owner.requests.append(request)
        failure = self.owner.failures.get(request.action) or self.owner.failures.get("*")
        if failure is not None and failure.times != 0:
            failure.times -= 1
            self._send(failure.status, *_error(request, failure.code))
            return
        answer = _answer(self.owner, request)
        if answer is not None:
            self._send(200, *answer)
        elif self.owner.moto is None:
            self._send(500, *_error(request, "InternalFailure"))
        else:
            self._forward(self.owner.moto, body)

    def _forward(self, moto: str, body: bytes) -> None:
        kept = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        onward = urllib.request.Request(moto + self.path, body or None, kept, method=self.command)
        try:
            with urllib.request.urlopen(onward, timeout=30) as answer:
                self._send(answer.status, answer.headers.get_content_type(), answer.read())
        except HTTPError as error:
            self._send(error.code, error.headers.get_content_type(), error.read())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _parsed(path: str, headers: dict[str, str], body: bytes) -> Request:
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", headers.get("Authorization", ""))
    region, service = scope.groups() if scope else ("", "")
    target = headers.get("X-Amz-Target")
    if target:
        return Request(service, target.rsplit(".", 1)[1], region, json.loads(body))
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return Request(service, form["Action"], region, form)
    operation = {"/cluster-versions": "DescribeClusterVersions"}.get(path.split("?")[0])
    if operation is None and re.fullmatch(r"/clusters/[^/]+", path):
        operation = "DescribeCluster"
    return Request(service, operation or path.strip("/"), region, json.loads(body or b"{}"))


def _answer(gate: Gate, request: Request) -> tuple[str, bytes] | None:
    """The gate's own answer, or None for what goes on to moto."""
    if request.service in ("ec2", "autoscaling"):
        return _xml_answer(gate, request)
    return _json_answer(gate, request)


def _json_answer(gate: Gate, request: Request) -> tuple[str, bytes] | None:
    account = gate.account
    if request.action == "pricing:GetProducts":
        part, token = _page(account.products, request.body.get("NextToken"), gate.page_size)
        return _json({"FormatVersion": "aws_v1", "PriceList": part}, "NextToken", token)
    if request.action == "savingsplans:DescribeSavingsPlansOfferingRates":
        part, token = _page(account.rates, request.body.get("nextToken"), gate.page_size)
        return _json({"searchResults": part}, "nextToken", token)
    if request.action == "savingsplans:DescribeSavingsPlans":
        part, token = _page(account.plans, request.body.get("nextToken"), gate.page_size)
        return _json({"savingsPlans": part}, "nextToken", token)
    if request.action == "ce:GetSavingsPlansCoverage":
        part, token = _page(account.coverage, request.body.get("NextToken"), 1)
        shares = [
            {"Coverage": {"SpendCoveredBySavingsPlans": covered, "TotalCost": total}}
            for covered, total in part
        ]
        return _json({"SavingsPlansCoverages": shares}, "NextToken", token)
    if request.action == "eks:DescribeClusterVersions":
        version = {"clusterVersion": "1.33", "versionStatus": account.version_status}
        return _json({"clusterVersions": [version]}, "nextToken", None)
    if request.action == "ce:GetCostAndUsage":
        part, token = _page(account.bill, request.body.get("NextPageToken"), gate.page_size)
        period = request.body["TimePeriod"]
        groups = [_bill_group(*line) for line in part]
        results = [{"TimePeriod": period, "Groups": groups, "Estimated": False}]
        return _json({"ResultsByTime": results}, "NextPageToken", token)
    return None


def _xml_answer(gate: Gate, request: Request) -> tuple[str, bytes] | None:
    account, token = gate.account, request.body.get("NextToken")
    if request.action == "ec2:DescribeReservedInstances":
        items = "".join(_xml_item(entry) for entry in account.reserved)
        return _ec2(request.operation, f"<reservedInstancesSet>{items}</reservedInstancesSet>")
    if request.action == "ec2:DescribeSpotPriceHistory" and account.spot is not None:
        part, token = _page(account.spot, token, gate.page_size)
        items = "".join(
            _xml_item(
                {
                    "instanceType": name,
                    "availabilityZone": zone,
                    "productDescription": "Linux/UNIX",
                    "spotPrice": price,
                    "timestamp": time,
                }
            )
            for name, zone, price, time in part
        )
        inner = f"<spotPriceHistorySet>{items}</spotPriceHistorySet>"
        return _ec2(request.operation, inner + f"<nextToken>{token or ''}</nextToken>")
    if request.action == "ec2:DescribeInstanceTypes" and account.shapes is not None:
        part, token = _page(account.shapes, token, gate.page_size)
        inner = f"<instanceTypeSet>{''.join(part)}</instanceTypeSet>"
        return _ec2(request.operation, inner + (f"<nextToken>{token}</nextToken>" if token else ""))
    if request.action == "autoscaling:DescribeScalingActivities":
        part, token = _page(account.activities, token, gate.page_size)
        return _activities(request.body["AutoScalingGroupName"], part, token)
    return None


def _activities(
    group: str, part: list[tuple[str, str, str]], token: str | None
) -> tuple[str, bytes]:
    members = "".join(
        f"<member><ActivityId>{name}</ActivityId><Description>{text}</Description>"
        f"<AutoScalingGroupName>{group}</AutoScalingGroupName><StartTime>{time}</StartTime>"
        "<StatusCode>Successful</StatusCode><Cause>a user request</Cause></member>"
        for name, text, time in part
    )
    inner = f"<Activities>{members}</Activities>" + (
        f"<NextToken>{token}</NextToken>" if token else ""
    )
    result = f"<DescribeScalingActivitiesResult>{inner}</DescribeScalingActivitiesResult>"
    text = f"<DescribeScalingActivitiesResponse>{result}</DescribeScalingActivitiesResponse>"
    return "text/xml", text.encode()


def _bill_group(service: str, usage_type: str, usd: str) -> dict[str, Any]:
    cost = {"Amount": usd, "Unit": "USD"}
    usage = {"Amount": "100", "Unit": "Hrs"}
    return {
        "Keys": [service, usage_type],
        "Metrics": {"UnblendedCost": cost, "AmortizedCost": cost, "UsageQuantity": usage},
    }


def _page(items: list[Any], token: str | None, size: int) -> tuple[list[Any], str | None]:
    start = int(token or 0)
    end = start + size
    return items[start:end], str(end) if end < len(items) else None


def _json(body: dict[str, Any], name: str, token: str | None) -> tuple[str, bytes]:
    if token is not None:
        body[name] = token
    return "application/x-amz-json-1.1", json.dumps(body).encode()


def _ec2(operation: str, inner: str) -> tuple[str, bytes]:
    space = "http://ec2.amazonaws.com/doc/2016-11-15/"
    text = f'<{operation}Response xmlns="{space}"><requestId>r</requestId>{inner}'
    return "text/xml", f"{text}</{operation}Response>".encode()


def _xml_item(fields: dict[str, str]) -> str:
    return "<item>" + "".join(f"<{k}>{v}</{k}>" for k, v in fields.items()) + "</item>"


def _error(request: Request, code: str) -> tuple[str, bytes]:
    said = f"{code} by the test"
    if request.service == "ec2":
        inner = f"<Errors><Error><Code>{code}</Code><Message>{said}</Message></Error></Errors>"
        return "text/xml", f"<Response>{inner}<RequestID>r</RequestID></Response>".encode()
    if request.service in ("autoscaling", "sts"):
        inner = f"<Error><Code>{code}</Code><Message>{said}</Message></Error>"
        return "text/xml", f"<ErrorResponse>{inner}</ErrorResponse>".encode()
    return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": said}).encode()


def iso(when: datetime) -> str:
    """Return a time as EC2 writes it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
