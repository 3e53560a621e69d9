"""The fleet's page: figures of the clusters' own reports, side by side, in every form."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import load_workbook

from rightsize.config import Settings
from rightsize.errors import StoreError
from rightsize.fleet.analysing import ClusterAnswer, report_fleet
from rightsize.fleet.fleet_file import Fleet, FleetCluster
from rightsize.fleet.page import fleet_report, keeping, unpack_pages, write_fleet_report
from rightsize.fleet.shared_files import shared_files
from rightsize.output.report.model import Report
from rightsize.snapshot.object_store import ObjectStore
from tests.fleet.tiny_fleet import tiny_fleet

NOW = datetime(2026, 9, 12, tzinfo=UTC)
QUICK = Settings.model_validate({"nodes": {"time_limit": 0.1}})


@pytest.fixture(scope="module")
def made(client: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("fleet")
    store = ObjectStore(str(folder / "store"))
    (folder / "values.yaml").write_text("global: {proxy: {resources: {requests: {cpu: 100m}}}}\n")
    values = (folder / "values.yaml",)
    fleet = tiny_fleet(folder, store, {"busy": 0.06, "idle": 0.004}, values=values, team="shop")
    gone = FleetCluster(url=("http://127.0.0.1:9",), team="back")
    fleet = Fleet({**fleet.clusters, "gone": gone})
    out = folder / "out"
    answers = report_fleet(client, fleet, store, QUICK, "2026-09", keep=keeping(store, out))
    report = fleet_report(answers, shared_files(fleet, answers, 730.0), "2026-09", NOW, 730.0)
    write_fleet_report(report, out)
    return report, out


def table(report: Report, name: str) -> pd.DataFrame:
    return next(one.frame for one in report.tables if one.name == name)


def test_each_cluster_has_the_figures_of_its_own_report(made: tuple[Report, Path]) -> None:
    report, out = made
    clusters = table(report, "clusters").set_index("cluster")
    for name in ("busy", "idle"):
        own = json.loads((out / name / "report.json").read_text())
        assert clusters.loc[name, "mesh_usd"] == pytest.approx(own["facts"]["mesh_usd"])
        figures = {one["label"]: one["value"] for one in own["figures"]}
        assert clusters.loc[name, "mesh_share"] == pytest.approx(
            figures["Share of the cluster's bill"]
        )
        assert (out / clusters.loc[name, "page"]).exists()
        assert clusters.loc[name, "age_days"] == 1.0
    assert clusters.loc["gone", ["bill_usd", "mesh_usd", "age_days"]].isna().all()


def test_a_cluster_without_an_answer_is_named_and_not_counted_as_zero(
    made: tuple[Report, Path],
) -> None:
    report, _ = made
    assert list(table(report, "failed")["cluster"]) == ["gone"]
    assert "no snapshot here" in table(report, "failed")["reason"].iloc[0]
    assert "1 cluster without an answer" in report.banner
    assert "known of 2 of 3 clusters" in report.figures[0].note


def test_a_column_that_no_cluster_knows_has_no_sum(made: tuple[Report, Path]) -> None:
    report, out = made
    totals = next(one for one in report.tables if one.name == "clusters").totals()
    assert pd.isna(totals["realised_usd"])
    assert totals["mesh_usd"] > 0
    assert (
        json.loads((out / "report.json").read_text())["totals"]["clusters"]["realised_usd"] is None
    )


def test_the_same_size_across_clusters_is_one_finding(made: tuple[Report, Path]) -> None:
    found = table(made[0], "common")
    row = found[(found["component"] == "sidecar default") & (found["resource"] == "cpu")].iloc[0]
    assert (row["clusters"], row["too_high"]) == (2, 2)
    assert row["says"].startswith("sidecar default cpu 100m is too high in 2 of 2 clusters: ")
    shared = table(made[0], "shared")
    assert set(shared["cluster"]) == {"busy", "idle"}
    assert shared["usd"].max() > 0


def test_every_form_has_the_same_rows(made: tuple[Report, Path]) -> None:
    report, out = made
    clusters = table(report, "clusters")
    as_csv = pd.read_csv(out / "tables/clusters.csv")
    as_parquet = pd.read_parquet(out / "tables/clusters.parquet")
    sheet = load_workbook(out / "report.xlsx")["clusters"]
    cells = {str(row[0].value) for row in sheet.iter_rows()}
    for names in (as_csv["cluster"], as_parquet["cluster"]):
        assert list(names) == list(clusters["cluster"])
    assert {"busy", "idle", "gone"} <= cells
    page = (out / "index.html").read_text()
    assert '<a href="busy/index.html">busy</a>' in page
    assert "data-choose" in page


def test_a_team_is_a_row_with_its_sums(made: tuple[Report, Path]) -> None:
    teams = table(made[0], "teams").set_index("team")
    clusters = table(made[0], "clusters")
    assert teams.loc["shop", "clusters"] == 2
    assert teams.loc["shop", "mesh_usd"] == pytest.approx(clusters["mesh_usd"].sum())


def test_a_fleet_without_any_answer_has_a_page(tmp_path: Path) -> None:
    answers = [ClusterAnswer("a", "", None, "its server is down", 21)]
    report = fleet_report(answers, [], "2026-09", NOW, 730.0)
    assert report.figures[0].value is None
    assert write_fleet_report(report, tmp_path)


def packed(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as pages:
        for name, text in files.items():
            pages.writestr(name, text)
    return content.getvalue()


def larger_than_said() -> bytes:
    """A ZIP of 300 MiB that says in both places that its file has one byte."""
    size, said = (number.to_bytes(4, "little") for number in (300 * 2**20, 1))
    return packed({"a.html": bytes(300 * 2**20)}).replace(size, said)


PAGES: dict[str, Callable[[], bytes]] = {
    "a file above": lambda: packed({"../../outside.html": b"x"}),
    "a file of the root": lambda: packed({"/etc/x": b"x"}),
    "a hidden file": lambda: packed({".bashrc": b"x"}),
    "a name with an escape": lambda: packed({"a\x1b[31m.html": b"x"}),
    "no ZIP": lambda: b"no zip",
    "half a ZIP": lambda: packed({"a.html": b"x" * 500})[:-40],
    "2,000 files": lambda: packed({f"{number}.html": b"" for number in range(2000)}),
    "300 MiB": lambda: packed({"a.html": bytes(300 * 2**20)}),
    "300 MiB that are called a byte": larger_than_said,
}


@pytest.mark.parametrize("kind", PAGES)
def test_pages_from_a_store_that_a_report_does_not_write_are_refused_as_a_whole(
    tmp_path: Path, kind: str
) -> None:
    store = ObjectStore(str(tmp_path / "store"))
    store.put("a.zip", PAGES[kind]())
    with pytest.raises(StoreError, match=r"a\.zip: cannot be unpacked") as refused:
        unpack_pages(store, "a.zip", tmp_path / "out")
    assert str(refused.value).replace("\n", "").isprintable()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.zip"]
