"""Asks a hostile AWS endpoint and a hostile API server in one process; a JSON line for each answer.

Arguments: an address that nobody asks, and the seconds that one answer may take.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rightsize.collectors.aws import AwsSession, calls, transport
from rightsize.collectors.aws import session as session_module
from rightsize.collectors.kube import cluster_objects, connect, pages
from rightsize.collectors.kube.connection import ApiServer
from rightsize.errors import RightsizeError
from tests.servers.faulty_proxy import Fault, faulty_proxy
from tests.servers.hostile_server import HOSTILE, Raw, answered, drips, endless, peak_mib
from tests.servers.kube_api import kubeconfig

_POD = b'{"metadata":{"name":"a"}},'
_XML = b'<R xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>'
ONLY_HERE: dict[str, Raw] = {
    "endless XML": endless(_XML, b"<item><instancesSet/></item>"),
    "endless depth of XML": endless(_XML, b"<a>"),
    "XML of many parts": answered(b"200 OK", _XML + b"<a/>" * 2_000_000),
    "XML that is deep": answered(b"200 OK", b"<a>" * 500_000 + b"</a>" * 500_000),
    "JSON that is deep": answered(b"200 OK", b"[" * 500_000 + b"]" * 500_000),
    "a bomb of entities": answered(
        b"200 OK",
        b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(
            b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % (k, *[k - 1] * 8)
            for k in range(98, 118)
        )
        + b"]><R>&u;</R>",
    ),
    "an entity of a file": answered(
        b"200 OK", b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><R>&a;</R>'
    ),
    "drips": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"),
    "drips in the head": drips(b"HTTP/1.1 200 OK\r\nX-Long: "),
    "an error of megabytes": answered(
        b"400 Bad", b'{"__type":"' + b"x" * 5_000_000 + b'","message":"' + b"y" * 99 + b'"}'
    ),
    "an error that is a list": answered(b"400 Bad", b"[[]]"),
    "an error with numbers": answered(b"400 Bad", b'{"__type":[1],"message":{"a":5}}'),
}
OBJECTS = (
    *(
        "1",
        "{}",
        '{"metadata":[]}',
        '{"metadata":{"name":1}}',
        '{"metadata":{"name":"a","labels":[]}}',
    ),
    '{"metadata":{"name":"a","namespace":{}}}',
    '{"metadata":{"name":"a","annotations":{"a":1}}}',
    '{"metadata":{"name":"a"},"spec":"x"}',
    '{"metadata":{"name":"a"},"status":{"capacity":{"cpu":"x"}}}',
    '{"metadata":{"name":"a"},"status":{"allocatable":{"cpu":1e999}}}',
)
JSON = (calls.PRODUCTS, {"ServiceCode": "AmazonEC2"})
XML = (calls.INSTANCES, {"MaxResults": 5})


def cases() -> Iterator[tuple[str, str, Raw]]:
    for name, raw in (HOSTILE | ONLY_HERE).items():
        of_matrix = "series" in name or "label" in name or "sample" in name
        if not of_matrix and "Retry-After" not in name:
            yield "json", name, raw
            yield "xml", name, raw
            yield "kube", name, raw
    yield "kube", "endless objects", endless(b'{"kind":"PodList","items":[', _POD)
    for text in OBJECTS:
        yield "kube", f"objects {text}", answered(b"200 OK", b'{"items":[%s]}' % text.encode())
    for name in ("endless body", "endless error", "drips", "drips in the head", "no HTTP"):
        yield "download", name, (HOSTILE | ONLY_HERE)[name]


def asked(session: AwsSession, cluster: ApiServer, how: str, folder: Path) -> None:
    if how == "kube":
        cluster_objects(cluster)
    elif how == "download":
        session.download("bucket", "key", folder / "file", most=2**20)
    else:
        for _ in session.pages(*(JSON if how == "json" else XML)):
            pass


def outcome(ask: Callable[[], None]) -> tuple[str, str]:
    try:
        ask()
    except RightsizeError as error:
        return type(error).__name__, str(error)
    except BaseException:
        return "traceback", traceback.format_exc()
    return "answer", ""


def main(address: str, seconds: float) -> None:
    pages._ATTEMPTS, pages._LONGEST_WAIT = 2, 0.0
    transport._ANSWER_SECONDS = transport._CALL_SECONDS = seconds
    session_module.READ_SECONDS, session_module._SLOWEST = seconds, 2**30
    raw: list[Raw] = []
    with (
        faulty_proxy(address, lambda asked: Fault(raw=raw[-1])) as proxy,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ["AWS_ENDPOINT_URL"] = proxy.address
        session = AwsSession("us-east-1", max_attempts=1)
        config = kubeconfig(Path(folder, "kubeconfig"), proxy.address, {"token": "t0ken-of-tests"})
        cluster = replace(connect("prod", kubeconfig=config), seconds=seconds)
        for how, name, one in cases():
            raw.append(one)
            started = time.monotonic()
            kind, said = outcome(lambda how=how: asked(session, cluster, how, Path(folder)))
            run = {"how": how, "name": name, "kind": kind, "said": said, "peak_mib": peak_mib()}
            print(json.dumps(run | {"seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
