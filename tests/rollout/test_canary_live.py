"""`rightsize canary-verify` against a real Prometheus: what it asks for is what the pods did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.run import rightsize
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, every
from tests.servers.prometheus import Series, filled_prometheus

PODS = ("web-6d4cf56db6-aaaaa", "web-6d4cf56db6-bbbbb", "web-6d4cf56db6-ccccc")
TIMES = every(60, DAY - 2 * HOUR, DAY + 30 * HOUR)
ENDED = "2026-09-15T05:00Z"


def counter(name: str, rate: float, **labels: str) -> Series:
    return Series(name, labels, [(t, rate * (t - TIMES[0])) for t in TIMES])


def pod(name: str, throttled: float) -> list[Series]:
    proxy = {"namespace": "shop", "pod": name, "container": "istio-proxy"}
    served = {"namespace": "shop", "pod": name, "reporter": "destination"}
    return [
        counter("container_cpu_cfs_periods_total", 10.0, **proxy),
        counter("container_cpu_cfs_throttled_periods_total", 10.0 * throttled, **proxy),
        Series("container_memory_working_set_bytes", proxy, [(t, 80.0 * MIB) for t in TIMES]),
        counter("kube_pod_container_status_restarts_total", 0.0, **proxy),
        counter("istio_requests_total", 20.0, **served, response_code="200"),
        counter("istio_request_duration_milliseconds_sum", 400.0, **served),
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    series = [s for n, name in enumerate(PODS) for s in pod(name, 0.2 if n == 0 else 0.0)]
    with filled_prometheus(tmp_path_factory.mktemp("server"), series) as address:
        yield address


def verified(server: str, folder: Path, resized: str):  # type: ignore[no-untyped-def]
    sizes = {"memory_limit": 128 * MIB}
    about = {"namespace": "shop", "workload": "web", "container": "istio-proxy"}
    folder.mkdir()
    (folder / "canary.json").write_text(json.dumps({**about, "before": sizes, "after": sizes}))
    (folder / "resized.tsv").write_text(f"{resized}\t{DAY}\n")
    return rightsize(
        "canary-verify", folder, "--prometheus-url", server, "--at", ENDED, "--format", "json"
    )


def test_a_throttled_pod_is_worse_and_the_way_back_is_named(server, tmp_path):
    done = verified(server, tmp_path / "c", PODS[0])
    assert done.returncode == 10, done.stderr
    found = json.loads(done.stdout)
    assert found["answer"] == "worse"
    assert found["hours"] == 29
    throttling = found["differences"][0]
    assert throttling["resized"] == pytest.approx(0.2, abs=0.005)
    assert throttling["siblings"] == pytest.approx(0.0, abs=1e-6)
    latency = found["differences"][2]
    assert latency["resized"] == pytest.approx(0.020, rel=0.01)
    assert "way-back.sh" in done.stderr


def test_a_pod_as_good_as_its_siblings_holds(server, tmp_path):
    done = verified(server, tmp_path / "c", PODS[1])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "holds"


def test_a_folder_in_which_nothing_was_resized_is_refused(server, tmp_path):
    done = rightsize("canary-verify", tmp_path, "--prometheus-url", server)
    assert done.returncode == 3
    assert "rightsize canary writes this folder" in done.stderr
