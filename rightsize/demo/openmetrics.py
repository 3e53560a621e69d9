"""The demo mesh as OpenMetrics text, so that a real Prometheus can serve it.

One file for each TSDB block, cut on multiples of the block's length since the epoch, as
`promtool tsdb create-blocks-from openmetrics --max-block-duration` wants them. Usage, pod and
restart series have a sample a minute; what changes by the day has a few, what istiod and Envoy
count has one an hour.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from rightsize.border import scratch_folder
from rightsize.demo.kube_state import inventory_series
from rightsize.demo.load import MINUTES, DaySamples, day_samples
from rightsize.demo.parameters import DemoParameters, midnight
from rightsize.demo.series import Series
from rightsize.demo.tables import day_tables
from rightsize.demo.topology import Mesh, Pod, build_mesh

_CFS_PERIODS = 600
_EDGE = {
    "source_namespace": "source_workload_namespace",
    "source_workload": "source_workload",
    "destination_namespace": "destination_workload_namespace",
    "destination_workload": "destination_workload",
    "destination_service": "destination_service",
    "protocol": "request_protocol",
}
_GAUGES = ("pilot_xds", "pilot_services", "pilot_virt_services", "process_resident_memory_bytes",
           "citadel_server_root_cert_expiry_timestamp")  # fmt: skip


def write_openmetrics(
    parameters: DemoParameters, out_dir: Path, block_hours: int = 54
) -> list[Path]:
    """Write the mesh's samples, a file for each block, and return the files.

    Memory holds one day's samples; the lines of unfinished blocks wait on disk, in `out_dir`.

    Parameters
    ----------
    block_hours : int
        2 times a power of 3, as Prometheus compacts.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    mesh = build_mesh(parameters)
    block = block_hours * 3600
    counters: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    files = []
    with ExitStack() as stack:
        spool = stack.enter_context(scratch_folder(out_dir))
        waiting: dict[int, dict[str, TextIO]] = defaultdict(dict)
        for day in parameters.days:
            for series in _day_series(mesh, day, counters):
                for number, part in series.by_block(block):
                    families = waiting[number]
                    if series.name not in families:
                        file = (spool / f"{number}-{series.name}").open("w+")
                        families[series.name] = stack.enter_context(file)
                    families[series.name].writelines(part.lines())
            over = midnight(day + timedelta(days=1)).timestamp()
            # A sample on the border is the next block's first, so this one is whole.
            for number in sorted(n for n in waiting if (n + 1) * block <= over):
                files.append(_write(spool, out_dir, number * block, waiting.pop(number)))
        files += [_write(spool, out_dir, n * block, waiting[n]) for n in sorted(waiting)]
    return files


def _write(spool: Path, out_dir: Path, start: int, families: Mapping[str, TextIO]) -> Path:
    """Put the spooled families of a block one after the other, as OpenMetrics wants them."""
    part = spool / f"{datetime.fromtimestamp(start, UTC):%Y%m%dT%H}.om"
    with part.open("w") as out:
        for name, spooled in families.items():
            # Of no type, so that names stay as they are.
            out.write(f"# TYPE {name} unknown\n")
            spooled.seek(0)
            shutil.copyfileobj(spooled, out, 1 << 20)
            spooled.close()
            Path(spooled.name).unlink()
        out.write("# EOF\n")
    return part.rename(out_dir / part.name)


def _day_series(
    mesh: Mesh, day: date, counters: dict[tuple[str, frozenset[tuple[str, str]]], float]
) -> Iterator[Series]:
    samples = day_samples(mesh, day)
    first = day == mesh.parameters.start
    for row, pod in enumerate(samples.pods):
        yield from _usage(samples, row, pod, day, first, counters)
    yield from inventory_series(mesh, samples, day, first, counters)
    tables = day_tables(mesh, day)
    yield from _control_plane(tables["control_plane"], day, first, counters)
    yield from _traffic(tables["traffic"], day, counters)


def minute_times(day: date) -> np.ndarray:
    """Times of a day's samples, whole seconds since the epoch."""
    return int(midnight(day).timestamp()) + 60 * np.arange(1, MINUTES + 1)


