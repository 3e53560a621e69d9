"""Real metrics servers on loopback, filled with a test's own samples.

`Series` is one series with its samples; `filled_prometheus` back-fills them with promtool and
starts Prometheus on the result, `filled_victoria_metrics` imports them. Each stops at the end of
its `with` block.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.servers.require import require_program

_BLOCK = "162h"
_START_SECONDS = 20.0


@dataclass(frozen=True)
class Series:
    """One series: its name, its labels and its samples as (epoch seconds, value)."""

    name: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


def openmetrics(series: Iterable[Series]) -> str:
    """The series as OpenMetrics text, every metric's samples together."""
    by_name: dict[str, list[Series]] = {}
    for one in series:
        by_name.setdefault(one.name, []).append(one)
    lines = []
    for name, group in by_name.items():
        # Unknown type: names stay as they are.
        lines.append(f"# TYPE {name} unknown")
        for one in group:
            labels = ",".join(f"{key}={json.dumps(value)}" for key, value in one.labels.items())
            lines += [f"{name}{{{labels}}} {_text(v)} {t:.3f}" for t, v in one.samples]
    return "\n".join([*lines, "# EOF"]) + "\n"


def backfill(folder: Path, texts: Iterable[Path]) -> Path:
    """Make a Prometheus database of OpenMetrics files; returns its folder."""
    promtool = require_program("promtool")
    data = folder / "data"
    for text in texts:
        # Without this hidden flag promtool reads the whole text once for every 2 hours of it.
        subprocess.run(
            [
                promtool,
                "tsdb",
                "create-blocks-from",
                "openmetrics",
                f"--max-block-duration={_BLOCK}",
                "-q",
                str(text),
                str(data),
            ],
            check=True,
            capture_output=True,
        )
    return data


@contextlib.contextmanager
def running_prometheus(data: Path, *flags: str, rules: Path | None = None) -> Iterator[str]:
    """Prometheus on a database, with a file of rules; yields its address."""
    program = require_program("prometheus")
    config = data.parent / "prometheus.yml"
    files = json.dumps([str(rules)] if rules else [])
    config.write_text(f"global: {{scrape_interval: 1m}}\nscrape_configs: []\nrule_files: {files}\n")
    port = free_port()
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        "--storage.tsdb.min-block-duration=2h",
        "--storage.tsdb.max-block-duration=2h",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        *flags,
    ]
    with _running(command, f"http://127.0.0.1:{port}", "/-/ready") as address:
        yield address


@contextlib.contextmanager
def running_victoria_metrics(data: Path, *flags: str) -> Iterator[str]:
    """VictoriaMetrics on a folder; yields its address."""
    program = require_program("victoria-metrics")
    port = free_port()
    command = [
        program,
        f"-storageDataPath={data}",
        "-retentionPeriod=100y",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-loggerLevel=ERROR",
        *flags,
    ]
    with _running(command, f"http://127.0.0.1:{port}", "/health") as address:
        yield address


@contextlib.contextmanager
def filled_prometheus(folder: Path, series: Iterable[Series], *flags: str) -> Iterator[str]:
    """Prometheus that holds exactly these series; yields its address."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "series.om"
    text.write_text(openmetrics(series))
    with running_prometheus(backfill(folder, [text]), *flags) as address:
        yield address


@contextlib.contextmanager
def filled_victoria_metrics(folder: Path, series: Iterable[Series], *flags: str) -> Iterator[str]:
    """VictoriaMetrics that holds exactly these series; yields its address."""
    lines = [
        json.dumps(
            {
                "metric": {"__name__": one.name, **one.labels},
                "values": [v for _, v in one.samples if math.isfinite(v)],
                "timestamps": [round(t * 1000) for t, v in one.samples if math.isfinite(v)],
            }
        )
        for one in series
    ]
    with running_victoria_metrics(folder / "vm", *flags) as address:
        requests.post(f"{address}/api/v1/import", data="\n".join(lines), timeout=60)
        # New samples become visible when the in-memory parts are flushed.
        requests.get(f"{address}/internal/force_flush", timeout=60)
        yield address


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def _running(command: Sequence[str], address: str, ready: str) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address + ready):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = process.stderr.read().decode() if process.stderr else ""
                raise RuntimeError(f"{command[0]} did not start: {said[-2000:]}")
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))
