"""Costs against right-sized sidecars: known rates and figures give known requests, nodes, waves."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

import rightsize
from rightsize.ambient.answer import answer_ambient
from rightsize.ambient.cost import AmbientPlanner, Request, break_even, namespace_cost
from rightsize.ambient.figures import PAYLOAD, RATE, measured, published
from rightsize.ambient.order import ranked, wave_files, waves_of
from rightsize.ambient.rates import read_rates
from rightsize.ambient.waypoints import WaypointNeed
from rightsize.config import NodeSettings, Settings
from rightsize.files.yaml_text import from_yaml
from rightsize.namespaces.proxy_cpu import fit_proxy_cpu
from rightsize.output.report.ambient import ambient_section
from rightsize.prices.unit_price import UnitPrice
from rightsize.results import Interval
from tests.ambient.test_waypoints import calls
from tests.servers.require import require_program
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

PRICE = UnitPrice(0.03, 4e-12)
HEADROOM = 1.5


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """1,000 requests/s of 2 kB from `web` to `cart`, as in Istio's published set-up."""
    traffic = calls(("shop/web", "shop/cart", "http", 1000.0))
    folder = tmp_path_factory.mktemp("rates") / "s"
    return read_rates(tiny_snapshot(folder, Tiny(days=1), days=1, more={"traffic": traffic}))


def planner(rates, need="objects", *, sidecar=(0.2, 128 * MIB), has=(), istiod=0.0):
    names = [f"web-{n}" for n in range(4)] + [f"cart-{n}" for n in range(4)]
    pods = pd.DataFrame(
        {
            "namespace": "shop",
            "workload": [name[:-2] for name in names],
            "workload_kind": "Deployment",
            "pod": names,
            "cpu": 0.5 + sidecar[0],
            "memory": 512 * MIB + sidecar[1],
            "unset": 0,
            "daemonset": False,
            "node": ["n1", "n2"] * 4,
            "own_cpu": sidecar[0],
            "own_memory": sidecar[1],
            "istiod": False,
        }
    )
    pilot = pods.iloc[[0]].assign(
        namespace="istio-system", workload="istiod", pod="istiod-0", own_cpu=np.nan,
        own_memory=np.nan, istiod=True, memory=2048.0 * MIB,
    )  # fmt: skip
    return AmbientPlanner(
        pods=pd.concat([pods, pilot], ignore_index=True),
        nodes=pd.DataFrame({"node": ["n1", "n2"], "kind": None, "instance_type": "m5.large"}),
        catalogue=pd.DataFrame(),
        settings=NodeSettings(),
        rates=rates,
        needs={"shop": WaypointNeed("shop", need, (), 1000.0, 0.0)},
        figures=published(),
        istiod_memory=Interval.exactly(istiod),
        has=frozenset(has),
    )


def test_the_published_set_up_comes_out_as_published(rates):
    one = planner(rates)
    pod, tunnel = one.waypoint("shop", "mid"), one.ztunnel(["shop"], "mid")
    assert 2 * pod.cpu / HEADROOM == pytest.approx(0.25)
    assert pod.memory / HEADROOM == pytest.approx(60e6)
    # 1,000 requests/s leave and 1,000 arrive, on two nodes.
    assert tunnel.cpu / HEADROOM == pytest.approx(0.06)


def test_bytes_beyond_the_published_payload_raise_the_high_end_alone(rates, tmp_path):
    fat = calls(("shop/web", "shop/cart", "http", 1000.0)).assign(bytes=1000.0 * 3600 * PAYLOAD * 3)
    mesh = tiny_snapshot(tmp_path / "s", Tiny(days=1), days=1, more={"traffic": fat})
    heavy, usual = planner(read_rates(mesh)), planner(rates)
    for end, factor in (("mid", 1.0), ("high", 3.0)):
        assert heavy.ztunnel(["shop"], end).cpu == pytest.approx(
            factor * usual.ztunnel(["shop"], end).cpu
        )


@pytest.mark.parametrize(
    ("need", "ends"),
    [
        ("objects", "low mid high"),
        ("traffic", "low mid high"),
        ("telemetry", "mid high"),
        ("unknown", "high"),
        ("none", ""),
    ],
)
def test_what_is_not_sure_to_need_a_waypoint_widens_the_interval(rates, need, ends):
    one = planner(rates, need)
    assert [e for e in ("low", "mid", "high") if one.waypoint("shop", e)] == ends.split()


