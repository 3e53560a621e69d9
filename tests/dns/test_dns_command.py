"""`rightsize dns` as it is typed: answers, files, and names of a cluster that nobody should trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

import rightsize as package
from rightsize.snapshot import Snapshot
from tests.cli.run import rightsize
from tests.tiny_mesh import FIRST_DAY, MIB, Tiny, tiny_snapshot

EVIL = "\x1b[31m<script>=1+1\u202e"
AGENTS = ("istio_agent_dns_requests_total", "istio_agent_dns_upstream_requests_total")
COREDNS = Tiny(
    "coredns", namespace="kube-system", component=None, container="coredns", cpu_request=0.1,
    memory_request=70 * MIB, memory_limit=170 * MIB, cpu_limit=None,
)  # fmt: skip


def rows() -> Iterator[dict[str, object]]:
    """A day of two pods: 60 % NXDOMAIN, 200m of CPU in all, nothing forwarded much."""
    hourly = {
        ("coredns_dns_requests_total", ""): 3600.0 * 50,
        ("coredns_dns_responses_total", "rcode=NOERROR"): 3600.0 * 20,
        ("coredns_dns_responses_total", "rcode=NXDOMAIN"): 3600.0 * 30,
        ("coredns_dns_request_duration_seconds_bucket", "le=0.004"): 3600.0 * 50,
        ("coredns_dns_request_duration_seconds_bucket", "le=+Inf"): 3600.0 * 50,
        ("coredns_cache_hits_total", ""): 3600.0 * 40,
        ("coredns_cache_misses_total", ""): 3600.0 * 10,
        ("coredns_forward_requests_total", ""): 3600.0 * 5,
        ("coredns_cpu_peak", ""): 0.1,
        ("coredns_memory", ""): 40.0 * MIB,
        ("coredns_requests_peak", ""): 60.0,
        ("coredns_forwards_peak", ""): 8.0,
    }
    for time in pd.date_range(FIRST_DAY, periods=24, freq="1h", tz="UTC") + pd.Timedelta("1h"):
        for pod in ("coredns-5d9c7b8f6-00000", "coredns-5d9c7b8f6-00001"):
            for (metric, label), value in hourly.items():
                yield {"time": time, "pod": pod, "metric": metric, "label": label, "value": value}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    table = pd.DataFrame(list(rows()))
    path = tmp_path_factory.mktemp("dns") / "s"
    return tiny_snapshot(path, COREDNS, Tiny("web"), days=1, nodes=3, more={"dns": table})


def test_the_files_get_what_the_answer_says(snapshot, tmp_path):
    add_on, web, values = (tmp_path / n for n in ("coredns.json", "web.yaml", "istiod-values.yaml"))
    add_on.write_text('{"replicaCount": 2}\n')
    web.write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
        "spec:\n  template:\n    spec:\n      containers: [{name: app}]\n"
    )
    values.write_text("meshConfig:\n  accessLogFile: ''\npilot:\n  autoscaleMin: 2\n")
    words = ["dns", "--snapshot", snapshot.path, "--format", "json", "-o", tmp_path / "out"]
    done = rightsize(*words, "-f", add_on, "-f", web, "-f", values)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {one["id"] for one in answer["findings"]} == {"search-paths", "dns-proxy"}
    after = json.loads((tmp_path / "out" / "coredns.json").read_text())
    assert after["replicaCount"] == answer["size"]["replicas"]
    assert after["resources"]["limits"]["memory"] == "170Mi"
    spec = yaml.safe_load((tmp_path / "out" / "web.yaml").read_text())["spec"]["template"]["spec"]
    assert spec["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}
    mesh = yaml.safe_load((tmp_path / "out" / "istiod-values.yaml").read_text())["meshConfig"]
    assert mesh["defaultConfig"]["proxyMetadata"]["ISTIO_META_DNS_CAPTURE"] == "true"
    assert add_on.read_text() == '{"replicaCount": 2}\n'


def test_a_file_without_dns_ends_with_4_and_writes_nothing(snapshot, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\n")
    done = rightsize("dns", "--snapshot", snapshot.path, "-f", path, "-o", tmp_path / "out")
    assert done.returncode == 4
    assert "holds no settings of DNS" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_frame_is_that_of_the_command(snapshot):
    frame = package.load(snapshot.path).dns()
    assert set(frame["id"]) == {"search-paths", "dns-proxy"}
    assert frame.set_index("id").loc["search-paths", "spares"] == pytest.approx(0.6)


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "markdown"])
def test_names_of_the_cluster_are_shown_and_never_interpreted(tmp_path: Path, form: str) -> None:
    table = pd.DataFrame(
        {
            "time": [pd.Timestamp(FIRST_DAY, tz="UTC") + pd.Timedelta("1h")] * 3,
            "pod": [EVIL, "", ""],
            "metric": ["coredns_dns_requests_total", *AGENTS],
            "label": ["", *[f"namespace={EVIL}"] * 2],
            "value": [3600.0, 50.0, 5.0],
        }
    )
    snapshot = tiny_snapshot(tmp_path / "s", Tiny("web"), days=1, more={"dns": table})
    done = rightsize("dns", "--snapshot", snapshot.path, "--format", form)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
