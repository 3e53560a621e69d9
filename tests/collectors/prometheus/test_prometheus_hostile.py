"""Whatever a server sends: one message, an exit code, bounded memory and time, and no day lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from rightsize.collectors.errors import MalformedAnswerError, MetricsServerError, SlowServerError
from rightsize.collectors.prometheus import collect
from rightsize.collectors.prometheus.parse import Grid, parse_instant
from rightsize.collectors.prometheus.range_reading import read_range
from rightsize.config import PrometheusSettings
from rightsize.snapshot import Snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod, node
from tests.servers.faulty_proxy import Fault, faulty_proxy, since
from tests.servers.hostile_server import bomb, drips
from tests.servers.prometheus import filled_prometheus

SECOND_DAY = DAY + 24 * HOUR
DOCUMENTED_MIB = 500
"""docs/collect.md: with the default `max_points`, whatever a server sends."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    end = DAY + 48 * HOUR
    pod = Pod("web-6d4cf56db6-bcdfg", end=end, step=150)
    series = [*pod.described(), *pod.used(), *node(end=end)]
    with filled_prometheus(tmp_path_factory.mktemp("hostile"), series) as address:
        yield address


@pytest.fixture(scope="module")
def first_day(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first") / "mesh"
    _take(server, out, DAY + 24 * HOUR)
    return out


def _take(address: str, out: Path, until: float, timeout: float = 20.0) -> None:
    collect(
        PrometheusSettings(url=(address,), timeout_seconds=timeout),
        out=out,
        start=datetime.fromtimestamp(DAY, UTC),
        end=datetime.fromtimestamp(until, UTC),
        cluster="mesh",
    )


@pytest.fixture(scope="module")
def runs(server: str, first_day: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Every hostile collect and doctor, in one process of its own so that its memory is known."""
    work = tmp_path_factory.mktemp("work")
    module = "tests.collectors.prometheus.hostile_collects"
    command = [sys.executable, "-m", module, server, str(first_day), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_no_answer_ends_in_a_traceback(runs: list[dict]) -> None:
    assert len(runs) > 150
    assert [(run["name"], run["said"]) for run in runs if run["code"] == "traceback"] == []
    assert not any("Traceback" in run["said"] for run in runs)


def test_each_answer_that_is_none_has_an_error_of_the_servers(runs: list[dict]) -> None:
    for run in runs:
        of_values = any(word in run["name"] for word in ("labels '", 'labels "')) or run[
            "name"
        ].startswith(_SAMPLES)
        if not of_values:
            assert run["code"] in range(20, 40), run
            assert "Next:" in run["said"], run


_SAMPLES = (
    *("underflow", "1e20 in digits", "400 digits", "infinite", "minus infinite", "not a number"),
    *("negative", "huge", "tiny"),
)


def test_the_finished_day_is_there_and_equal_after_each(runs: list[dict], first_day: Path) -> None:
    before = {path.relative_to(first_day): path.read_bytes() for path in _files(first_day)}
    for run in runs:
        if run["command"] == "collect":
            out = Path(run["out"])
            assert all((out / name).read_bytes() == good for name, good in before.items()), run
            Snapshot(out).read("usage")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/2026-09-14.parquet"))


def test_memory_stays_below_what_is_documented(runs: list[dict]) -> None:
    assert max(run["peak_mib"] for run in runs) < DOCUMENTED_MIB
    page = (Path(__file__).parents[3] / "docs" / "collect.md").read_text()
    assert f"{DOCUMENTED_MIB} MB" in page


def test_a_sample_that_no_machine_can_produce_is_none(runs: list[dict]) -> None:
    for name in ("underflow", "1e20 in digits", "huge", "negative"):
        (run,) = (run for run in runs if run["name"] == f"{name}, windows")
        snapshot = Snapshot(run["out"])
        second = snapshot.read("usage", days=snapshot.days[1:])
        assert second["memory"].isna().all()
        assert snapshot.manifest.days[snapshot.days[1]].stats["impossible_samples"] > 0


def test_a_silent_server_is_asked_once_and_is_not_too_large(
    server: str, first_day: Path, tmp_path: Path
) -> None:
    started = time.monotonic()
    fault = since(SECOND_DAY, Fault(silent_seconds=30.0))
    with faulty_proxy(server, fault) as proxy:
        with pytest.raises(SlowServerError, match="no answer within 0.5 s"):
            _take(proxy.address, tmp_path, DAY + 48 * HOUR, timeout=0.5)
        silent = [asked for asked in proxy.asked if fault(asked)]
    # Two are in flight.
    assert len(silent) <= 2
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 100000\r\n\r\n{",
    ],
)
def test_a_letter_at_a_time_ends_when_the_budget_does(
    server: str, tmp_path: Path, start: bytes
) -> None:
    fault = since(SECOND_DAY, Fault(raw=drips(start)))
    with faulty_proxy(server, fault) as proxy:
        with pytest.raises(MetricsServerError):
            _take(proxy.address, tmp_path, DAY + 48 * HOUR, timeout=0.4)
        dripping = [asked for asked in proxy.asked if fault(asked)]
    # One question has three times its time-out, and two are in flight.
    assert len(dripping) <= 8


def test_a_gzip_bomb_is_unpacked_no_further_than_allowed(server: str, tmp_path: Path) -> None:
    fault = since(SECOND_DAY, Fault(raw=bomb(b"Content-Encoding: gzip")))
    settings = PrometheusSettings(compress=True)
    with faulty_proxy(server, fault) as proxy, pytest.raises(MetricsServerError):
        collect(
            settings.model_copy(update={"url": (proxy.address,)}),
            out=tmp_path,
            start=datetime.fromtimestamp(DAY, UTC),
            end=datetime.fromtimestamp(DAY + 48 * HOUR, UTC),
            cluster="mesh",
        )


GRID = Grid(1_795_392_000, 300, 12)


@pytest.mark.parametrize("value", ["1e20", "100000000000000000000", "18446744073709551616"])
def test_large_whole_numbers_are_read_as_prometheus_prints_them(value: str) -> None:
    times = [GRID.start + 300 * i for i in range(12)]
    series = {"metric": {"a": "b"}, "values": [[t, value] for t in times]}
    body = {"status": "success", "data": {"resultType": "matrix", "result": [series]}}
    answer = read_range([json.dumps(body, separators=(",", ":")).encode()], GRID, server="s")
    np.testing.assert_array_equal(answer.values, float(value))


@pytest.mark.parametrize("sample", ["true", "null", "1", "[]", '"x"', '"true"'])
def test_what_is_no_number_in_text_is_no_sample(sample: str) -> None:
    body = (
        '{"status":"success","data":{"resultType":"vector","result":'
        f'[{{"metric":{{}},"value":[1,{sample}]}}]}}}}'
    )
    with pytest.raises(MalformedAnswerError):
        parse_instant(body.encode(), server="s")
