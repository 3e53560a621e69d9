"""`rightsize canary verify` against a real Prometheus: what it asks for is what the pods did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.run import rightsize
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, every
from tests.servers.prometheus import Series, filled_prometheus

WEB = ("web-6d4cf56db6-aaaaa", "web-6d4cf56db6-bbbbb", "web-6d4cf56db6-ccccc")
ADMIN = "web-admin-5f5b6c7d8f-ddddd"
SET = ("db-0", "db-1", "db-2")
NATIVE = ("api-5f5b6c7d8f-aaaaa", "api-5f5b6c7d8f-bbbbb")
FIRST, LAST = DAY - 30 * HOUR, DAY + 30 * HOUR
TIMES = every(60, FIRST, LAST)
ENDED = "2026-09-15T05:00Z"
EXPORTED = ("namespace", "pod", "container")


def counter(name: str, rate: float, since: float = FIRST, **labels: str) -> Series:
    return Series(name, labels, [(t, rate * (t - since)) for t in TIMES if t >= since])


def pod(
    name: str,
    owner: tuple[str, str],
    *,
    throttled: float = 0.0,
    uid: str = "",
    started: float = FIRST - 86400,
    init: bool = False,
    killed: float | None = None,
    exported: bool = False,
) -> Iterator[Series]:
    """A pod of namespace shop with one proxy, throttled since the resize; `killed` is when it was."""
    me = {"namespace": "shop", "pod": name}
    proxy = me | {"container": "istio-proxy"}
    prefix = "exported_" if exported else ""
    state = {f"{prefix}{key}": value for key, value in proxy.items()}
    state |= {"namespace": "monitoring", "pod": "ksm-0", "container": "ksm"} if exported else {}
    about = {key: value for key, value in state.items() if "container" not in key}
    alive = [t for t in TIMES if t >= started]
    yield counter("container_cpu_cfs_periods_total", 10.0, max(started, FIRST), **proxy)
    yield counter("container_cpu_usage_seconds_total", 0.05, max(started, FIRST), **proxy)
    slow = [(t, 10.0 * throttled * max(t - DAY, 0)) for t in alive]
    yield Series("container_cpu_cfs_throttled_periods_total", proxy, slow)
    yield Series("container_memory_working_set_bytes", proxy, [(t, 80.0 * MIB) for t in alive])
    family = "kube_pod_init_container" if init else "kube_pod_container"
    restarts = [(t, float(killed is not None and t > killed)) for t in alive]
    yield Series(f"{family}_status_restarts_total", state, restarts)
    if killed is not None:
        reason = f"{family}_status_last_terminated_reason"
        after = [(t, 1.0) for t in alive if t > killed]
        yield Series(reason, state | {"reason": "OOMKilled"}, after)
    served = me | {"reporter": "destination"}
    yield counter("istio_requests_total", 20.0, max(started, FIRST), **served, response_code="200")
    yield counter("istio_request_duration_milliseconds_sum", 400.0, max(started, FIRST), **served)
    owned = {"owner_kind": owner[0], "owner_name": owner[1], "owner_is_controller": "true"}
    yield Series("kube_pod_owner", about | owned, [(t, 1.0) for t in alive])
    yield Series(
        "kube_pod_start_time", about | {"uid": uid or f"u-{name}"}, [(t, started) for t in alive]
    )


def series() -> Iterator[Series]:
    for name in WEB:
        yield from pod(name, ("ReplicaSet", "web-6d4cf56db6"), throttled=0.2 * (name == WEB[0]))
    yield from pod(ADMIN, ("ReplicaSet", "web-admin-5f5b6c7d8f"), throttled=0.5)
    for name in SET:
        yield from pod(name, ("StatefulSet", "db"), exported=True, started=FIRST - 86400)
    for number, name in enumerate(NATIVE):
        killed = LAST - 600 if number == 0 else None
        yield from pod(name, ("ReplicaSet", "api-5f5b6c7d8f"), init=True, killed=killed)
    owners = {"owner_kind": "Deployment", "owner_is_controller": "true", "namespace": "shop"}
    for name in ("web-6d4cf56db6", "web-admin-5f5b6c7d8f", "api-5f5b6c7d8f"):
        labels = owners | {"replicaset": name, "owner_name": name.rpartition("-")[0]}
        yield Series("kube_replicaset_owner", labels, [(t, 1.0) for t in TIMES])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled_prometheus(tmp_path_factory.mktemp("server"), list(series())) as address:
        yield address


def verified(  # type: ignore[no-untyped-def]
    server: str, folder: Path, resized: str, *, uid: str = "", at: str = ENDED, **about: object
):
    sizes = {"memory_limit": 128 * MIB}
    written = {"namespace": "shop", "workload": "web", "kind": "Deployment", "native": False}
    written |= {"component": "sidecar", "container": "istio-proxy", **about}
    folder.mkdir()
    written |= dict.fromkeys(("before", "after", "goal"), sizes)
    (folder / "canary.json").write_text(json.dumps(written))
    line = f"{resized}\t{uid or f'u-{resized}'}\t{DAY}\tresized\n"
    (folder / "resized.tsv").write_text(line)
    words = ("canary", "verify", folder, "--prometheus-url", server, "--at", at)
    return rightsize(*words, "--format", "json")


def test_a_throttled_pod_is_worse_and_the_way_back_is_named(server, tmp_path):
    done = verified(server, tmp_path / "c", WEB[0])
    assert done.returncode == 10, done.stderr
    assert "way-back.sh" in done.stderr
    found = json.loads(done.stdout)
    assert found["hours"] == 29
    throttling = found["differences"][0]
    assert throttling["resized"] == pytest.approx(0.2, abs=0.005)
    assert throttling["siblings"] == pytest.approx(0.0, abs=1e-6), "web-admin is no sibling"
    latency = found["differences"][2]
    assert latency["resized"] == pytest.approx(0.020, rel=0.01)
    cpu = found["differences"][3]
    assert cpu["resized"] == pytest.approx(0.05 / 20, rel=0.01)


def test_a_pod_as_good_as_its_siblings_holds(server, tmp_path):
    done = verified(server, tmp_path / "c", WEB[1])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "holds"


def test_a_pod_of_a_statefulset_that_was_made_anew_is_no_resized_one(server, tmp_path):
    done = verified(
        server, tmp_path / "c", SET[0], uid="of-the-one-before", workload="db", kind="StatefulSet"
    )
    found = json.loads(done.stdout)
    assert (found["answer"], found["hours"], found["made_anew"]) == ("too early", 0, [SET[0]])
    done = verified(server, tmp_path / "d", SET[0], workload="db", kind="StatefulSet")
    found = json.loads(done.stdout)
    assert (found["answer"], found["made_anew"]) == ("holds", []), (
        "its metrics are called exported_"
    )


def test_a_native_sidecar_killed_minutes_ago_is_worse(server, tmp_path):
    done = verified(
        server, tmp_path / "c", NATIVE[0], workload="api", native=True, at="2026-09-15T05:57Z"
    )
    assert done.returncode == 10, done.stderr
    assert "OOM-killed" in json.loads(done.stdout)["reason"]
    assert "way-back.sh" in done.stderr


def test_a_folder_in_which_nothing_was_resized_is_refused(server, tmp_path):
    done = rightsize("canary", "verify", tmp_path, "--prometheus-url", server)
    assert done.returncode == 3
    assert "rightsize canary writes this folder" in done.stderr


def test_a_workload_that_the_metrics_do_not_have_is_named(server, tmp_path):
    done = verified(server, tmp_path / "c", "gone-1", workload="gone")
    assert done.returncode == 6
    assert "no pod of Deployment shop/gone" in done.stderr


def test_pods_without_a_single_sample_since_are_too_early(server, tmp_path):
    done = verified(server, tmp_path / "c", WEB[0], container="another")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "too early"


def test_what_was_taken_back_is_judged_by_the_hours_it_was_tried(server, tmp_path):
    folder = tmp_path / "c"
    verified(server, folder, WEB[0])
    with (folder / "resized.tsv").open("a") as journal:
        journal.write(f"{WEB[0]}\tu-{WEB[0]}\t{DAY + 26 * HOUR}\tback\n")
    words = ("canary", "verify", folder, "--prometheus-url", server, "--at", ENDED)
    done = rightsize(*words, "--format", "json")
    assert done.returncode == 10
    assert json.loads(done.stdout)["hours"] == 26
