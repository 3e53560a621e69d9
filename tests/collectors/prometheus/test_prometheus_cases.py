"""Meshes with one oddity each, through the command: what is right is computed from the samples.

One Prometheus holds all of them, kept apart by the label `mesh`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.snapshot import Snapshot
from tests.cli.run import rightsize
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, Pod, every, node
from tests.servers.prometheus import Series, filled_prometheus

FLAT = every(60, DAY - 2 * HOUR + 7, DAY + 26 * HOUR)
POD = Pod("web-6d4cf56db6-bcdfg")
SINCE = POD.started
NEXT_DAY = DAY + 24 * HOUR


def _counter(times: Iterable[float], cores: float = 0.03) -> list[tuple[float, float]]:
    return [(t, cores * (t - SINCE)) for t in times]


def _start(values: Iterable[tuple[float, float]], cgroup: str = "") -> Series:
    labels = POD.labels(container="istio-proxy", image="proxyv2")
    labels["id"] = cgroup or f"/kubepods/{POD.name}/istio-proxy"
    return Series("container_start_time_seconds", labels, list(values))


def _kubelet_restart() -> list[Series]:
    at = DAY + 10 * HOUR
    times = [t for t in FLAT if not at <= t <= at + 720]
    starts = [(t, float(SINCE if t < at else at + 700)) for t in times]
    memory = [(t, 60.0 * MIB) for t in times]
    return [*POD.described(), *POD.used(cpu=_counter(times), memory=memory), _start(starts)]


def _kubelet_restart_at_midnight() -> list[Series]:
    times = [t for t in FLAT if not DAY - 400 <= t <= DAY + 320]
    starts = [(t, float(SINCE if t < DAY else DAY + 310)) for t in times]
    return [*POD.described(), *POD.used(cpu=_counter(times, 1.0)), _start(starts)]


def _nested() -> list[Series]:
    series = POD.described()
    for tail, share, mem in (("", 1.0, 100), ("/init.scope", 0.3, 30), ("/sub.slice", 0.7, 60)):
        cpu = _counter(FLAT, 0.05 * share)
        series += POD.used(cpu=cpu, memory=mem * MIB, cgroup=f"/kubepods/cri-x.scope{tail}")
    return series


def _scraped(step: float) -> Callable[[], list[Series]]:
    def world() -> list[Series]:
        times = every(step, DAY - 2 * HOUR + 7, DAY + 26 * HOUR)
        memory = [(t, 60.0 * MIB) for t in times]
        return [*POD.described(), *POD.used(cpu=_counter(times, 0.12), memory=memory)]

    return world


def _bursts(step: float) -> Callable[[], list[Series]]:
    """Half a minute of 1.5 cores in each hour, 20m else; groups below see two thirds of it."""

    def world() -> list[Series]:
        times = [t + 0.2 * (i % 3) for i, t in enumerate(every(step, SINCE + 7, DAY + 26 * HOUR))]
        hours, within = np.divmod(np.array(times) - SINCE, HOUR)
        used = 0.02 * (np.array(times) - SINCE)
        used += 1.48 * (30 * hours + np.clip(within - 1000, 0, 30))
        cgroup = f"/kubepods/{POD.name}/istio-proxy"
        return [
            *POD.described(),
            *POD.used(cpu=list(zip(times, used, strict=True)), cgroup=cgroup),
            *POD.used(
                cpu=list(zip(times, used * 2 / 3, strict=True)), cgroup=f"{cgroup}/init.scope"
            ),
        ]

    return world


def _runs() -> list[Series]:
    """A job every 20 minutes whose proxy lives 4; kube-state-metrics says nothing."""
    series = []
    for number in range(0, 70, 7):
        begin = DAY + 1200 * number + 30
        pod = replace(POD, name=f"clean-2990{number:04d}-bcdfg", started=begin)
        times = every(60, begin + 17, begin + 240)
        cpu = [(t, 0.04 * (t - begin)) for t in times]
        series += pod.used(cpu=cpu, memory=[(t, 45.0 * MIB) for t in times])
        start = [(t, float(begin)) for t in times]
        series.append(replace(series[-1], name="container_start_time_seconds", samples=start))
        series.append(replace(series[-2], labels=pod.labels(container="job", id=f"/{pod.name}/j")))
    return series


def _underflow() -> list[Series]:
    odd = {len(FLAT) // 2: 2.0**64, len(FLAT) // 3: 2.0**40}
    memory = [(t, odd.get(i, 60.0 * MIB)) for i, t in enumerate(FLAT)]
    return [*POD.described(), *POD.used(cpu=_counter(FLAT), memory=memory)]


def _dropped_labels() -> list[Series]:
    used = POD.used(cpu=_counter(FLAT))
    plain = {"namespace": POD.namespace, "pod": POD.name, "container": "istio-proxy"}
    return [*POD.described(), *(replace(one, labels=plain) for one in used)]


def _no_inventory_on_the_last_day() -> list[Series]:
    gateway = Pod("edge-6d4cf56db6-bcdfg", "edge", ("ReplicaSet", "edge-6d4cf56db6"))
    gateway.containers = ("istio-proxy",)
    app = Pod("batch-6d4cf56db6-bcdfg", owner=("ReplicaSet", "batch-6d4cf56db6"))
    app.containers = ("app",)
    described = [*POD.described(), *gateway.described(), *app.described(), *node()]
    cut = [replace(s, samples=[x for x in s.samples if x[0] < DAY]) for s in described]
    return [*cut, *POD.used(), *gateway.used()]


def _evicted() -> list[Series]:
    """It ends at 06:00 and stays in the API; another one ended the day before."""
    times = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    series = [*POD.described(), *POD.used()]
    for name, ended in (("gone-1", DAY + 6 * HOUR), ("gone-2", DAY - HOUR)):
        pod = Pod(name, owner=("StatefulSet", "gone"), containers=("app",))
        about = pod.labels(uid=f"uid-{name}")
        phases = {"Running": lambda t, e=ended: t < e, "Failed": lambda t, e=ended: t >= e}
        series += [s for s in pod.described() if s.name != "kube_pod_status_phase"]
        series += [
            Series("kube_pod_status_phase", about | {"phase": p}, [(t, float(f(t))) for t in times])
            for p, f in phases.items()
        ]
    return series


def _no_limits() -> list[Series]:
    return [*(s for s in POD.described() if not s.name.endswith("limits")), *POD.used()]


def _no_cpu_sizes() -> list[Series]:
    """An allowlist of kube-state-metrics that keeps the memory alone."""
    sizes = ("kube_pod_container_resource_requests", "kube_pod_container_resource_limits")
    series = [*POD.described(), *POD.used()]
    return [s for s in series if s.name not in sizes or s.labels["resource"] == "memory"]


def _limited_by_periods_alone() -> list[Series]:
    """CFS periods of a container of which no CPU limit is reported."""
    labels = POD.labels(container="istio-proxy", id=f"/kubepods/{POD.name}/istio-proxy")
    periods = Series("container_cpu_cfs_periods_total", labels, [(t, 10 * t) for t in POD.times])
    limits = "kube_pod_container_resource_limits"
    series = [*POD.described(), *POD.used(), periods]
    return [s for s in series if s.name != limits or s.labels["resource"] == "memory"]


def _silent_native() -> list[Series]:
    pod = replace(POD, native=True)
    return [*(s for s in pod.described() if "init_" not in s.name), *pod.used()]


def _restarted_without_a_reason() -> list[Series]:
    times = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    counts = [(t, float(t > DAY + HOUR)) for t in times]
    series = [s for s in POD.described() if "restarts" not in s.name]
    about = POD.labels(uid=f"uid-{POD.name}", container="istio-proxy")
    restarts = Series("kube_pod_container_status_restarts_total", about, counts)
    return [*series, restarts, *POD.used()]


def _other_machines() -> list[Series]:
    other = [
        replace(s, labels=s.labels | {"provider_id": "aws:///us-east-1c/i-0other"})
        for s in node()
        if s.name == "kube_node_info"
    ]
    return [*POD.described(), *POD.used(), *other]


def _kubelet_alone(name: str) -> Callable[[], list[Series]]:
    """No kube-state-metrics: a Deployment's pod of this name, and a StatefulSet's of any cluster's."""
    return lambda: [*replace(POD, name=name).used(), *replace(POD, name="db-0").used()]


