"""The mesh at another scale: measured laws carried on, published figures named as such."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rightsize.errors import NoDataError, UsageError
from rightsize.istiod.mesh_today import MeshToday, Scale
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.replicas import expected
from rightsize.namespaces.proxy_memory import fit_proxy_memory
from rightsize.nodes.plan import NodeGroup, NodeSet
from rightsize.output.simulation_rows import simulation_lines, simulation_to_dict
from rightsize.prices.unit_price import UnitPrice
from rightsize.simulate.simulate import load_at, simulate
from tests.istiod.synthetic_istiod import Law, Mesh, hours_of

MIB = 2**20
PRICE = UnitPrice(0.03, 0.004 / 2**30)


def node_set(cpu: float, memory: float, without_sidecars: bool) -> NodeSet:
    """Ten nodes, and one more for each half GiB added to a pod; two fewer without sidecars."""
    nodes = 10 + round(memory / (512 * MIB)) - 2 * without_sidecars
    return NodeSet((NodeGroup("m5.xlarge", "on-demand", None, nodes, 0.2),))


TODAY = MeshToday(
    scale=Scale(600.0, 1800.0, 5000.0),
    namespaces=20,
    sidecar_cpu=0.1,
    sidecar_memory=128.0 * MIB,
    sidecar_memory_used=100.0 * MIB,
    clusters=608.0,
    nodes=60.0,
    node_cpu=4.0,
    node_memory=15e9,
    node_set=node_set,
)


@pytest.fixture(scope="module")
def model():
    return fit_istiod(hours_of(Mesh(growth=0.5, hours=10 * 24)))


@pytest.fixture(scope="module")
def law():
    clusters = np.linspace(50, 900, 60)
    return fit_proxy_memory(clusters, (30 + 0.1 * clusters) * MIB)


def test_the_mesh_of_today_stays_as_it_is(model, law):
    found = simulate(TODAY, TODAY.scale, model, law, PRICE)
    assert found.data_plane_cpu.mid == pytest.approx(180)
    assert found.data_plane_memory.mid == pytest.approx(1800 * 128 * MIB)
    assert found.proxies.mid == 1800


def test_sidecars_grow_by_the_services_they_learn_of(model, law):
    found = simulate(TODAY, replace(TODAY.scale, services=3000.0), model, law, PRICE)
    # 600 clusters become 3,000 at a tenth of a MiB each: 240 MiB on top of the 100 that are used.
    assert found.data_plane_memory.mid / 1800 == pytest.approx(340 * MIB, rel=0.02)


def test_istiod_at_3000_services_covers_the_true_law(model, law):
    scale = Scale(3000.0, 10_000.0, 28_000.0)
    found = simulate(TODAY, scale, model, law, PRICE)
    truth, proxies = Law(), model.load.proxies * 10_000 / 1800
    left = found.istiod.replicas - 1
    memory = (truth.level + truth.service * 3000 + truth.proxy * proxies / left) * MIB
    needed, _ = expected(found.istiod, model, load_at(TODAY, scale, model.load))
    assert needed.low <= memory <= needed.high
    assert found.istiod.replicas >= 2
    # With all of them at work a pod serves fewer proxies than after a loss.
    whole = found.istiod.replicas * found.istiod.memory.mid
    assert found.istiod_memory.low <= found.istiod_memory.mid < whole
    assert found.istiod_cpu.mid < found.istiod.replicas * found.istiod.cpu_request


def test_nodes_grow_with_the_pods_and_cost_what_the_plan_says(model, law):
    scale = replace(TODAY.scale, pods=3600.0)
    found = simulate(TODAY, scale, model, law, PRICE)
    # Twice the ten planned nodes, and what istiod takes of nodes of 4 cores.
    assert 20 < found.nodes.mid <= 24
    assert found.usd_per_month.mid == pytest.approx(found.nodes.mid * 0.2 * 730)


def test_without_nodes_or_prices_nothing_is_made_up(model, law):
    blind = simulate(replace(TODAY, node_set=None), TODAY.scale, model, law, PRICE)
    assert blind.nodes is None
    assert blind.usd_per_month is None
    unpriced = replace(
        TODAY, node_set=lambda *_: NodeSet((NodeGroup("x", "on-demand", None, 10, None),))
    )
    found = simulate(unpriced, TODAY.scale, model, law, PRICE)
    assert found.nodes is not None
    assert found.usd_per_month is None
    assert any("no known price" in text for text in found.assumptions)


def test_without_a_law_of_proxies_the_answer_says_so(model):
    found = simulate(TODAY, replace(TODAY.scale, services=3000.0), model, None, PRICE)
    assert found.data_plane_memory.mid == pytest.approx(1800 * 128 * MIB)
    assert any("sidecars keep their memory request" in text for text in found.assumptions)


def test_ambient_rests_on_published_figures_and_names_them(model, law):
    scale = replace(TODAY.scale, waypoint_share=0.5)
    found = simulate(TODAY, scale, model, law, PRICE, mode="ambient")
    # 5,000 requests/s: two ztunnels at 0.06 each, half of them a waypoint at 0.25, half as much on top.
    assert found.data_plane_cpu.mid == pytest.approx(1.5 * 5 * (2 * 0.06 + 0.5 * 0.25))
    assert found.data_plane_cpu.low == pytest.approx(1.5 * 5 * 2 * 0.06)
    assert found.data_plane_memory.mid == pytest.approx(1.5 * (60 * 12e6 + 40 * 60e6))
    assert found.proxies.mid == 60 + 40
    said = " ".join(found.assumptions)
    assert "published, not measured on this mesh: ztunnel: 0.06 vCPU and 12 MB" in said
    assert "Istio 1.24" in said


def test_ambient_needs_the_number_of_nodes(model, law):
    with pytest.raises(NoDataError, match="ztunnels cannot be counted"):
        simulate(replace(TODAY, nodes=None), TODAY.scale, model, law, PRICE, mode="ambient")


@pytest.mark.parametrize(
    "scale",
    [
        Scale(0.0, 10.0, 1.0),
        Scale(10.0, -1.0, 1.0),
        Scale(10.0, 10.0, 1.0, 1.5),
        Scale(float("nan"), 10.0, 1.0),
        Scale(10.0, float("inf"), 1.0),
    ],
    ids=["no services", "negative pods", "share over one", "no number", "endless"],
)
def test_a_scale_that_cannot_be_is_refused(model, law, scale):
    with pytest.raises(UsageError):
        simulate(TODAY, scale, model, law, PRICE)


def test_the_answer_reads_the_same_as_text_and_as_json(model, law):
    outcomes = [simulate(TODAY, TODAY.scale, model, law, PRICE)]
    lines = simulation_lines(TODAY, outcomes)
    assert lines[0].startswith("today: 600 services, 1,800 pods")
    answer = simulation_to_dict(TODAY, outcomes, simulated=True)
    assert answer["schema_version"] == 1
    assert answer["outcomes"][0]["istiod"]["replicas"] == outcomes[0].istiod.replicas
