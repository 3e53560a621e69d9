"""A workload is known by its kind too: a Deployment and a StatefulSet of one name are two."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from rightsize.errors import UsageError
from rightsize.nodes.demand import scheduled_pods
from rightsize.recommend import recommend
from rightsize.rollout.canary import _row_of
from rightsize.snapshot.views import pods_with_workloads
from tests.cli.run import rightsize
from tests.tiny_mesh import MIB, Tiny, hpa, tiny_snapshot

WEB = Tiny(cpu=(0.03,), memory=(60 * MIB,), app_cpu_request=0.2)
TWIN = WEB.but(kind="StatefulSet", cpu=(0.3,), memory=(200 * MIB,))
PLAIN = Tiny("api", namespace="base", cpu=(0.03,), pods=6)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("twins") / "s"
    return tiny_snapshot(path, WEB, TWIN, PLAIN, hpas=hpa("web", 60), nodes=3)


@pytest.fixture(scope="module")
def rows(snapshot):
    return {row.key: row for row in recommend(snapshot).recommendations}


def test_each_kind_has_its_row_as_if_it_were_alone(rows, tmp_path):
    for kind, alone in (("Deployment", WEB), ("StatefulSet", TWIN)):
        both, single = rows[f"shop/{kind}/web"], alone_row(tmp_path / kind, alone)
        assert (both.needs, both.evidence) == (single.needs, single.evidence)
    assert "base/api" in rows


def alone_row(path, container):
    found = recommend(tiny_snapshot(path, container, PLAIN, nodes=3)).recommendations
    return next(row for row in found if row.key == "shop/web")


def test_an_autoscaler_moves_the_kind_that_it_names_alone(snapshot):
    advice = recommend(snapshot)
    assert {point.kind for point in advice.scale_points} <= {"Deployment"}
    notes = {row.key: row.notes for row in advice.recommendations}
    assert not any("HPA" in note for note in notes["shop/StatefulSet/web"])


def test_the_patch_of_each_kind_holds_its_own_sizes(snapshot, rows, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("global: {proxy: {resources: {requests: {cpu: 100m, memory: 128Mi}}}}\n")
    done = rightsize("recommend", "--snapshot", snapshot.path, "-f", values, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    patches = sorted((tmp_path / "rightsize-out").glob("sidecar-annotations/shop-web-*.yaml"))
    read = [YAML(typ="safe").load(path.read_text()) for path in patches]
    for patch in read:
        row = rows[f"shop/{patch['kind']}/web"]
        text = patch["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/proxyCPU"]
        assert text == f"{row.cpu.recommended_request * 1000:.0f}m"
    assert "StatefulSet" in [patch["kind"] for patch in read]


def test_pods_of_each_kind_are_counted_with_its_own_requests(snapshot, rows):
    advice = recommend(snapshot)
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    then = scheduled_pods(pods, containers, advice=advice)
    for kind in ("Deployment", "StatefulSet"):
        mine = then[(then["workload"] == "web") & (then["workload_kind"] == kind)]
        wanted = 0.2 + rows[f"shop/{kind}/web"].cpu.recommended_request
        assert mine["cpu"].tolist() == pytest.approx([wanted] * 2)


def test_a_name_means_both_and_a_name_with_its_kind_one(snapshot):
    advice = recommend(snapshot)
    assert len(advice.only(workload="shop/web").recommendations) == 2
    (one,) = advice.only(workload="shop/StatefulSet/web").recommendations
    assert one.kind == "StatefulSet"
    with pytest.raises(UsageError, match="several workloads"):
        _row_of(advice, "shop/web")
    assert _row_of(advice, "shop/StatefulSet/web").kind == "StatefulSet"


def test_a_kind_that_changed_from_one_day_to_the_next_is_one_workload(tmp_path):
    before = WEB.but(kind="StatefulSet", days=6)
    after = before.but(kind="Deployment", skip_days=6, days=4)
    snapshot = tiny_snapshot(tmp_path / "s", before, after, PLAIN)
    assert set(pods_with_workloads(snapshot).query("workload == 'web'")["workload_kind"]) == {
        "Deployment"
    }
    row = next(r for r in recommend(snapshot).recommendations if r.workload == "web")
    assert (row.key, row.kind, row.evidence.days) == ("shop/web", "Deployment", pytest.approx(10))
    assert replace(row, same_name=True).key == "shop/Deployment/web"


def test_the_kind_that_an_owner_was_known_by_outranks_the_one_read_from_names(tmp_path):
    # kube_replicaset_owner is missing on the last days: the same pods look like a Deployment's.
    known = WEB.but(kind="Rollout", days=8)
    snapshot = tiny_snapshot(tmp_path / "s", known, WEB.but(skip_days=8, days=2), PLAIN)
    row = next(r for r in recommend(snapshot).recommendations if r.workload == "web")
    assert (row.key, row.kind, row.evidence.days) == ("shop/web", "Rollout", pytest.approx(10))