WORLDS: dict[str, Callable[[], list[Series]]] = {
    "kubelet-restart": _kubelet_restart,
    "kubelet-restart-at-midnight": _kubelet_restart_at_midnight,
    "nested": _nested,
    "scraped-120": _scraped(120),
    "scraped-90": _scraped(90),
    "scraped-45": _scraped(45),
    "bursts-15": _bursts(15),
    "bursts-30": _bursts(30),
    "bursts-60": _bursts(60),
    "runs": _runs,
    "underflow": _underflow,
    "dropped-labels": _dropped_labels,
    "no-inventory": _no_inventory_on_the_last_day,
    "evicted": _evicted,
    "no-limits": _no_limits,
    "no-cpu-sizes": _no_cpu_sizes,
    "periods-alone": _limited_by_periods_alone,
    "silent-native": _silent_native,
    "no-reason": _restarted_without_a_reason,
    "other-machines": _other_machines,
    "one-kubelet": _kubelet_alone("web-6d4cf56db6-bcdfg"),
    "other-kubelet": _kubelet_alone("web-75c9d8f6b4-xxkzj"),
}


NO_NODES = ("no-inventory", "other-machines", "one-kubelet", "other-kubelet")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    series = [
        replace(one, labels=one.labels | {"mesh": name})
        for name, world in WORLDS.items()
        for one in (*world(), *(node() if name not in NO_NODES else ()))
    ]
    with filled_prometheus(tmp_path_factory.mktemp("cases"), series) as address:
        yield address


