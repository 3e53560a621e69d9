"""How much a collect asks of client and server, against one Prometheus, side by side.

    python benchmarks/collect.py                          # 40 pods, 2 days: under a minute
    python benchmarks/collect.py --pods 300 --days 14
    python benchmarks/collect.py --pods 2000 --days 7 --disk /var/tmp

Needs `prometheus` and `promtool`. Synthetic proxies with restarts and daily cycles are written as
OpenMetrics text, back-filled block by block (each text is deleted after its import), and served on
loopback. Then each way runs in a process of its own:

- `signals`: CPU and memory of every proxy in 5-minute windows, streamed as `rightsize collect`
  does, into arrays of increases and maxima;
- `server`: the same queries by a client that throws the bytes away: the server's own time;
- `per workload`: the same two signals and five more, one query for each workload and metric over
  the whole span, as a tool that goes workload by workload makes them;
- `data frames`: the same two signals with prometheus-api-client and MetricRangeDataFrame;
- `collect 1/2`: `collect` for half of the days, for its memory;
- `collect`: the whole of `rightsize collect`, inventory, traffic and Parquet included.

Every row gives seconds, requests, bytes, peak memory of the client, and the CPU seconds of both
(the client's with its start, about one second), which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

END = 1_795_392_000  # 2026-11-23T00:00Z
DAY = 86_400
BLOCK = 54 * 3600
POD_LABELS = "-6d4cf56db6-"


@dataclass(frozen=True)
class Cost:
    """What one way took."""

    seconds: float
    requests: int
    megabytes: float
    client_peak_mb: float
    client_cpu_seconds: float
    points: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=40)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each way; the best counts")
    parser.add_argument("--disk", type=Path, help="folder with room for text and database")
    parser.add_argument("--database", type=Path, help="keep the database here, use it next time")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        cost = ROWS[arguments.row](arguments.url, arguments.days, arguments.pods)
        print(json.dumps(asdict(cost)))
        return
    folder = Path(tempfile.mkdtemp(dir=arguments.disk))
    try:
        _run(arguments, folder)
    finally:
        shutil.rmtree(folder)


def _run(arguments: argparse.Namespace, folder: Path) -> None:
    started = time.monotonic()
    data = (arguments.database or folder) / "data"
    if not data.exists():
        _fill(data.parent, arguments.pods, arguments.days)
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) / 1e6
    print(
        f"{arguments.pods} pods, {arguments.days} days: filled in "
        f"{time.monotonic() - started:.0f} s, {size:.0f} MB on disk"
    )
    from tests.servers.prometheus import running_prometheus

    rows: dict[str, dict[str, float]] = {}
    with running_prometheus(data, "--query.timeout=10m") as address:
        process = _process_of(address)
        for name in ROWS:
            best: dict[str, float] | None = None
            for _ in range(arguments.repeat):
                before = _cpu_seconds(process)
                command = [sys.executable, __file__, "--row", name, "--url", address]
                command += ["--days", str(arguments.days), "--pods", str(arguments.pods)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                cost = json.loads(done.stdout)
                cost["server_cpu_seconds"] = _cpu_seconds(process) - before
                if best is None or cost["seconds"] < best["seconds"]:
                    best = cost
            assert best is not None
            best["server_peak_mb"] = _peak_mb(process)
            rows[name] = best
    _print(rows)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


def _print(rows: dict[str, dict[str, float]]) -> None:
    columns = ["seconds", "requests", "megabytes", "client_peak_mb", "client_cpu_seconds"]
    columns += ["server_cpu_seconds", "server_peak_mb", "points"]
    print(f"{'':14}" + "".join(f"{column:>20}" for column in columns) + f"{'/ server':>10}")
    floor = rows["server"]["seconds"]
    for name, row in rows.items():
        cells = "".join(f"{row[column]:20.2f}" for column in columns)
        print(f"{name:14}{cells}{row['seconds'] / floor:10.2f}")


def _signals(url: str, days: int, pods: int) -> Cost:
    """Two in flight, parsed while the next answer is on its way, dropped when reduced."""
    from rightsize.collectors.prometheus.days import Day
    from rightsize.collectors.prometheus.queries import USAGE
    from rightsize.collectors.prometheus.query import Shape
    from rightsize.collectors.prometheus.source import open_source
    from rightsize.collectors.prometheus.windows import Starts, highest, increases
    from rightsize.config import PrometheusSettings

    points = 0
    with open_source(PrometheusSettings(url=(url,))) as source:
        started = time.monotonic()
        spans = [Day(first, first + DAY) for first in range(END - days * DAY, END, DAY)]
        asked = [(day, [source.ask(query, day)[0] for query in USAGE[:2]]) for day in spans[:2]]
        for number in range(days):
            day, (cpu, memory) = asked.pop(0)
            if number + 2 < days:
                following = spans[number + 2]
                asked.append((following, [source.ask(q, following)[0] for q in USAGE[:2]]))
            used = increases(cpu.result(), day.grid(Shape.WINDOWS), Starts({}, {}))
            peaks = highest(memory.result())
            points += int(used.sampled.sum() + peaks.sampled.sum())
        seconds = time.monotonic() - started
        traffic = source.endpoints[0].server.traffic
        return _cost(seconds, traffic.requests, traffic.received_bytes, points)


def _server(url: str, days: int, pods: int) -> Cost:
    """The queries of `_signals`, two at a time, read and dropped."""
    import requests

    from rightsize.collectors.prometheus.product import Product
    from rightsize.collectors.prometheus.queries import USAGE

    product = Product("prometheus", "", closed=True)
    session = requests.Session()

    def ask(text: str, first: int) -> int:
        form = {"query": text, "start": str(first), "end": str(first + DAY), "step": "300"}
        headers = {"Accept-Encoding": "identity"}
        answer = session.post(f"{url}/api/v1/query_range", data=form, headers=headers, stream=True)
        return sum(len(chunk) for chunk in answer.iter_content(1 << 20))

    texts = [product.durations(query.text).replace("$M", "") for query in USAGE[:2]]
    jobs = [(text, first) for first in range(END - days * DAY, END, DAY) for text in texts]
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        sizes = list(pool.map(lambda job: ask(*job), jobs))
    return _cost(time.monotonic() - started, len(jobs), sum(sizes), 0)


def _per_workload(url: str, days: int, pods: int) -> Cost:
    """One query for each workload and metric over the whole span, ten at a time."""
    import requests

    metrics = [
        "rate(container_cpu_usage_seconds_total{{{0}}}[5m])",
        "max_over_time(container_memory_working_set_bytes{{{0}}}[5m])",
        "last_over_time(kube_pod_container_resource_requests{{{0}}}[5m])",
        "last_over_time(kube_pod_container_resource_limits{{{0}}}[5m])",
        "last_over_time(kube_pod_container_status_restarts_total{{{0}}}[5m])",
        "last_over_time(kube_pod_container_info{{{0}}}[5m])",
        "count_over_time(container_cpu_usage_seconds_total{{{0}}}[5m])",
    ]
    session = requests.Session()
    session.mount(url, requests.adapters.HTTPAdapter(pool_maxsize=10))

    def ask(text: str) -> tuple[int, int]:
        form = {"query": text, "start": str(END - days * DAY + 300), "end": str(END)}
        answer = session.post(f"{url}/api/v1/query_range", data=form | {"step": "300"})
        result = answer.json()["data"]["result"]
        return len(answer.content), sum(len(series["values"]) for series in result)

    jobs = [
        metric.format(f'namespace="{namespace}",pod=~"{name}-.*",container="istio-proxy"')
        for namespace, name in dict.fromkeys((n, w) for n, w, _ in _pods(pods))
        for metric in metrics
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, jobs))
    seconds = time.monotonic() - started
    return _cost(seconds, len(jobs), sum(a for a, _ in answers), sum(b for _, b in answers))


def _data_frames(url: str, days: int, pods: int) -> Cost:
    """The library's own way, in windows of a day so that it does fit."""
    from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

    client = PrometheusConnect(url)
    texts = [
        'rate(container_cpu_usage_seconds_total{container="istio-proxy"}[5m])',
        'max_over_time(container_memory_working_set_bytes{container="istio-proxy"}[5m])',
    ]
    points = 0
    started = time.monotonic()
    for text in texts:
        answer = client.custom_query_range(
            text,
            datetime.fromtimestamp(END - days * DAY + 300, UTC),
            datetime.fromtimestamp(END, UTC),
            "300",
        )
        frame = MetricRangeDataFrame(answer)
        frame["value"].astype(float).groupby([frame["namespace"], frame["pod"]]).max()
        points += len(frame)
    return _cost(time.monotonic() - started, len(texts), 0, points)