def counted(
    name: str,
    labels: Mapping[str, str],
    times: np.ndarray,
    gains: np.ndarray,
    counters: dict[tuple[str, frozenset[tuple[str, str]]], float],
    *,
    scale: float = 1.0,
    before: int | None = None,
) -> Series:
    """A counter that goes on where it stood; `before` adds a sample of that standing first."""
    key = name, frozenset(labels.items())
    base = counters.get(key, 0.0)
    values = base + np.cumsum(gains)
    counters[key] = float(values[-1]) if len(values) else base
    if before is not None:
        times, values = np.concatenate([[before], times]), np.concatenate([[base], values])
    return Series(name, labels, times, values / scale)


def _usage(
    samples: DaySamples,
    row: int,
    pod: Pod,
    day: date,
    first: bool,
    counters: dict[tuple[str, frozenset[tuple[str, str]]], float],
) -> Iterator[Series]:
    alive = samples.alive[row]
    times = minute_times(day)[alive]
    labels = {
        "namespace": pod.workload.namespace,
        "pod": pod.name,
        "container": pod.workload.container,
        "image": "docker.io/istio/proxyv2:1.28.6",
    }
    start = int(midnight(day).timestamp())
    standing = start if first and pod.start.timestamp() < start else None
    yield counted(
        "container_cpu_usage_seconds_total", labels, times, samples.cpu[row][alive], counters,
        scale=1e6, before=standing,
    )  # fmt: skip
    memory = samples.memory[row][alive].astype(float)
    yield Series("container_memory_working_set_bytes", labels, times, memory)
    if pod.sizes.cpu_limit is None:
        return
    for name, gains in (
        ("container_cpu_cfs_periods_total", np.full(len(times), _CFS_PERIODS)),
        ("container_cpu_cfs_throttled_periods_total", samples.throttled[row][alive]),
    ):
        yield counted(name, labels, times, gains, counters, before=standing)


def _control_plane(
    rows: pd.DataFrame,
    day: date,
    first: bool,
    counters: dict[tuple[str, frozenset[tuple[str, str]]], float],
) -> Iterator[Series]:
    start = int(midnight(day).timestamp())
    for (pod, metric, label), group in rows.groupby(["pod", "metric", "label"], sort=False):
        name, _, value = str(label).partition("=")
        labels = {"namespace": "istio-system", "pod": str(pod), "app": "istiod"}
        labels |= {name: value} if name else {}
        times = (group["time"].astype("int64") // 1000).to_numpy()
        values = group["value"].to_numpy(dtype=float)
        if metric in _GAUGES:
            yield Series(str(metric), labels, times, values)
        else:
            standing = start if first else None
            yield counted(str(metric), labels, times, values, counters, before=standing)


def _traffic(
    rows: pd.DataFrame, day: date, counters: dict[tuple[str, frozenset[tuple[str, str]]], float]
) -> Iterator[Series]:
    """Counters of each edge as the called workload reports them, from zero on its first day."""
    start = int(midnight(day).timestamp())
    for key, group in rows.groupby(list(_EDGE), sort=False):
        edge = {_EDGE[name]: str(value) for name, value in zip(_EDGE, key, strict=True)}
        labels = edge | {
            "reporter": "destination",
            "connection_security_policy": "mutual_tls",
            "namespace": edge["destination_workload_namespace"],
            "pod": f"{edge['destination_workload']}-all",
        }
        times = (group["time"].astype("int64") // 1000).to_numpy()
        errors = group["errors"].to_numpy(dtype=float)
        requests = group["requests"].to_numpy(dtype=float)
        total = group["bytes"].to_numpy(dtype=float)
        sent = np.floor(total * 0.4)
        for name, more, gains in (
            ("istio_requests_total", {"response_code": "200"}, requests - errors),
            ("istio_requests_total", {"response_code": "500"}, errors),
            ("istio_request_duration_milliseconds_sum", {}, group["duration_seconds"] * 1000),
            ("istio_request_bytes_sum", {}, sent),
            ("istio_response_bytes_sum", {}, total - sent),
        ):
            known = (name, frozenset((labels | more).items())) in counters
            yield counted(
                name, labels | more, times, np.asarray(gains, dtype=float), counters,
                before=None if known else start,
            )  # fmt: skip