@pytest.fixture(scope="module")
def taken(server: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Snapshot]:
    """The snapshot of one world, collected by the command."""
    folder = tmp_path_factory.mktemp("taken")

    def take(name: str) -> Snapshot:
        if not (folder / name).exists():
            done = _collect(server, name, folder / name)
            assert done.returncode == 0, done.stderr
        return Snapshot(folder / name)

    return take


def _collect(server: str, name: str, out: Path, *options: str):  # type: ignore[no-untyped-def]
    times = ("--start", "2026-09-13T12:00Z", "--end", "2026-09-15")
    matcher = ("--matcher", f"mesh={name}")
    return rightsize(
        "collect", "--prometheus-url", server, *matcher, *times, *options, "--out", out
    )


def _usage(snapshot: Snapshot) -> pd.DataFrame:
    return snapshot.read("usage", days=snapshot.days[-1:])


def _proxy(snapshot: Snapshot) -> pd.Series:
    rows = snapshot.read("containers", days=snapshot.days[-1:])
    return rows[(rows["container"] == "istio-proxy") & (rows["pod"] == POD.name)].iloc[0]


def test_a_counter_that_went_on_has_gone_on_whatever_its_start_time_says(
    taken: Callable[[str], Snapshot],
) -> None:
    snapshot = taken("kubelet-restart")
    usage = _usage(snapshot)
    assert usage["cpu"].dropna().to_numpy() == pytest.approx(0.03)
    assert usage["cpu"].isna().sum() == 1
    proxy = _proxy(snapshot)
    assert (proxy["left_out"], proxy["left_out_cause"]) == (1, "start time moved")


def test_so_it_has_over_midnight(taken: Callable[[str], Snapshot]) -> None:
    assert _usage(taken("kubelet-restart-at-midnight"))["cpu"].dropna().max() == pytest.approx(1.0)


def test_groups_below_a_containers_own_do_not_count(taken: Callable[[str], Snapshot]) -> None:
    usage = _usage(taken("nested"))
    assert usage["cpu"].to_numpy() == pytest.approx(0.05)
    assert set(usage["memory"]) == {100.0 * MIB}


@pytest.mark.parametrize("step", [120, 90, 45])
def test_a_constant_usage_is_constant_at_every_scrape_interval(
    step: int, taken: Callable[[str], Snapshot]
) -> None:
    usage = _usage(taken(f"scraped-{step}"))
    assert usage["cpu"].to_numpy() == pytest.approx(0.12)
    times = np.array(every(step, DAY - 2 * HOUR + 7, DAY + 26 * HOUR))
    first, last = times[times <= DAY].max(), times[times <= NEXT_DAY].max()
    assert (usage["cpu"] * usage["seconds"]).sum() == pytest.approx(0.12 * (last - first))