def _collect(url: str, days: int, pods: int) -> Cost:
    from rightsize.collectors.prometheus import collect
    from rightsize.config import PrometheusSettings

    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        collected = collect(
            PrometheusSettings(url=(url,)),
            out=Path(folder) / "snapshot",
            days=days,
            end=datetime.fromtimestamp(END, UTC),
        )
        seconds = time.monotonic() - started
    rows = sum(record.rows["usage"] for record in collected.manifest.days.values())
    return _cost(seconds, collected.requests, collected.received_bytes, rows)


def _half(url: str, days: int, pods: int) -> Cost:
    """Half of the days: the client's memory should be the same as for all of them."""
    return _collect(url, -(-days // 2), pods)


ROWS: dict[str, Callable[[str, int, int], Cost]] = {
    "signals": _signals,
    "server": _server,
    "per workload": _per_workload,
    "data frames": _data_frames,
    "collect 1/2": _half,
    "collect": _collect,
}


def _cost(seconds: float, requests_made: int, received: int, points: int) -> Cost:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(seconds, requests_made, received / 1e6, peak, time.process_time(), points)


def _pods(count: int) -> Iterator[tuple[str, str, str]]:
    """Namespace, workload and name of each pod: five pods a workload, ten workloads a namespace."""
    for number in range(count):
        workload = number // 5
        letters = "bcdfghjklm"
        suffix = "".join(letters[int(digit)] for digit in f"{number:05d}")
        name = f"app{workload}"
        yield f"team{workload // 10}", name, f"{name}{POD_LABELS}{suffix}"


def _fill(folder: Path, pods: int, days: int) -> None:
    """Write, import and delete one text after the other, cut where Prometheus cuts blocks."""
    from tests.servers.prometheus import backfill

    rng = np.random.default_rng(1)
    base = rng.lognormal(np.log(0.01), 0.8, pods)
    counters = rng.uniform(0, 1000, pods)
    start = END - days * DAY - 3600
    folder.mkdir(parents=True, exist_ok=True)
    edges = [start, *range((start // BLOCK + 1) * BLOCK, END, BLOCK), END]
    for first, last in itertools.pairwise(edges):
        times = np.arange(first, last + (60 if last == END else 0), 60)
        text = folder / f"{first}.om"
        with text.open("w") as out:
            counters = _write(out, times, pods, base, counters, rng)
        backfill(folder, [text])
        text.unlink()


def _write(out, times, pods, base, counters, rng) -> np.ndarray:  # type: ignore[no-untyped-def]
    daily = 1 + 0.5 * np.sin(2 * np.pi * times / DAY)
    stamps = times.tolist()
    sparse = [t for t in stamps if t % 300 == 0]
    names = list(_pods(pods))
    ends = np.empty(pods)
    out.write("# TYPE container_cpu_usage_seconds_total unknown\n")
    for i, (namespace, _, pod) in enumerate(names):
        rate = base[i] * daily * rng.lognormal(0, 0.3, len(times))
        counter = counters[i] + np.cumsum(rate) * 60
        ends[i] = counter[-1]
        _series(
            out, "container_cpu_usage_seconds_total", _cadvisor(namespace, pod), stamps, counter
        )
    out.write("# TYPE container_memory_working_set_bytes unknown\n")
    for i, (namespace, _, pod) in enumerate(names):
        memory = np.round(6e7 * (1 + base[i]) + rng.normal(0, 1e6, len(times)))
        _series(
            out, "container_memory_working_set_bytes", _cadvisor(namespace, pod), stamps, memory
        )
    for metric, labels, value in _DESCRIBED:
        out.write(f"# TYPE {metric} unknown\n")
        for namespace, workload, pod in names:
            own = f'namespace="{namespace}",pod="{pod}",uid="uid-{pod}"'
            more = labels.format(workload=workload)
            for one in more.split("|"):
                _series(out, metric, own + one, sparse, [value] * len(sparse))
    out.write("# EOF\n")
    return ends


_CONTAINERS = ',container="app"|,container="istio-proxy"'
_SIZES = "|".join(
    f',container="{container}",resource="{resource}"'
    for container in ("app", "istio-proxy")
    for resource in ("cpu", "memory")
)
_DESCRIBED = (
    ("kube_pod_info", ',node="node-1",host_network="false"', 1),
    ("kube_pod_owner", ',owner_kind="ReplicaSet",owner_name="{workload}-6d4cf56db6"', 1),
    ("kube_pod_start_time", "", END - 90 * DAY),
    ("kube_pod_status_phase", ',phase="Running"', 1),
    ("kube_pod_container_info", _CONTAINERS, 1),
    ("kube_pod_container_resource_requests", _SIZES, 0.1),
    ("kube_pod_container_resource_limits", _SIZES, 2),
    ("kube_pod_container_status_restarts_total", _CONTAINERS, 0),
)


def _cadvisor(namespace: str, pod: str) -> str:
    return (
        f'namespace="{namespace}",pod="{pod}",container="istio-proxy",'
        f'id="/kubepods/{pod}",image="docker.io/istio/proxyv2:1.24.6",node="node-1"'
    )


def _series(out, metric, labels, stamps, values) -> None:  # type: ignore[no-untyped-def]
    head = f"{metric}{{{labels}}} "
    out.writelines(
        f"{head}{v} {t}\n" for v, t in zip(np.asarray(values).tolist(), stamps, strict=True)
    )


def _process_of(address: str) -> int:
    """The server's process: the one child of ours that listens there."""
    port = address.rpartition(":")[2]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if f"--web.listen-address=127.0.0.1:{port}" in command:
                return int(entry.name)
    raise RuntimeError("the server's process is not to be found")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main()
