"""The demo mesh: the same seed gives the same bytes, pods fit, the odd ones are there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import pytest

from rightsize.demo import DemoParameters, demo_snapshot
from rightsize.demo.load import day_samples, rps_of
from rightsize.demo.shapes import node_shape, node_shapes
from rightsize.demo.topology import build_mesh, daemon_pods
from rightsize.errors import UsageError
from rightsize.nodes.allocatable import allocatable
from rightsize.prices.catalogue import instance_types
from rightsize.recommend import recommend
from rightsize.snapshot import TABLES, Snapshot

TINY = DemoParameters.tiny()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Snapshot(demo_snapshot(tmp_path_factory.mktemp("cache"), TINY))


def test_the_same_parameters_give_the_same_bytes(tmp_path, made):
    again = demo_snapshot(tmp_path, TINY)
    for path in made.path.rglob("*.parquet"):
        assert path.read_bytes() == (again / path.relative_to(made.path)).read_bytes()


def test_another_seed_gives_another_mesh(tmp_path, made):
    other = Snapshot(demo_snapshot(tmp_path, DemoParameters.tiny(seed=1)))
    assert not other.read("usage")["cpu"].equals(made.read("usage")["cpu"])


def test_the_second_call_makes_nothing(tmp_path):
    first = demo_snapshot(tmp_path, TINY)
    stamp = (first / "manifest.json").stat().st_mtime_ns
    assert (demo_snapshot(tmp_path, TINY) / "manifest.json").stat().st_mtime_ns == stamp


def test_it_says_that_it_is_simulated(made):
    assert made.manifest.simulated
    assert "none was measured" in made.manifest.facts["synthetic"]


def test_the_default_mesh_has_the_published_shape():
    mesh = build_mesh(DemoParameters())
    apps = {w.namespace for w in mesh.workloads} | {"kube-system"}
    alive = mesh.alive(DemoParameters().start)
    assert DemoParameters().nodes == 24
    assert len(apps) == 12
    assert len(mesh.workloads) + len(daemon_pods()) >= 60
    assert 280 <= len(alive) <= 330


LITTLE_MEMORY = DemoParameters(instance_type="c6i.xlarge")
FEW_LARGE = DemoParameters(instance_type="m5.2xlarge", nodes=13)
LARGE = DemoParameters(
    start=date(2026, 10, 25), nodes=160, pods=2000, workloads=400, app_namespaces=60
)


@pytest.mark.parametrize(
    "parameters",
    [TINY, DemoParameters(), LITTLE_MEMORY, FEW_LARGE, LARGE],
    ids=["tiny", "default", "c6i", "2xlarge", "2000 pods"],
)
def test_pods_fit_their_nodes_at_all_times(parameters):
    mesh = build_mesh(parameters)
    node = node_shape(parameters.instance_type)
    for moment in sorted({pod.start for pod in mesh.pods})[::25]:
        used = np.zeros((parameters.nodes, 3))
        for _, cpu, memory in daemon_pods():
            used += [cpu, memory, 1]
        for pod in mesh.pods:
            if pod.start <= moment < pod.end:
                workload = pod.workload
                used[pod.node] += [
                    workload.app_cpu + (pod.sizes.cpu_request or 0),
                    workload.app_memory + (pod.sizes.memory_request or 0),
                    1,
                ]
        assert (used <= np.array([node.cpu, node.memory, node.pods]) + 1e-6).all()


def test_windows_are_those_of_the_samples(made):
    mesh = build_mesh(TINY)
    samples = day_samples(mesh, TINY.start)
    pod = samples.pods[5]
    usage = made.read("usage", days=[TINY.start])
    mine = usage[usage["pod"] == pod.name].sort_values("time")
    expected = samples.cpu[5].reshape(288, 5).sum(axis=1) / 1e6 / 300
    seen = samples.alive[5].reshape(288, 5).any(axis=1)
    np.testing.assert_allclose(mine["cpu"], expected[seen])


def test_halving_the_load_halves_usage_and_moves_the_answer(tmp_path):
    busy = Snapshot(demo_snapshot(tmp_path, DemoParameters.tiny(usage_scale=8.0)))
    half = Snapshot(demo_snapshot(tmp_path, DemoParameters.tiny(usage_scale=4.0)))
    answers = {}
    for name, snapshot in (("busy", busy), ("half", half)):
        rows = [r for r in recommend(snapshot).recommendations if r.component == "sidecar"]
        answers[name] = {r.workload: r.cpu.usage.p95 for r in rows if r.workload}
    free = [w.name for w in build_mesh(TINY).workloads
            if w.component == "sidecar" and not w.traits and w.rps]  # fmt: skip
    ratios = [answers["busy"][name] / answers["half"][name] for name in free]
    assert np.median(ratios) == pytest.approx(2.0, rel=0.1)


def test_the_odd_ones_are_there():
    mesh = build_mesh(DemoParameters())
    traits = set().union(*(w.traits for w in mesh.workloads))
    assert {"throttled", "oom", "hpa", "native"} <= traits
    assert any(w.started > mesh.parameters.start for w in mesh.workloads)
    assert any(w.resized for w in mesh.workloads)


def test_one_proxy_is_throttled_and_one_is_killed(made):
    containers, usage = made.read("containers"), made.read("usage")
    share = usage["throttled_periods"] / usage["periods"]
    assert containers["oom_kills"].sum() > 0
    assert share.groupby(usage["pod"].astype(str)).mean().max() > 0.05


def test_a_large_mesh_has_as_many_workloads_as_asked():
    mesh = build_mesh(LARGE)
    assert len({(w.namespace, w.name) for w in mesh.workloads}) == 402
    assert 1900 < len(mesh.alive(LARGE.end)) < 2150


def test_shapes_of_nodes_are_those_of_the_catalogue_and_the_eks_formulas():
    known = instance_types().set_index("instance_type", drop=False)
    rows = known.loc[list(node_shapes())]
    room = allocatable(rows)
    for shape, machine, left in zip(
        node_shapes().values(), rows.itertuples(), room.itertuples(), strict=True
    ):
        assert (shape.arch, shape.capacity_cpu) == (machine.arch, machine.vcpu)
        assert shape.capacity_memory == machine.memory
        assert (shape.cpu, shape.memory, shape.pods) == (left.cpu, left.memory, left.pods)


def test_nodes_are_of_the_type_asked_for(tmp_path):
    shape = DemoParameters.tiny(instance_type="m6g.xlarge")
    nodes = Snapshot(demo_snapshot(tmp_path, shape)).read("nodes")
    assert set(nodes["instance_type"]) == {"m6g.xlarge"}
    assert set(nodes["arch"]) == {"arm64"}


def test_an_unknown_instance_type_is_refused():
    with pytest.raises(UsageError, match=r"x9\.huge"):
        build_mesh(DemoParameters.tiny(instance_type="x9.huge"))


def test_a_mesh_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        build_mesh(DemoParameters.tiny(nodes=1))


def test_every_row_has_a_key_of_its_own(tmp_path):
    """Pods of a StatefulSet keep their names through a rollout."""
    shape = DemoParameters.tiny(app_namespaces=2, start=date(2026, 10, 20), end=date(2026, 10, 31))
    snapshot = Snapshot(demo_snapshot(tmp_path, shape))
    pods = snapshot.read("pods")
    assert pods[pods["workload_kind"] == "StatefulSet"].groupby("pod", observed=True)[
        "started"
    ].nunique().max() > 1  # fmt: skip
    for name, table in TABLES.items():
        rows = snapshot.read(name)
        assert not rows.duplicated([*table.key, *({"day"} & set(rows))]).any(), name


def test_a_changed_generator_is_another_demo(monkeypatch, tmp_path):
    before = TINY.fingerprint
    (tmp_path / "parameters.py").write_text("")
    monkeypatch.setattr("rightsize.demo.parameters.__file__", str(tmp_path / "parameters.py"))
    assert TINY.fingerprint != before


def test_the_autoscaled_workload_has_more_pods_in_busy_hours_and_serves_more(made):
    mesh = build_mesh(TINY)
    scaled = next(w for w in mesh.workloads if "hpa" in w.traits)
    friday = day_samples(mesh, TINY.start)
    pods = [row for row, pod in enumerate(friday.pods) if pod.workload.index == scaled.index]
    running = friday.alive[pods].sum(axis=0)
    assert running.min() == scaled.replicas
    assert running.max() == 2 * scaled.replicas
    traffic = made.read("traffic", days=[TINY.start])
    served = traffic[traffic["destination_workload"] == scaled.name]
    night = rps_of(TINY, scaled, TINY.start, np.array([30.0]))[0] * scaled.replicas * 3600
    noon = rps_of(TINY, scaled, TINY.start, np.array([750.0]))[0] * 2 * scaled.replicas * 3600
    hours = served.groupby(served["time"].dt.hour)["requests"].sum()
    assert hours[1] == pytest.approx(night, abs=5)
    assert hours[13] == pytest.approx(noon, abs=5)


def test_istiods_memory_grows_with_its_proxies_and_services(tmp_path):
    def peak(**changes: object) -> float:
        usage = Snapshot(demo_snapshot(tmp_path, DemoParameters.tiny(**changes))).read("usage")
        return float(usage[usage["container"] == "discovery"]["memory"].median())

    few = peak()
    assert peak(services=(480, 600)) - few == pytest.approx(0.4 * 270 * 2**20, rel=0.1)
    assert peak(pods=60, nodes=8) > few


def test_two_first_calls_at_once_make_one_snapshot(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: demo_snapshot(tmp_path, TINY), range(2)))
    assert found[0] == found[1]
    assert [path.name for path in tmp_path.iterdir()] == [found[0].name]
    assert len(Snapshot(found[0]).days) == 2
