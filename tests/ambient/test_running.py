"""A mesh in ambient mode: ztunnels by node class, waypoints, and whether they serve anybody."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from rightsize.ambient.answer import answer_ambient
from rightsize.ambient.running import advised_autoscaler, autoscaler_manifests, ztunnel_classes
from rightsize.audit.reading import read_files
from rightsize.config import Settings
from rightsize.output.ambient_rows import ambient_parts, ambient_to_dict
from tests.ambient.test_waypoints import calls
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot


def ambient_mesh(path, *, labels):
    workloads = [
        Tiny("ztunnel", "istio-system", "ztunnel", kind="DaemonSet", pods=4, days=1,
             cpu=(0.05,), memory=(40 * MIB,)),
        Tiny("waypoint", "shop", "waypoint", pods=1, days=1, cpu=(0.2,)),
        Tiny("spare", "shop", "waypoint", pods=1, days=1, cpu=(0.001,)),
    ]  # fmt: skip
    more = {
        "traffic": calls(("shop/web", "shop/cart", "http", 100.0)),
        "namespaces": pd.DataFrame(
            {"namespace": list(labels), "labels": [json.dumps(v) for v in labels.values()]}
        ),
    }
    return tiny_snapshot(path / "s", *workloads, nodes=4, days=1, more=more)


AMBIENT = {"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "waypoint"}


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    mesh = ambient_mesh(tmp_path_factory.mktemp("ambient"), labels={"shop": AMBIENT})
    return answer_ambient(mesh, Settings())


def test_a_mesh_without_sidecars_has_no_costs_and_is_shown_as_it_runs(answer):
    assert answer.costs is None
    assert answer.running.namespaces == ("shop",)
    assert [type(part).__name__ for part in ambient_parts(answer)][:2] == ["str", "Table"]
    assert ambient_to_dict(answer, simulated=True)["running"]["namespaces"] == ("shop",)


def test_a_waypoint_that_nobody_is_labelled_with_is_named(answer):
    used = {one.name: one for one in answer.running.waypoints}
    assert used["waypoint"].users == ("shop",)
    assert used["waypoint"].requests_per_second == pytest.approx(100.0)
    assert used["spare"].unused is True
    assert used["waypoint"].unused is False


def test_a_label_of_a_service_counts(tmp_path):
    mesh = ambient_mesh(tmp_path, labels={"shop": {}})
    file = tmp_path / "service.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: cart\n  namespace: other\n  labels:\n"
        "    istio.io/use-waypoint: spare\n    istio.io/use-waypoint-namespace: shop\n"
    )
    running = answer_ambient(mesh, Settings(), read_files([file])).running
    assert {one.name: one.users for one in running.waypoints} == {
        "spare": ("other/Service cart",),
        "waypoint": (),
    }


def test_a_proxy_that_a_gateway_of_waypoints_made_is_one_whatever_its_name(tmp_path):
    more = {"traffic": calls(("shop/web", "shop/cart", "http", 100.0))}
    workloads = [
        Tiny("waypoint", "shop", "waypoint", pods=1, days=1, cpu=(0.2,)),
        Tiny("edge-l7", "bank", "gateway", pods=1, days=1, cpu=(0.2,)),
    ]
    mesh = tiny_snapshot(tmp_path / "s", *workloads, days=1, more=more)
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: edge-l7\n"
        "  namespace: bank\nspec:\n  gatewayClassName: istio-waypoint\n"
    )
    found = answer_ambient(mesh, Settings(), read_files([file])).running.waypoints
    assert [(one.namespace, one.name) for one in found] == [
        ("bank", "edge-l7"),
        ("shop", "waypoint"),
    ]


def test_a_waypoint_is_not_called_unused_before_services_were_read(tmp_path):
    mesh = ambient_mesh(tmp_path, labels={"shop": AMBIENT})
    file = tmp_path / "service.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n")
    shown = {}
    for sources in (None, read_files([file])):
        parts = ambient_parts(answer_ambient(mesh, Settings(), sources))
        table = next(part for part in parts if getattr(part, "title", "") == "Waypoints")
        column = [one.name for one in table.columns].index
        row = next(row for row in table.cells() if row[0] == "shop/spare")
        shown[sources is None] = row[column("serves")], row[column("advised HPA")]
    assert shown[False] == ("nobody: remove it", "none")
    assert "Services were not read" in shown[True][0]


def test_a_label_with_a_waypoint_that_does_not_run_is_named(tmp_path):
    labels = {"shop": AMBIENT | {"istio.io/use-waypoint": "gone"}, "bank": {}}
    answer = answer_ambient(ambient_mesh(tmp_path, labels=labels), Settings())
    assert answer.running.missing == ("shop (shop/gone)",)
    texts = [part for part in ambient_parts(answer) if isinstance(part, str)]
    assert any("no proxy was seen: shop (shop/gone)" in text for text in texts)


def test_only_waypoints_with_users_get_an_autoscaler(answer):
    made = autoscaler_manifests(answer.running.waypoints)
    assert [one["metadata"]["name"] for one in made] == ["waypoint"]
    spec = made[0]["spec"]
    assert 2 <= spec["minReplicas"] < spec["maxReplicas"]


@pytest.mark.parametrize(
    ("usual", "peak", "request_", "bounds"),
    [(0.01, 0.02, 0.1, (2, 3)), (0.35, 0.7, 0.1, (5, 15)), (0.7, 0.7, 1.0, (2, 3))],
)
def test_usual_and_peak_stay_below_the_target(usual, peak, request_, bounds):
    found = advised_autoscaler(usual, peak, request_)
    assert (found.least, found.most) == bounds
    assert usual <= found.least * request_ * found.target / 100 + 1e-9


def test_no_request_no_autoscaler():
    assert advised_autoscaler(0.1, 0.2, None) is None


def test_the_class_with_most_memory_sets_the_size_of_all():
    usage = pd.DataFrame(
        {
            "component": "ztunnel",
            "pod": ["z1", "z2", "z3"],
            "node": ["n1", "n2", "n3"],
            "cpu": [0.02, 0.2, 0.03],
            "memory": [30.0, 90.0, 35.0],
        }
    )
    nodes = pd.DataFrame({"node": ["n1", "n2", "n3"], "instance_type": ["s", "l", "s"]})
    containers = pd.DataFrame(
        {"component": ["ztunnel"], "cpu_request": [0.2], "memory_request": [None]}
    )
    found = ztunnel_classes(usage, containers, nodes)
    assert [(one.instance_type, one.nodes, one.decides) for one in found] == [
        ("l", 1, True),
        ("s", 2, False),
    ]
    assert (found[1].memory, found[0].cpu, found[0].memory_request) == (35.0, 0.2, None)