@pytest.mark.parametrize(("step", "share"), [(15, 1.0), (30, 0.5)])
def test_bursts_of_half_a_minute_are_seen_where_scrapes_are_close(
    step: int, share: float, taken: Callable[[str], Snapshot]
) -> None:
    # A burst that two pairs of scrapes share shows half of it, at least.
    snapshot = taken(f"bursts-{step}")
    assert 1.5 * share <= _proxy(snapshot)["cpu_burst"] <= 1.5 * 1.05
    assert _usage(snapshot)["cpu"].max() < 0.2
    done = rightsize("recommend", "--snapshot", snapshot.path, "--all", "--format", "json")
    (row,) = (r for r in json.loads(done.stdout)["recommendations"] if r["workload"] == "web")
    assert "for less than a minute, which 5-minute means hide" in row["reason"]
    assert row["cpu"]["burst"] == pytest.approx(_proxy(snapshot)["cpu_burst"])
    assert row["cpu"]["recommended_limit"] >= 2.0


def test_scrapes_a_minute_apart_show_no_shorter_burst(taken: Callable[[str], Snapshot]) -> None:
    assert np.isnan(_proxy(taken("bursts-60"))["cpu_burst"])


def test_a_run_of_four_minutes_used_what_it_used_in_them(taken: Callable[[str], Snapshot]) -> None:
    usage = _usage(taken("runs"))
    whole = usage[usage["seconds"] > 150]
    assert usage["cpu"].dropna().to_numpy() == pytest.approx(0.04)
    assert len(whole)


def test_without_kube_state_metrics_cadvisor_tells_sidecars_and_names_their_job(
    taken: Callable[[str], Snapshot],
) -> None:
    snapshot = taken("runs")
    pods = snapshot.read("pods", days=snapshot.days[-1:])
    assert set(pods["workload"]) == {"clean"}
    assert set(pods["workload_kind"]) == {"CronJob"}
    proxies = snapshot.read("containers").query("container == 'istio-proxy'")
    assert set(proxies["component"]) == {"sidecar"}
    assert not proxies["requests_known"].any()


def test_memory_that_no_machine_has_is_no_sample(taken: Callable[[str], Snapshot]) -> None:
    snapshot = taken("underflow")
    assert _usage(snapshot)["memory"].max() == 60 * MIB
    proxy = _proxy(snapshot)
    assert proxy["left_out"] >= 1
    assert proxy["left_out_cause"] == "memory above node"


def test_without_id_image_and_name_the_figures_are_the_same(
    taken: Callable[[str], Snapshot],
) -> None:
    usage = _usage(taken("dropped-labels"))
    assert usage["cpu"].to_numpy() == pytest.approx(0.03)
    assert len(usage) == 288


def test_a_day_without_inventory_takes_the_last_known(taken: Callable[[str], Snapshot]) -> None:
    snapshot = taken("no-inventory")
    last = snapshot.days[-1:]
    containers = snapshot.read("containers", days=last).set_index(["pod", "container"])
    sidecar = containers.loc[(POD.name, "istio-proxy")]
    assert (sidecar["component"], sidecar["cpu_request"]) == ("sidecar", 0.1)
    gateway = containers.loc[("edge-6d4cf56db6-bcdfg", "istio-proxy")]
    assert (gateway["component"], gateway["cpu_limit"]) == ("gateway", 2.0)
    pods = snapshot.read("pods", days=last).set_index("pod")
    assert pods.loc["batch-6d4cf56db6-bcdfg", "workload"] == "batch"
    assert len(snapshot.read("nodes", days=last)) == 1
    assert any("2026-09-14" in one.what for one in snapshot.manifest.missing)


@pytest.mark.parametrize("command", ["recommend", "alerts", "nodes"])
def test_no_command_fails_on_such_a_day(command: str, taken: Callable[[str], Snapshot]) -> None:
    done = rightsize(command, "--snapshot", taken("no-inventory").path)
    assert done.returncode == 0, done.stderr


def test_a_pod_that_ended_is_there_until_then_and_no_longer(
    taken: Callable[[str], Snapshot],
) -> None:
    snapshot = taken("evicted")
    pods = snapshot.read("pods", days=snapshot.days[-1:]).set_index("pod")
    assert "gone-2" not in pods.index
    gone = pods.loc["gone-1"]
    assert gone["phase"] == "Failed"
    assert gone["last_seen"] == gone["ended"] == pd.Timestamp(DAY + 6 * HOUR, unit="s", tz="UTC")
    assert pd.isna(pods.loc[POD.name, "ended"])


def test_limits_that_nothing_reports_are_unknown_and_not_unset(
    taken: Callable[[str], Snapshot],
) -> None:
    proxy = _proxy(taken("no-limits"))
    assert (proxy["requests_known"], proxy["limits_known"]) == (True, False)


