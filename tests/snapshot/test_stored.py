"""Snapshots in a store: a local folder and S3 (moto's server over HTTP) behave alike."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.errors import SnapshotError, StoreError, UsageError
from rightsize.recommend import recommend
from rightsize.snapshot import Snapshot, SnapshotWriter
from rightsize.snapshot.object_store import ObjectStore, ReadCache
from rightsize.snapshot.stored import StoredSnapshot, open_at, publish, whole_days
from tests.servers.object_store import Gate, s3_server
from tests.tiny_mesh import FIRST_DAY, Tiny, tiny_snapshot

DAYS = 3


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    with s3_server(monkeypatch) as gate:
        yield gate


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return ObjectStore(str(tmp_path / "store"))
    return ObjectStore(request.getfixturevalue("s3").url)


@pytest.fixture
def cache(tmp_path: Path) -> ReadCache:
    return ReadCache(tmp_path / "cache", 2**30)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return tiny_snapshot(tmp_path_factory.mktemp("mesh"), Tiny(), Tiny("api", "back"), nodes=2,
                         days=DAYS)  # fmt: skip


def published(store: ObjectStore, mesh: Snapshot, cluster: str = "prod") -> None:
    for day in mesh.days:
        assert publish(store, cluster, mesh.path, day)


def test_what_was_put_in_is_read_back_and_sized_alike(
    store: ObjectStore, cache: ReadCache, mesh: Snapshot
) -> None:
    published(store, mesh)
    found = StoredSnapshot(store, "prod", cache)
    assert found.days == mesh.days
    for table in ("usage", "pods", "containers", "nodes"):
        pd.testing.assert_frame_equal(found.read(table), mesh.read(table))
    assert recommend(found).recommendations == recommend(mesh).recommendations


def test_a_day_is_one_pack_and_one_description(store: ObjectStore, mesh: Snapshot) -> None:
    published(store, mesh)
    assert sorted(store.sizes("prod/days")) == [f"{day}.0001.json" for day in mesh.days]
    assert len(store.sizes("prod/data")) <= DAYS
    assert store.folders() == ["prod"]


def test_without_its_last_object_a_day_is_not_there(
    store: ObjectStore, mesh: Snapshot, cache: ReadCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store, mesh)
    create = ObjectStore.create

    def killed(self: ObjectStore, path: str, content: bytes) -> bool:
        if "/days/" in path:
            raise KeyboardInterrupt
        return create(self, path, content)

    monkeypatch.setattr(ObjectStore, "create", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(store, "other", mesh.path, mesh.days[0])
    assert store.sizes("other/data")
    with pytest.raises(SnapshotError, match="no snapshot here"):
        StoredSnapshot(store, "other", cache)
    monkeypatch.undo()


def test_of_writers_at_once_one_puts_the_day_in(store: ObjectStore, mesh: Snapshot) -> None:
    won: list[bool] = []
    writers = [
        threading.Thread(target=lambda: won.append(publish(store, "prod", mesh.path, FIRST_DAY)))
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(won) == [False, False, False, True]
    assert list(store.sizes("prod/days")) == [f"{FIRST_DAY}.0001.json"]


def test_a_whole_day_takes_the_place_of_its_part_and_not_the_other_way(
    store: ObjectStore, cache: ReadCache, mesh: Snapshot, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    with SnapshotWriter(part, replace(mesh.manifest, days={})) as writer:
        record = replace(mesh.manifest.days[FIRST_DAY], complete=False)
        few = mesh.read("usage", days=[FIRST_DAY])[:10]
        writer.write_day(FIRST_DAY, {"usage": few}, record)
    assert publish(store, "prod", part, FIRST_DAY)
    assert whole_days(store, "prod", [FIRST_DAY]) == set()
    assert publish(store, "prod", mesh.path, FIRST_DAY)
    assert not publish(store, "prod", part, FIRST_DAY)
    assert whole_days(store, "prod", mesh.days) == {FIRST_DAY}
    assert len(StoredSnapshot(store, "prod", cache).read("usage")) > 10


def test_another_mesh_under_the_same_name_is_refused(
    store: ObjectStore, mesh: Snapshot, tmp_path: Path
) -> None:
    published(store, mesh)
    manifest = replace(mesh.manifest, facts={"matchers": "cluster=stage"}, days={})
    with SnapshotWriter(tmp_path / "stage", manifest) as writer:
        record = mesh.manifest.days[FIRST_DAY]
        writer.write_day(FIRST_DAY, {"usage": mesh.read("usage", days=[FIRST_DAY])}, record)
    with pytest.raises(SnapshotError, match="another mesh"):
        publish(store, "prod", tmp_path / "stage", FIRST_DAY)


def test_a_day_without_its_pack_is_collected_again(
    mesh: Snapshot, tmp_path: Path, cache: ReadCache
) -> None:
    store = ObjectStore(str(tmp_path / "store"))
    published(store, mesh)
    for pack in (tmp_path / "store/prod/data").iterdir():
        pack.unlink()
    assert whole_days(store, "prod", mesh.days) == set()
    with pytest.raises(SnapshotError, match="usage of 2026-09-01: is gone") as raised:
        StoredSnapshot(store, "prod", cache).read("usage")
    assert "rightsize fleet collect" in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body | {"pack": None},
        lambda body: body | {"pack": body["pack"] | {"name": "../../x"}},
        lambda body: body | {"pack": body["pack"] | {"together": 1e9}},
        lambda body: body | {"pack": body["pack"] | {"parts": {"usage": {"start": -1, "size": 3}}}},
        lambda body: body | {"pack": body["pack"] | {"layout": 2}},
        lambda body: body | {"manifest": body["manifest"] | {"days": {}}},
        lambda body: body | {"manifest": 3},
        lambda body: [body],
    ],
)
def test_a_description_that_is_none_is_named(
    change, mesh: Snapshot, tmp_path: Path, cache: ReadCache
) -> None:
    store = ObjectStore(str(tmp_path / "store"))
    published(store, mesh)
    path = tmp_path / "store/prod/days/2026-09-02.0001.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(SnapshotError, match=r"2026-09-02\.0001\.json: "):
        StoredSnapshot(store, "prod", cache)
    assert whole_days(store, "prod", mesh.days) == {FIRST_DAY, FIRST_DAY + timedelta(days=2)}


def test_flipped_bytes_are_found(mesh: Snapshot, tmp_path: Path, cache: ReadCache) -> None:
    store = ObjectStore(str(tmp_path / "store"))
    published(store, mesh)
    for pack in (tmp_path / "store/prod/data").iterdir():
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.write_bytes(content)
    found = StoredSnapshot(store, "prod", cache)
    damaged = [
        table for table in ("usage", "pods", "containers", "nodes") if _is_damaged(found, table)
    ]
    assert damaged


def _is_damaged(snapshot: Snapshot, table: str) -> bool:
    try:
        snapshot.read(table)
    except SnapshotError:
        return True
    return False


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """One day of windows that do not compress: tables of some MB."""
    kinds = [Tiny("web", f"ns{i}", pods=80) for i in range(5)]
    found = tiny_snapshot(tmp_path_factory.mktemp("large"), *kinds, days=1)
    usage, rng = found.read("usage"), np.random.default_rng(0)
    usage = usage.assign(cpu=rng.random(len(usage)), memory=rng.random(len(usage)) * 1e9)
    with SnapshotWriter(found.path, replace(found.manifest, days={})) as writer:
        writer.write_day(FIRST_DAY, {"usage": usage}, found.manifest.days[FIRST_DAY])
    return Snapshot(found.path)


def test_only_the_columns_and_row_groups_asked_for_are_read(
    s3: Gate, large: Snapshot, cache: ReadCache
) -> None:
    store = ObjectStore(s3.url)
    published(store, large)
    whole = store.sizes("prod/data").popitem()[1]
    found = StoredSnapshot(store, "prod", cache)
    s3.asked.clear()
    columns = found.read("usage", columns=["namespace", "cpu"])
    by_column = s3.received(part="/data/")
    assert by_column < whole * 2 / 3
    s3.asked.clear()
    (_, rows), *_ = found.by_day("usage", namespaces=["ns0"])
    assert 0 < rows.num_rows < len(columns)
    assert s3.received(part="/data/") < whole * 2 / 3


def test_what_was_read_is_not_asked_again_and_the_cache_is_bounded(
    s3: Gate, large: Snapshot, tmp_path: Path
) -> None:
    store = ObjectStore(s3.url)
    published(store, large)
    cache = ReadCache(tmp_path / "cache", 2**30)
    first = StoredSnapshot(store, "prod", cache).read("usage")
    s3.asked.clear()
    second = StoredSnapshot(store, "prod", cache).read("usage")
    pd.testing.assert_frame_equal(first, second)
    assert s3.received(part="/data/") == 0
    small = ReadCache(tmp_path / "small", 2**20)
    for column in ("cpu", "memory", "seconds", "time", "pod"):
        StoredSnapshot(store, "prod", small).read("usage", columns=[column])
    kept = sum(path.stat().st_size for path in (tmp_path / "small").rglob("*") if path.is_file())
    assert kept <= 2**20


def test_a_store_that_refuses_for_a_while_is_waited_for(
    s3: Gate, mesh: Snapshot, cache: ReadCache
) -> None:
    store = ObjectStore(s3.url)
    s3.refusing = 2
    published(store, mesh)
    s3.refusing = 2
    assert StoredSnapshot(store, "prod", cache).days == mesh.days


def test_a_store_that_is_not_there_is_named(s3: Gate, mesh: Snapshot) -> None:
    with pytest.raises(StoreError, match="s3://nowhere-at-all/x"):
        publish(ObjectStore("s3://nowhere-at-all/x"), "prod", mesh.path, FIRST_DAY)


def test_a_store_without_conditional_writes_is_refused() -> None:
    with pytest.raises(UsageError, match="no store is known behind ftp://"):
        ObjectStore("ftp://example.com/x")


def test_a_cluster_in_a_store_is_opened_by_its_place(s3: Gate, mesh: Snapshot, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    local = ObjectStore(str(tmp_path / "store"))
    published(local, mesh)
    published(ObjectStore(s3.url), mesh)
    places = (mesh.path, tmp_path / "store/prod", f"{s3.url}/prod", Path(f"{s3.url}/prod/"))
    for place in places:
        assert open_at(place).days == mesh.days
    with pytest.raises(SnapshotError, match="no snapshot here"):
        open_at(f"{s3.url}/nobody")


def test_days_that_are_not_wanted_are_not_even_described(
    s3: Gate, mesh: Snapshot, cache: ReadCache
) -> None:
    store = ObjectStore(s3.url)
    published(store, mesh)
    s3.asked.clear()
    found = StoredSnapshot(store, "prod", cache, wanted=lambda day: day > date(2026, 9, 2))
    assert found.days == [date(2026, 9, 3)]
    assert sum("0001.json" in path for _, path, _ in s3.asked) == 1