def test_pods_lose_their_sidecar_and_the_mesh_gains_ztunnel_cni_and_waypoints(rates):
    one = planner(rates, istiod=1.0 * MIB)
    pods = one.pods_with(["shop"], "mid")
    assert pods[pods["workload"].isin(("web", "cart"))]["cpu"].tolist() == pytest.approx([0.5] * 8)
    added = pods[~pods["pod"].isin(one.pods["pod"])]
    assert added["workload"].tolist() == ["waypoint", "waypoint", "ztunnel", "istio-cni-node"]
    assert added["daemonset"].tolist() == [False, False, True, True]
    # Eight sidecars go; two waypoints, a ztunnel, a row of cni and one more ztunnel come.
    istiod = pods[pods["istiod"].eq(True)]["memory"].iloc[0]
    assert 2042 * MIB <= istiod < 2048 * MIB


def test_what_runs_already_is_not_paid_twice(rates):
    pods = planner(rates, has=("ztunnel", "istio-cni")).pods_with(["shop"], "mid")
    assert not pods["workload"].isin(("ztunnel", "istio-cni-node")).any()


def test_nobody_in_ambient_mode_is_the_mesh_as_it_is(rates):
    one = planner(rates)
    pd.testing.assert_frame_equal(one.pods_with([], "mid"), one.pods)


def test_large_sidecars_make_ambient_worth_it_and_small_ones_do_not(rates):
    large = namespace_cost(planner(rates, sidecar=(0.5, 512 * MIB)), "shop", PRICE, 730, 2)
    small = namespace_cost(planner(rates, sidecar=(0.01, 40 * MIB)), "shop", PRICE, 730, 2)
    assert large.usd.low > 0 > small.usd.high


@pytest.mark.parametrize("need", ["objects", "none"])
def test_at_the_break_even_both_modes_are_worth_the_same(rates, need):
    one = planner(rates, need)
    cost = namespace_cost(one, "shop", PRICE, 730, 2)
    found = break_even(one, "shop", PRICE, 730, cost.before, cost.after)
    if found.rate is None:
        assert (found.cheaper == "always") is (cost.usd.mid > 0)
        return
    core = PRICE.usd_per_core_hour * 730
    sidecar = 2 * published()["sidecar"].cpu.mid * core
    ambient = 2 * published()["ztunnel"].cpu.mid * HEADROOM * core
    ambient += published()["waypoint"].cpu.mid * HEADROOM * core if need == "objects" else 0
    moved = found.rate.mid - 1000.0
    before = cost.before.usd(PRICE, 730) + moved * sidecar
    after = cost.after["mid"].usd(PRICE, 730) + moved * ambient
    assert before == pytest.approx(after, rel=1e-6)


def test_own_proxies_are_measured_within_their_interval():
    random = np.random.default_rng(1)
    rate = random.uniform(50, 500, 30)
    cpu = rate * 0.0003 * random.lognormal(0, 0.1, 30)
    found = measured("waypoint", cpu, rate, np.full(30, 70e6))
    assert found.cpu.low <= 0.0003 <= found.cpu.high
    assert found.cpu.high < 0.00035
    assert found.measured
    assert found.memory.mid == 70e6
    assert measured("waypoint", cpu[:2], rate[:2], rate[:2]) is None
    assert measured("waypoint", cpu, rate * 0, rate) is None


@pytest.mark.parametrize("truth", [0.00006, 0.0004])
def test_what_an_idle_ztunnel_uses_is_no_part_of_a_requests_price(truth):
    random = np.random.default_rng(4)
    rate = random.uniform(5, 300, 30)
    found = measured("ztunnel", 0.05 + truth * rate, rate, np.full(30, 40e6))
    assert found.cpu.mid == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("count", [3, 5, 6, 12])
def test_the_price_of_a_request_lies_in_its_interval_however_few_proxies_run(count):
    held = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        rate = random.lognormal(np.log(100), 0.8, count)
        cpu = (0.003 + 0.0001 * rate) * random.lognormal(0, 0.1, count)
        price = measured("ztunnel", cpu, rate, np.full(count, 40e6)).cpu
        held.append(price.low <= 0.0001 <= price.high)
    assert np.mean(held) >= 0.8


def test_little_and_equal_traffic_bounds_the_price_of_a_request_from_above():
    low, high = published()["ztunnel"].cpu.mid, 0.05 / 70
    found = measured("ztunnel", np.full(3, 0.05), np.full(3, 70.0), np.full(3, 40e6))
    assert (found.cpu.mid, found.cpu.high) == pytest.approx((low, high))


def test_a_request_that_seems_to_cost_nothing_is_not_measured():
    requests = np.tile([20.0, 80.0], 48)
    law = fit_proxy_cpu(np.full(96, 3.0), requests, np.full(96, 0.06), np.repeat(["a", "b"], 48))
    assert not law.measured


