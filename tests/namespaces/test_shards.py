"""Shards: even load, callers kept with the called, and as many as the model finds to pay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from rightsize.errors import NoDataError, UsageError
from rightsize.istiod.model import fit_istiod
from rightsize.namespaces.configuration import configuration_of
from rightsize.namespaces.shard_files import shard_files, shard_lines
from rightsize.namespaces.shard_loads import Namespaces, namespaces_of
from rightsize.namespaces.shards import choose_shards, divide, migration_order
from rightsize.namespaces.traffic import edges, namespace_labels
from rightsize.prices.unit_price import UnitPrice
from rightsize.sizing.node_bound import Largest
from rightsize.snapshot.schema import frame
from tests.istiod.synthetic_istiod import Law, Mesh, hours_of

START = pd.Timestamp("2026-09-01T00:00Z")
PRICE = UnitPrice(0.03, 0.004 / 2**30)


@pytest.fixture(scope="module")
def model():
    """An istiod whose memory mostly follows what it watches."""
    law = Law(level=100.0, service=1.5, proxy=0.05)
    return fit_istiod(hours_of(Mesh(services=2000.0, proxies=4000.0, law=law, hours=7 * 24)))


def teams(count: int, each: int, *, across: float = 0.0) -> Namespaces:
    """`count` teams of `each` namespaces that call one another, and `across` calls to the next."""
    n = count * each
    team = np.repeat(np.arange(count), each)
    calls = np.where(team[:, None] == team[None, :], 3.0, 0.0)
    np.fill_diagonal(calls, 0.0)
    for number in range(n):
        calls[number, (number + each) % n] += across
    return Namespaces(
        names=tuple(f"t{t}-n{i:02d}" for i, t in enumerate(team)),
        proxies=np.full(n, 10.0),
        services=np.full(n, 4.0),
        churn=np.full(n, 20.0),
        calls=calls,
        gateways=np.arange(n) == 0,
    )


def test_teams_that_talk_stay_together_and_load_is_even(model):
    found = divide(teams(4, 5), model, 2, PRICE)
    assert found.cut_calls == 0
    assert [s.share for s in found.shards] == pytest.approx([0.5, 0.5])
    for shard in found.shards:
        assert len({name.split("-")[0] for name in shard.members}) == 2
        assert set(shard.watched) == {*shard.members, "istio-system"}


def test_every_namespace_is_in_exactly_one_shard_and_its_calls_are_watched(model):
    mesh = teams(5, 4, across=1.0)
    found = divide(mesh, model, 3, PRICE)
    members = sorted(name for s in found.shards for name in s.members)
    assert members == sorted(mesh.names)
    assert 0 < found.cut_calls < found.total_calls
    for shard in found.shards:
        for i, j in np.argwhere(mesh.calls > 0):
            assert mesh.names[i] not in shard.members or mesh.names[j] in shard.watched


def test_a_shard_of_half_the_mesh_needs_less_memory_than_the_whole(model):
    one, two = (divide(teams(4, 5), model, n, PRICE) for n in (1, 2))
    assert two.shards[0].load.services == pytest.approx(one.shards[0].load.services / 2)
    assert two.shards[0].plan.memory.mid < 0.65 * one.shards[0].plan.memory.mid


def test_revisions_whose_namespaces_all_call_each_other_save_no_memory(model):
    mesh = teams(4, 3)
    tied = Namespaces(
        mesh.names, mesh.proxies, mesh.services, mesh.churn, np.ones((12, 12)), mesh.gateways
    )
    found = divide(tied, model, 2, PRICE)
    assert all(len(s.watched) == 13 for s in found.shards)
    assert found.cut_services == pytest.approx(model.load.services)


def test_the_model_chooses_the_number_by_what_it_costs(model):
    # Memory follows proxies alone: dividing saves nothing, and every istiod needs a second pod.
    shared = Law(level=600.0, service=0.0, proxy=0.3)
    small = fit_istiod(hours_of(Mesh(services=50.0, proxies=300.0, law=shared, hours=7 * 24)))
    assert len(choose_shards(teams(3, 2), small, PRICE).chosen.shards) == 1
    several = choose_shards(teams(3, 2), model, PRICE)
    assert several.chosen.worth == min(s.worth for s in several.looked_at)


def test_a_node_too_small_for_one_istiod_asks_for_more_shards(model):
    whole = divide(teams(4, 5), model, 1, PRICE).shards[0].plan
    node = (32.0, whole.memory.high * 2 * 0.7)
    found = choose_shards(teams(4, 5), model, PRICE, node=node)
    assert not found.looked_at[0].fits
    assert len(found.chosen.shards) > 1
    assert found.chosen.fits


def test_a_number_can_be_asked_for_up_to_the_namespaces(model):
    assert len(choose_shards(teams(2, 2), model, PRICE, shards=3).chosen.shards) == 3
    with pytest.raises(UsageError, match="9 shards of 4 namespaces"):
        choose_shards(teams(2, 2), model, PRICE, shards=9)


def snapshot_tables():
    containers = pd.DataFrame(
        {"namespace": ["shop", "shop", "edge"], "pod": ["web-0", "cart-0", "gw-0"],
         "container": "istio-proxy", "component": ["sidecar", "sidecar", "gateway"]}
    )  # fmt: skip
    pods = pd.DataFrame(
        {"namespace": ["shop", "shop", "edge", "data"], "pod": ["web-0", "cart-0", "gw-0", "db-0"],
         "workload": ["web", "cart", "gw", "db"]}
    )  # fmt: skip
    calls = pd.DataFrame(
        {"time": START + pd.Timedelta("1h"), "source_namespace": ["edge", "shop"],
         "source_workload": ["gw", "web"], "destination_namespace": ["shop", "data"],
         "destination_workload": ["web", "db"], "protocol": "http", "requests": 5.0,
         "destination_service": ["web.shop.svc.cluster.local", "db.data.svc.cluster.local"]}
    )  # fmt: skip
    return (
        edges(frame("traffic", calls)),
        frame("pods", pods).assign(day=START),
        frame("containers", containers).assign(day=START),
    )


def test_namespaces_are_read_from_the_snapshot():
    found = namespaces_of(*snapshot_tables(), services=40.0)
    assert found.names == ("data", "edge", "shop")
    assert list(found.proxies) == [0, 1, 2]
    assert list(found.services) == pytest.approx([10, 10, 20])
    assert found.calls[1, 2] == found.calls[2, 0] == 1
    assert list(found.gateways) == [False, True, False]
    assert found.gateway_workloads == {"edge": ("gw",)}
    assert found.gateways_alone == {"edge"}
    assert found.without_proxies == ("data",)


def test_a_namespace_with_routes_or_entries_for_a_call_counts_as_called():
    seen, pods, containers = snapshot_tables()
    outside = seen.iloc[[0]].assign(
        source_namespace="shop", destination_namespace="unknown",
        destination_service="api.stripe.com",
    )  # fmt: skip
    entry = {
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "stripe", "namespace": "data"}, "spec": {"hosts": ["*.stripe.com"]},
    }  # fmt: skip
    route = {
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "data"},
        "spec": {"hosts": ["web.shop.svc.cluster.local"]},
    }  # fmt: skip
    tables = pd.concat([seen, outside]), pods, containers
    found = namespaces_of(*tables, 40.0, configuration_of([entry, route]))
    data, edge, shop = (found.names.index(name) for name in ("data", "edge", "shop"))
    assert found.calls[shop, data] == 1
    assert found.calls[edge, data] == 1
    assert namespaces_of(*tables, 40.0).calls[edge, data] == 0


def test_a_mesh_without_proxies_is_refused():
    found, pods, containers = snapshot_tables()
    with pytest.raises(NoDataError, match="nothing to divide"):
        namespaces_of(found, pods, containers.assign(component=None), 10.0)


def test_no_shard_gets_a_size_beyond_the_largest_node(model):
    mesh = teams(2, 2)
    advice = choose_shards(mesh, model, PRICE, shards=2)
    small = Largest(0.001, 2.0**20)
    made = shard_files(advice, mesh, istio_version="1.28.3", labels={}, most=small)
    values = [text for name, text in made.items() if name.endswith("-values.yaml")]
    assert len(values) == 2
    assert all("requests" not in text.replace("memory request: left out", "") for text in values)
    assert all("# memory request: left out" in text for text in values)


@pytest.fixture(scope="module")
def files(model):
    mesh = teams(2, 2)
    advice = choose_shards(mesh, model, PRICE, shards=2)
    labels = {"t0-n00": {"istio.io/rev": "stable"}}
    return advice, mesh, shard_files(advice, mesh, istio_version="1.28.3", labels=labels)


def test_each_shard_has_a_revision_and_selectors_of_its_own(files):
    advice, _, texts = files
    found = [YAML(typ="safe").load(texts[f"2-shard-{n}-values.yaml"]) for n in (1, 2)]
    assert [v["revision"] for v in found] == ["1-28-3-shard-1", "1-28-3-shard-2"]
    selectors = [v["meshConfig"]["discoverySelectors"] for v in found]
    assert selectors[0] == [{"matchLabels": {"istio-discovery-shard-1": "true"}}]
    assert selectors[0] != selectors[1]
    for name in advice.chosen.shards[0].watched:
        assert f"label namespace {name} istio-discovery-shard-1=true" in texts["1-label-watched.sh"]


def test_the_runbook_tags_moves_checks_and_goes_back(files):
    text = files[2]["3-migration.md"]
    assert "istioctl tag set shard-1 --revision 1-28-3-shard-1" in text
    assert (
        "helm install istiod-shard-1 istio/istiod --version 1.28.3 -n istio-system "
        "-f values-in-use.yaml -f 2-shard-1-values.yaml"
    ) in text
    assert "kubectl label namespace t1-n02 istio-injection- istio.io/rev=shard-" in text
    assert "label namespace t0-n00 istio.io/rev=stable --overwrite" in text
    assert "label namespace t1-n02 istio.io/rev- istio-injection=enabled --overwrite" in text
    assert 'pilot_proxy_convergence_time_bucket{pod=~"istiod-1-28-3-shard-1-.*"}' in text
    assert "\\" not in text


def test_gateways_move_last(files):
    advice, mesh, _ = files
    shard = next(s for s in advice.chosen.shards if "t0-n00" in s.members)
    assert migration_order(mesh, shard)[-1] == "t0-n00"


def runbook(model, **labels: dict[str, str]) -> str:
    """Of shop (two sidecars), edge (a gateway alone) and data (called, without proxies)."""
    mesh = namespaces_of(*snapshot_tables(), services=40.0)
    advice = choose_shards(mesh, model, PRICE, shards=2)
    return shard_files(advice, mesh, istio_version="1.28.3", labels=labels)["3-migration.md"]


def test_a_namespace_without_proxies_is_watched_and_never_injected(model):
    text = runbook(model)
    assert "rollout restart deployment,statefulset,daemonset -n shop" in text
    assert "namespace data" not in text
    assert "-n data" not in text
    assert "Watched, and not moved, since they have no proxies: data." in text


def test_a_gateway_moves_by_its_own_label_where_its_namespace_has_none(model):
    text = runbook(model)
    assert (
        "helm upgrade gw istio/gateway -n edge --version 1.28.3 --reuse-values --set revision=shard-"
        in text
    )
    assert 'reporter="source",source_workload_namespace="edge"' in text
    assert "label namespace edge" not in text
    assert "rollout restart deployment,statefulset,daemonset -n edge" not in text


def test_a_gateway_moves_with_its_namespace_where_that_is_labelled(model):
    text = runbook(model, edge={"istio.io/rev": "stable"})
    assert "label namespace edge istio-injection- istio.io/rev=shard-" in text
    assert "label namespace edge istio.io/rev=stable --overwrite" in text
    assert "rollout restart deployment gw -n edge" in text


def test_a_namespace_that_was_not_labelled_is_not_labelled_now(model):
    text = runbook(model, shop={"team": "a"})
    assert "label namespace shop" not in text
    assert "# set istio.io/rev: shard-" in text


def test_the_runbook_says_who_writes_the_root_certificate(model):
    text = runbook(model)
    assert "kubectl get configmap istio-ca-root-cert -n NAME" in text
    assert "istio-discovery-shard-1=true istio-discovery-shard-2=true" in text
    assert "istioctl tag set default --revision 1-28-3-shard-1 --overwrite" in text


def test_namespaces_with_configuration_alone_are_watched_by_every_shard(model):
    advice = choose_shards(teams(2, 2), model, PRICE, shards=2, kept=("routing",))
    assert all("routing" in shard.watched for shard in advice.chosen.shards)
    assert not any("give them with -f or --keep" in note for note in advice.notes)


def test_the_table_marks_what_was_chosen(files):
    lines = shard_lines(files[0], {})
    assert "2 shards were asked for." in lines[0]
    assert sum("<-" in line for line in lines) == 1


def test_labels_of_namespaces_are_the_last_known():
    rows = frame("namespaces", {"namespace": ["a", "a"], "labels": ['{"x":"1"}', '{"x":"2"}']})
    assert namespace_labels(rows.assign(day=[START, START + pd.Timedelta("1D")])) == {
        "a": {"x": "2"}
    }
