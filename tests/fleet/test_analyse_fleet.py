"""Sizes and nodes of every cluster, found once, and values files that suit all who share them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rightsize.config import Settings
from rightsize.errors import AmbiguousChartError, StoreError
from rightsize.fleet.analysing import ClusterAnswer, nodes_fleet, recommend_fleet
from rightsize.fleet.fleet_file import Fleet, FleetCluster
from rightsize.fleet.shared_files import SharedFiles, SharedSize, patched_files, shared_files
from rightsize.fleet.stored_answers import read_answer
from rightsize.fleet.tables import nodes_answer, sizes_answer
from rightsize.fleet.tasks import Site, _earlier, nodes_cluster, recommend_cluster
from rightsize.output.advice_rows import advice_to_dict
from rightsize.recommend import recommend
from rightsize.snapshot import Snapshot
from rightsize.snapshot.object_store import ObjectStore
from tests.cli.run import rightsize
from tests.fleet.tiny_fleet import WANTED, tiny_fleet

VALUES = """\
global:
  proxy:
    resources:
      requests: {cpu: 100m, memory: 128Mi}
      limits: {cpu: "2", memory: 1Gi}
"""
SETTINGS = Settings()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "store"))


@pytest.fixture
def fleet(tmp_path: Path, store: ObjectStore) -> Fleet:
    (tmp_path / "values.yaml").write_text(VALUES)
    return tiny_fleet(
        tmp_path, store, {"busy": 0.06, "idle": 0.004}, values=(tmp_path / "values.yaml",)
    )


def answers_of(fleet: Fleet, store: ObjectStore) -> list[ClusterAnswer]:
    return [
        ClusterAnswer(name, "", recommend_cluster(Site(store, name, one), SETTINGS, {}, WANTED))
        for name, one in fleet.clusters.items()
    ]


def test_a_cluster_of_a_fleet_is_sized_as_it_is_alone(
    client: Any, fleet: Fleet, store: ObjectStore, tmp_path: Path
) -> None:
    more = Fleet({**fleet.clusters, "gone": FleetCluster(url=("http://127.0.0.1:9",))})
    found = recommend_fleet(client, more, store, SETTINGS, WANTED)
    alone = advice_to_dict(recommend(Snapshot(tmp_path / "busy")))
    sized = {answer.cluster: answer.found for answer in found}
    assert sized["busy"] is not None
    rows = [row | {"reason": ""} for row in alone["recommendations"]]
    same = json.loads(json.dumps(rows, default=str))
    assert [r | {"reason": ""} for r in sized["busy"]["advice"]["recommendations"]] == same
    assert (found[2].cluster, found[2].exit_code) == ("gone", 5)
    assert "no snapshot here" in str(found[2].reason)


def test_an_answer_is_found_once(fleet: Fleet, store: ObjectStore, monkeypatch) -> None:
    first = answers_of(fleet, store)
    monkeypatch.setattr("rightsize.fleet.tasks.recommend", None)
    assert answers_of(fleet, store) == first
    assert all(len(store.sizes(f"{name}/answers")) == 1 for name in fleet.clusters)
    site = Site(store, "busy", fleet.clusters["busy"])
    other = SETTINGS.model_copy(update={"policy": SETTINGS.policy.model_copy(
        update={"max_cut": 0.4})})  # fmt: skip
    for changed in ((other, WANTED), (SETTINGS, WANTED[:8])):
        with pytest.raises(TypeError, match="not callable"):
            recommend_cluster(site, changed[0], {}, changed[1])


def test_what_lies_in_the_place_of_an_answer_is_made_again(
    fleet: Fleet, store: ObjectStore
) -> None:
    site = Site(store, "busy", fleet.clusters["busy"])
    first = recommend_cluster(site, SETTINGS, {}, WANTED)
    (name,) = store.sizes("busy/answers")
    content = store.read(f"busy/answers/{name}")
    assert read_answer(content, "recommend", "busy") == first
    changes: list[dict[str, Any]] = [
        {"shared": None}, {"days": -1}, {"cluster": "idle"}, {"newest": "yesterday"},
        {"newest": "2026-09-11T00:00:00"}, {"advice": {"recommendations": [{}]}}, {"istiods": [7]},
        {"usd_per_core_hour": "1"}, {"shared": [first["shared"][0] | {"cpu_limit": 1e30}]},
    ]  # fmt: skip
    damaged = [json.dumps(first | change).encode() for change in changes]
    for other in (b"", b"[]", b"<html>", b"[" * 10_000, content[:-9], *damaged):
        with pytest.raises(ValueError):
            read_answer(other, "recommend", "busy")
    store.put(f"busy/answers/{name}", damaged[0])
    assert recommend_cluster(site, SETTINGS, {}, WANTED) == first


def test_a_store_that_is_full_keeps_no_answer_and_the_command_goes_on(
    fleet: Fleet, store: ObjectStore, monkeypatch
) -> None:
    def full(self: ObjectStore, path: str, content: bytes) -> None:
        raise StoreError(f"{path}: No space left on device")

    monkeypatch.setattr(ObjectStore, "put", full)
    site = Site(store, "busy", fleet.clusters["busy"])
    assert recommend_cluster(site, SETTINGS, {}, WANTED)["cluster"] == "busy"
    assert store.sizes("busy/answers") == {}


def test_reports_of_earlier_months_are_read_and_no_other_name(monkeypatch) -> None:
    names = ("../../a.json", "/tmp/ab.json", "2026-07.json", "2027-01.json", "2026-07.json/x")
    asked: list[str] = []

    def read(self: ObjectStore, path: str, **_: Any) -> bytes:
        asked.append(path)
        return b"{}"

    monkeypatch.setattr(ObjectStore, "sizes", lambda self, folder: dict.fromkeys(names, 2))
    monkeypatch.setattr(ObjectStore, "read", read)
    site = Site(ObjectStore("/none"), "busy", FleetCluster(url=("http://127.0.0.1:9",)))
    _earlier(site, "2026-09")
    assert asked == ["busy/reports/2026-07.json"]


def test_a_file_of_prices_that_changed_is_another_answer(
    fleet: Fleet, store: ObjectStore, tmp_path: Path, monkeypatch
) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text("")
    settings = SETTINGS.model_copy(update={
        "nodes": SETTINGS.nodes.model_copy(update={"time_limit": 0.1}),
        "prices": SETTINGS.prices.model_copy(update={"other_costs_file": costs}),
    })  # fmt: skip
    site = Site(store, "busy", fleet.clusters["busy"])
    first = nodes_cluster(site, settings, WANTED)
    monkeypatch.setattr("rightsize.fleet.tasks.plan_nodes", None)
    assert nodes_cluster(site, settings, WANTED) == first
    costs.write_text("# dearer\n")
    with pytest.raises(TypeError, match="not callable"):
        nodes_cluster(site, settings, WANTED)


def test_a_shared_file_gets_the_size_that_suits_all_and_what_it_costs_each(
    fleet: Fleet, store: ObjectStore, tmp_path: Path
) -> None:
    answers = answers_of(fleet, store)
    (shared,) = shared_files(fleet, answers, 730.0)
    default = next(size for size in shared.sizes if size.change.workload is None)
    assert default.change.sizes.cpu_request == default.own["busy"].cpu_request
    assert default.own["idle"].cpu_request < default.own["busy"].cpu_request
    assert default.usd_per_month["busy"] == 0.0
    found = {answer.cluster: answer.found for answer in answers}["idle"]
    assert found is not None
    more = default.change.sizes.cpu_request - default.own["idle"].cpu_request
    memory = default.change.sizes.memory_request - default.own["idle"].memory_request
    usd = more * found["usd_per_core_hour"] + memory * found["usd_per_byte_hour"]
    assert default.usd_per_month["idle"] == pytest.approx(4 * 730 * usd)
    (path,) = patched_files([shared], tmp_path / "out")
    assert f"cpu: {round(default.change.sizes.cpu_request * 1000)}m" in path.read_text()
    assert (tmp_path / "values.yaml").read_text() == VALUES


def test_a_shared_file_says_its_revision_where_one_of_its_clusters_runs_several(
    fleet: Fleet, store: ObjectStore, tmp_path: Path
) -> None:
    answers = answers_of(fleet, store)
    found = {
        **(answers[1].found or {}),
        "istiods": ["istio-system/istiod", "istio-system/istiod-2"],
    }
    answers[1] = replace(answers[1], found=found)
    (shared,) = shared_files(fleet, answers, 730.0)
    with pytest.raises(AmbiguousChartError, match="istiod-2") as refused:
        patched_files([shared], tmp_path / "out")
    assert "revision" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_nothing_is_changed_in_a_file_while_one_of_its_clusters_has_no_answer(
    fleet: Fleet, store: ObjectStore
) -> None:
    answers = answers_of(fleet, store)
    answers[1] = ClusterAnswer("idle", "", None, "its server is down", 21)
    (shared,) = shared_files(fleet, answers, 730.0)
    assert (shared.sizes, shared.unknown) == ((), ("idle",))
    document: Any = sizes_answer(answers, [shared], 730.0).document()
    assert document["clusters"][1]["reason"] == "its server is down"
    assert document["clusters"][1]["usd_per_month"] is None


def default_of(shared: SharedFiles) -> SharedSize:
    return next(size for size in shared.sizes if size.change.workload is None)


@pytest.mark.parametrize("own", ["meshConfig: {}\n", VALUES])
def test_sets_that_share_a_file_agree_where_a_size_is_written_in_it(
    fleet: Fleet, store: ObjectStore, tmp_path: Path, own: str
) -> None:
    answers, overlay = answers_of(fleet, store), tmp_path / "idle.yaml"
    overlay.write_text(own)
    base = fleet.clusters["busy"].values
    idle = fleet.clusters["idle"].model_copy(update={"values": (*base, overlay)})
    both = shared_files(Fleet({**fleet.clusters, "idle": idle}), answers, 730.0)
    busy_size, idle_size = map(default_of, both)
    assert list(idle_size.usd_per_month) == ["idle"]
    if own == VALUES:
        assert idle_size.change.sizes.cpu_request == idle_size.own["idle"].cpu_request
    else:
        assert idle_size.change.sizes == busy_size.change.sizes
        texts = {path.read_text() for path in patched_files(both, tmp_path / "out")}
        assert len(texts) == 1


def test_a_file_of_clusters_that_were_not_asked_is_not_changed(
    fleet: Fleet, store: ObjectStore
) -> None:
    part = fleet.only(["idle"])
    answers = answers_of(part, store)
    (shared,) = shared_files(part, answers, 730.0)
    assert (shared.sizes, shared.unknown) == ((), ("busy",))
    assert part.in_flight == fleet.in_flight


def test_a_cluster_of_which_the_values_file_cannot_be_read_is_a_row(
    client: Any, fleet: Fleet, store: ObjectStore, tmp_path: Path
) -> None:
    lost = fleet.clusters["idle"].model_copy(update={"values": (tmp_path / "lost.yaml",)})
    found = recommend_fleet(
        client, Fleet({**fleet.clusters, "idle": lost}), store, SETTINGS, WANTED
    )
    assert [answer.exit_code for answer in found] == [0, 3]
    assert "lost.yaml" in str(found[1].reason)


def test_nodes_of_every_cluster(client: Any, fleet: Fleet, store: ObjectStore) -> None:
    quick = SETTINGS.model_copy(update={"nodes": SETTINGS.nodes.model_copy(
        update={"time_limit": 0.1})})  # fmt: skip
    document: Any = nodes_answer(nodes_fleet(client, fleet, store, quick, WANTED)).document()
    assert [row["nodes_today"] for row in document["clusters"]] == [3, 3]
    assert all(row["reason"] is None for row in document["clusters"])


def test_the_command_prints_rows_and_ends_with_12_where_a_cluster_failed(
    fleet: Fleet, tmp_path: Path
) -> None:
    del fleet
    (tmp_path / "fleet.toml").write_text(
        "[defaults]\nurl = 'http://127.0.0.1:9'\n[clusters.busy]\n[clusters.gone]\nteam = 'a'\n"
    )
    words = ("fleet", "recommend", "--store", "store", "--end", "2026-09-11", "--workers", "1")
    found = rightsize(*words, "--format", "csv", cwd=tmp_path)
    assert found.returncode == 12, found.stderr
    assert "1 of 2 clusters failed: gone" in found.stderr
    assert found.stdout.splitlines()[1].startswith("busy,,10,")
    assert rightsize(*words, "--team", "b", cwd=tmp_path).returncode == 2


def test_help_does_not_import_dask() -> None:
    code = (
        "import sys; sys.argv = ['rightsize', 'fleet', '--help']\n"
        "from rightsize.cli import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "assert not {'dask', 'distributed', 'fsspec', 'pandas'} & set(sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
