"""`rightsize doctor` against real servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import pytest

import rightsize.cli
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod
from tests.servers.faulty_proxy import Asked, Fault, faulty_proxy
from tests.servers.prometheus import Series, filled_prometheus, filled_victoria_metrics

Doctor = Callable[..., tuple[int, str, str]]


def _series() -> list[Series]:
    pod = Pod("web-6d4cf56db6-bcdfg", started=DAY - 50 * HOUR)
    twin = pod.used(cluster="prod", job="other")
    return [*pod.described(), *pod.used(cluster="prod"), *twin]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled_prometheus(tmp_path_factory.mktemp("doctor"), _series()) as address:
        yield address


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    def run(address: str, *more: str) -> tuple[int, str, str]:
        arguments = ["rightsize", "doctor", "--prometheus-url", address]
        monkeypatch.setattr(sys, "argv", [*arguments, "--end", "2026-09-15", *more])
        code = 0
        try:
            rightsize.cli.run()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_it_names_product_retention_interval_and_history(server: str, doctor: Doctor) -> None:
    code, out, _ = doctor(server)
    assert code == 0
    assert "prometheus 2.42" in out
    assert "100y" in out
    assert "60 s" in out
    assert "2026-09-12" in out
    assert "prod" in out


def test_each_metric_is_found_or_reported_with_its_cost(server: str, doctor: Doctor) -> None:
    _, out, _ = doctor(server, "--format", "json")
    report = json.loads(out)
    assert report["schema_version"] == 1
    metrics = {one["metric"]: one for one in report["servers"][0]["metrics"]}
    assert metrics["container_cpu_usage_seconds_total"]["series"] == 2
    throttled = metrics["container_cpu_cfs_throttled_periods_total"]
    assert throttled["series"] == 0
    assert not throttled["optional"]
    assert "throttling" in throttled["costs"]


def test_containers_scraped_twice_are_noted(server: str, doctor: Doctor) -> None:
    _, out, _ = doctor(server)
    assert "1 containers are scraped twice" in out


def test_the_estimate_is_near_what_a_collect_takes(
    server: str, doctor: Doctor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from datetime import UTC, datetime

    from rightsize.collectors.prometheus import collect
    from rightsize.config import PrometheusSettings

    report = json.loads(doctor(server, "--format", "json", "--days", "2")[1])
    estimate = report["servers"][0]["estimate"]
    collected = collect(
        PrometheusSettings(url=(server,)),
        out=tmp_path_factory.mktemp("estimate") / "snapshot",
        days=2,
        end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
    )
    assert estimate["requests"] == pytest.approx(collected.requests, rel=0.2)
    assert estimate["bytes"] == pytest.approx(collected.received_bytes, rel=0.5)


def test_another_product_is_recognized_by_how_it_answers(
    doctor: Doctor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("doctor-vm")
    with filled_victoria_metrics(folder, _series()) as address:
        code, out, _ = doctor(address)
    assert code == 0
    assert "victoriametrics" in out


def test_a_server_without_a_mesh_fails_after_the_report(server: str, doctor: Doctor) -> None:
    code, out, err = doctor(server, "--matcher", "cluster=elsewhere")
    assert code == 6
    assert "MISSING" in out
    assert "cadvisor" in err


def test_a_time_range_limit_shortens_the_look_back(server: str, doctor: Doctor) -> None:
    """As Amazon Managed Prometheus answers."""

    def short(asked: Asked) -> Fault | None:
        if asked.path.endswith("/query_range"):
            span = float(asked.form["end"]) - float(asked.form["start"])
            if span > 32 * 24 * HOUR:
                text = b'{"status":"error","errorType":"bad_data",'
                return Fault(400, text + b'"error":"time range cannot exceed 32 days"}')
        return None

    with faulty_proxy(server, short) as proxy:
        code, out, _ = doctor(proxy.address)
    assert code == 0
    assert "2026-09-12" in out