@pytest.mark.parametrize(
    ("name", "unknown"),
    [("no-cpu-sizes", ["cpu_request", "cpu_limit"]), ("periods-alone", ["cpu_limit"])],
)
def test_sizes_of_cpu_that_nothing_reports_are_unknown_and_those_of_memory_known(
    name: str, unknown: list[str], taken: Callable[[str], Snapshot]
) -> None:
    done = rightsize("recommend", "--snapshot", taken(name).path, "--all", "--format", "json")
    (row,) = (r for r in json.loads(done.stdout)["recommendations"] if r["workload"] == "web")
    assert sorted(row["unknown"]) == sorted(unknown)
    assert (row["memory"]["request"], row["memory"]["limit"]) == (128 * MIB, 1024 * MIB)


def test_limits_that_only_the_objects_have_are_known(server: str, tmp_path: Path) -> None:
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1500m"}}
    proxy = {"name": "istio-proxy", "resources": resources}
    about = {"name": POD.name, "namespace": POD.namespace}
    pod = {"kind": "Pod", "metadata": about, "spec": {"containers": [proxy]}}
    (tmp_path / "pods.json").write_text(json.dumps(pod))
    options = ("--objects", str(tmp_path / "pods.json"))
    assert _collect(server, "no-limits", tmp_path / "s", *options).returncode == 0
    found = _proxy(Snapshot(tmp_path / "s"))
    assert (found["limits_known"], found["cpu_limit"]) == (True, 1.5)
    assert pd.isna(found["memory_limit"])


def test_a_native_sidecar_that_nothing_reports_is_one_of_unknown_size(
    taken: Callable[[str], Snapshot],
) -> None:
    proxy = _proxy(taken("silent-native"))
    assert (proxy["component"], proxy["native"]) == ("sidecar", True)
    assert (proxy["requests_known"], proxy["limits_known"]) == (False, False)


def test_kills_are_unknown_where_a_restart_has_no_reason(taken: Callable[[str], Snapshot]) -> None:
    proxy = _proxy(taken("no-reason"))
    assert proxy["restarts"] == 1
    assert pd.isna(proxy["oom_kills"])


def test_another_mesh_is_refused_by_its_matcher(
    server: str, taken: Callable[[str], Snapshot]
) -> None:
    folder = taken("nested").path
    by_matcher = _collect(server, "other-machines", folder)
    assert by_matcher.returncode == 5
    assert "--out" in by_matcher.stderr


@pytest.mark.parametrize(
    ("mesh", "other", "words"),
    [
        ("nested", "other-machines", "i-0other"),
        (
            "one-kubelet",
            "other-kubelet",
            "of its 2 pods with a proxy on 2026-09-14 the server has 1",
        ),
    ],
)
def test_another_cluster_at_the_same_address_is_refused_by_its_machines_or_its_pods(
    mesh: str, other: str, words: str, server: str, tmp_path: Path
) -> None:
    # The manifest says the same, the machines do not.
    assert _collect(server, other, tmp_path).returncode == 0
    manifest = (tmp_path / "manifest.json").read_text()
    same = manifest.replace(other, mesh).replace('"complete": true', '"complete": false')
    (tmp_path / "manifest.json").write_text(same)
    found = _collect(server, mesh, tmp_path)
    assert found.returncode == 5
    assert words in found.stderr


def test_the_same_cluster_is_gone_on_with_by_its_pods(server: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert _collect(server, "one-kubelet", tmp_path).returncode == 0


def test_a_store_of_several_meshes_asks_for_a_matcher_by_the_label_that_splits_them(
    server: str, tmp_path: Path
) -> None:
    times = ("--start", "2026-09-14", "--end", "2026-09-15", "--out", tmp_path)
    both = rightsize("collect", "--prometheus-url", server, *times)
    assert both.returncode == 2
    assert "--matcher mesh=" in both.stderr
    nothing = rightsize("collect", "--prometheus-url", server, "--matcher", "mesh=x", *times)
    assert nothing.returncode == 6
    assert "nested" in nothing.stderr


def test_doctor_looks_at_the_newest_data(server: str) -> None:
    done = rightsize("doctor", "--prometheus-url", server, "--matcher", "mesh=nested")
    assert done.returncode == 0, done.stderr
    assert "newest data           2026-09-15 0" in done.stdout