def test_the_price_of_a_request_is_found_in_a_generated_mesh():
    random = np.random.default_rng(2)
    pods = np.repeat([2.0, 5.0, 9.0, 3.0], 100)
    rate = random.uniform(0, 400, 400) * pods
    cpu = (0.004 * pods + 0.0002 * rate) * random.lognormal(0, 0.05, 400)
    law = fit_proxy_cpu(pods, rate, cpu, np.repeat(list("abcd"), 100))
    assert law.measured
    assert law.per_request.low <= 0.0002 <= law.per_request.high
    assert law.per_request.mid == pytest.approx(0.0002, rel=0.05)
    assert RATE * law.per_request.mid == pytest.approx(0.2, rel=0.05)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Two namespaces with sidecars on six nodes; `tcp` needs no waypoint, `shop` does."""
    traffic = calls(
        ("shop/web", "shop/cart", "grpc", 50.0),
        ("tcp/web", "tcp/db", "tcp", 1.0),
    )
    workloads = [
        Tiny("web", "shop", pods=6, days=1, app_cpu_request=0.5, app_memory_request=500 * MIB),
        Tiny("cart", "shop", pods=6, days=1, app_cpu_request=0.5, app_memory_request=500 * MIB),
        Tiny("web", "tcp", pods=4, days=1, app_cpu_request=0.5, app_memory_request=500 * MIB),
    ]
    labels = ['{"istio.io/rev": "prod"}', None]
    more = {
        "traffic": traffic,
        "namespaces": pd.DataFrame({"namespace": ["shop", "tcp"], "labels": labels}),
    }
    folder = tmp_path_factory.mktemp("mesh") / "s"
    mesh = tiny_snapshot(folder, *workloads, nodes=6, days=1, more=more)
    return answer_ambient(mesh, Settings()), folder


def test_the_order_begins_where_no_waypoint_is_needed(found):
    answer, _ = found
    assert ranked(answer.study, answer.costs.namespaces) == ("tcp", "shop")
    assert [wave.waypoints for wave in answer.costs.waves] == [(), ("shop",)]


def test_the_way_back_gives_a_namespace_the_label_that_it_had(found):
    backs = ["\n".join(wave.back) for wave in found[0].costs.waves]
    assert "kubectl label namespace shop istio.io/rev=prod --overwrite\n" in backs[1]
    assert "istio-injection=enabled --overwrite  # or the istio.io/rev that it had" in backs[0]


def test_each_wave_has_nodes_and_dollars_with_an_interval(found):
    answer, _ = found
    assert answer.costs.base.nodes > 0
    for wave in answer.costs.waves:
        assert wave.saving.nodes.low <= wave.saving.nodes.mid <= wave.saving.nodes.high
        assert wave.saving.usd is not None
    assert answer.costs.together == answer.costs.waves[-1].saving
    assert all(cost.alone is not None for cost in answer.costs.namespaces)


def test_the_frame_has_a_row_for_each_namespace(found):
    frame = rightsize.load(found[1]).ambient()
    assert frame["namespace"].tolist() == ["shop", "tcp"]
    assert frame["waypoint"].tolist() == ["traffic", "none"]
    assert frame["wave"].tolist() == [2, 1]


def test_the_report_has_a_chapter_with_a_row_for_each_namespace_and_wave(found):
    section = ambient_section(found[0])
    tables = {table.name: table.frame for table in section.tables}
    assert tables["ambient-namespaces"]["namespace"].tolist() == ["shop", "tcp"]
    assert tables["ambient-waves"]["namespaces"].tolist() == ["tcp", "shop"]
    assert any("published" in text for text in section.paragraphs)
    assert section.paragraphs[0].startswith("2 of 2 namespaces can go to ambient mode: ")


def test_waves_grow_and_lose_nobody():
    names = [str(n) for n in range(40)]
    waves = waves_of(names)
    assert [name for wave in waves for name in wave] == names
    assert [len(wave) for wave in waves[:4]] == [1, 1, 2, 4]
    assert max(map(len, waves)) == 8


def test_scripts_are_shell_and_checks_are_rules(found, tmp_path):
    files = wave_files(found[0].costs.waves, Request(0.05, 64 * MIB), "1.28.6")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        if name.endswith(".sh"):
            subprocess.run(["sh", "-n", tmp_path / name], check=True)
    assert from_yaml(files["ztunnel-values.yaml"])[0]["resources"]["requests"] == {
        "cpu": "50m",
        "memory": "64Mi",
    }
    assert "istio.io/dataplane-mode-" in files["wave-01-back.sh"]
    promtool = require_program("promtool")
    done = subprocess.run(
        [promtool, "check", "rules", tmp_path / "checks.yaml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
