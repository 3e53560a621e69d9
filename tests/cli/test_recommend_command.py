"""`rightsize recommend` on a small mesh, word by word as its user sees it.

A change that is meant is written with `python -m tests.cli.test_recommend_command`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console
from ruamel.yaml import YAML

from rightsize.cost.requests_worth import requests_worth
from rightsize.errors import AmbiguousChartError, ChangesFoundError, InputFileError, UsageError
from rightsize.mesh import load
from rightsize.output.advice_text import advice_table, rows_for_people, summary_lines
from rightsize.prices.unit_price import UnitPrice
from rightsize.recommend import recommend
from rightsize.snapshot.manifest import Missing, missing_lines
from tests.cli.run import rightsize
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

GOLDEN = Path(__file__).with_name("golden")
FORMS = {
    "recommend_wide.txt": ("200", ()),
    "recommend_narrow.txt": ("80", ()),
    "recommend_all.txt": ("200", ("--all",)),
    "recommend.json": (None, ("--format", "json")),
    "recommend.yaml": (None, ("--format", "yaml")),
    "recommend.csv": (None, ("--format", "csv")),
    "recommend.md": (None, ("--format", "markdown")),
}
VALUES = """\
# The mesh of the shop.
global:
  proxy:
    resources:
      requests: {cpu: 100m, memory: 128Mi} # as Istio ships them
      limits:
        cpu: 2000m
        memory: "1024Mi"
pilot:
  replicaCount: 2
"""


def mesh(folder: Path) -> Path:
    """A calm workload, a busy one, one that was OOM-killed, one that is new, and a gateway."""
    busy = tuple(np.round(0.1 + 0.05 * np.sin(np.arange(288) / 46), 4))
    tiny_snapshot(
        folder / "snapshots" / "shop",
        Tiny(),
        Tiny(workload="cart"),
        Tiny(workload="search", cpu=busy, pods=3),
        Tiny(workload="orders", memory=(990 * MIB,), oom_kills=2),
        Tiny(workload="fresh", skip_days=7),
        Tiny(workload="ingress", namespace="istio-ingress", component="gateway", cpu=(0.02,)),
    )
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return mesh(tmp_path_factory.mktemp("work"))


@pytest.fixture
def values(work, tmp_path) -> Path:
    """A copy of the mesh's folder with a values file."""
    (tmp_path / "snapshots").symlink_to(work / "snapshots")
    path = tmp_path / "values.yaml"
    path.write_text(VALUES)
    return path


def printed(work: Path, columns: str | None, options: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "rightsize", "recommend", *options]
    env = {"PATH": "/usr/bin:/bin", **({} if columns is None else {"COLUMNS": columns})}
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sizes(path: Path) -> dict:
    return YAML(typ="safe").load(path.read_text())["global"]["proxy"]["resources"]


@pytest.mark.parametrize("name", FORMS)
def test_what_is_printed_is_what_is_committed(work, name):
    assert printed(work, *FORMS[name]) == (GOLDEN / name).read_text(), (
        "if that is meant, run python -m tests.cli.test_recommend_command"
    )


def test_a_terminal_of_eighty_columns_is_not_overrun(work):
    assert max(len(line) for line in printed(work, "80", ()).splitlines()) <= 80


def test_no_width_cuts_a_figure_or_a_reason(work):
    (folder,) = (work / "snapshots").iterdir()
    advice = load(folder).advise()
    rows = rows_for_people(advice)
    for width in range(40, 260, 5):
        console = Console(width=width, file=io.StringIO())
        console.print(advice_table(advice, width=width))
        lines = console.file.getvalue().splitlines()
        assert max(len(line) for line in lines) <= width
        words = [word.strip(";.,") for word in " ".join(lines).split()]
        for row in rows:
            assert row.reason.split()[-1].strip(";.,") in words, width
        assert "…" not in "".join(lines), width


def test_json_csv_and_yaml_say_the_same(work):
    reported = json.loads(printed(work, None, ("--format", "json")))
    same = YAML(typ="safe").load(printed(work, None, ("--format", "yaml")))
    rows = list(csv.DictReader(io.StringIO(printed(work, None, ("--format", "csv")))))
    assert same == reported
    assert reported["schema_version"] == 1
    for row, flat in zip(reported["recommendations"], rows, strict=True):
        assert (row["workload"] or "") == flat["workload"]
        assert float(flat["memory_recommended_request"]) == row["memory"]["recommended_request"]


def test_no_colours_go_into_a_pipe(work):
    assert "\x1b" not in printed(work, "200", ())


def test_the_patch_is_a_new_file_and_a_diff_and_the_given_file_stays(values):
    done = rightsize("recommend", "-f", values.name, cwd=values.parent)
    assert done.returncode == 0, done.stderr
    assert values.read_text() == VALUES
    patched = values.parent / "rightsize-out" / "values.yaml"
    assert patched.read_text() == (GOLDEN / "recommend_values.yaml").read_text()
    assert "-      requests: {cpu: 100m, memory: 128Mi} # as Istio ships them" in done.stdout
    assert "+      requests: {cpu: 50m," in done.stdout


def test_messages_stay_out_of_machine_readable_output(values):
    done = rightsize("recommend", "-f", values.name, "--format", "json", cwd=values.parent)
    json.loads(done.stdout)
    assert "rightsize-out/values.yaml" in done.stderr


def test_in_place_writes_into_the_file_and_again_changes_nothing(values):
    for _ in range(2):
        done = rightsize("recommend", "-f", values.name, "--in-place", cwd=values.parent)
        assert done.returncode == 0, done.stderr
        assert values.read_text() == (GOLDEN / "recommend_values.yaml").read_text()
    assert not (values.parent / "rightsize-out").exists()


def test_of_two_overlays_the_one_that_sets_the_value_is_patched(values):
    over = values.with_name("prod.yaml")
    over.write_text("global:\n  proxy:\n    resources:\n      requests:\n        cpu: 100m\n")
    done = rightsize(
        "recommend", "-f", values.name, "-f", over.name, "--in-place", cwd=values.parent
    )
    assert done.returncode == 0, done.stderr
    assert sizes(over) == {"requests": {"cpu": "50m"}}
    assert sizes(values)["requests"]["cpu"] == "100m"
    assert sizes(values)["requests"]["memory"] != "128Mi"


def test_fail_if_change_has_its_own_exit_code_after_the_output(work):
    done = rightsize("recommend", "--format", "json", "--fail-if-change", cwd=work)
    assert done.returncode == ChangesFoundError.exit_code
    assert json.loads(done.stdout)["recommendations"]
    assert "differ from what is in force" in done.stderr


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (["--profile", "bold"], UsageError, "bold"),
        (["--set", "margin"], UsageError, "expected name=value"),
        (["--set", "cpu_margin=much"], UsageError, "neither a number nor a flag"),
        (["--max-cut", "1.5"], UsageError, "max_cut"),
        (["-f", "nowhere.yaml"], InputFileError, "nowhere.yaml"),
        (["--traces", "nowhere.csv"], InputFileError, "nowhere.csv"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(work, options, error, said):
    done = rightsize("recommend", *options, cwd=work)
    assert done.returncode == error.exit_code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_cannot_be_made_is_reported(values):
    out = values / "out"
    done = rightsize("recommend", "-f", values.name, "-o", out, cwd=values.parent)
    assert done.returncode not in (0, 1)
    assert str(out.parent.name) in done.stderr
    assert "Traceback" not in done.stderr


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = mesh(Path(folder))
        for name, form in FORMS.items():
            (GOLDEN / name).write_text(printed(work, *form))
        (work / "values.yaml").write_text(VALUES)
        printed(work, None, ("-f", "values.yaml"))
        patched = (work / "rightsize-out" / "values.yaml").read_text()
        (GOLDEN / "recommend_values.yaml").write_text(patched)
    sys.stderr.write(f"{GOLDEN} written\n")


if __name__ == "__main__":
    main()


def test_a_pull_request_lists_what_its_files_do_not_hold(values):
    found = rightsize("recommend", "-f", values, "--format", "markdown", cwd=values.parent)
    change, rest = found.stdout.split("### Not in this change")
    assert "ingress" not in change
    assert "gateway `istio-ingress/ingress`, no place" in rest.split("### Evidence")[0]


def test_what_the_snapshot_lacks_takes_three_lines(tmp_path):
    lacking = tuple(Missing(f"metric_{n}", f"cost {n % 6}", n % 2 == 0) for n in range(12))
    found = missing_lines(lacking)
    assert found[0] == "metric_1, metric_7: cost 1"
    advice = recommend(tiny_snapshot(tmp_path / "s", Tiny()))
    lines = summary_lines(replace(advice, missing=found))
    assert lines[-4:-1] == list(found[:3])
    assert "3 (rightsize doctor lists them)" in lines[-1]


def test_sizes_as_vpa_objects_act_on_nothing_and_name_their_workload(work):
    found = rightsize("recommend", "--format", "vpa", cwd=work)
    assert found.returncode == 0, found.stderr
    objects = list(yaml.safe_load_all(found.stdout))
    assert {one["spec"]["updatePolicy"]["updateMode"] for one in objects} == {"Off"}
    web = next(one for one in objects if one["metadata"]["name"] == "web-istio-proxy")
    assert web["spec"]["targetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
    }
    (size,) = web["status"]["recommendation"]["containerRecommendations"]
    assert size["target"] == {"cpu": "50m", "memory": "64Mi"}
    assert "kubectl replace --subresource=status" in found.stdout


def test_requests_that_rise_beyond_a_budget_fail_the_run(tmp_path):
    tiny_snapshot(tmp_path / "s", Tiny(cpu=(0.5,), pods=10))
    options = ("--snapshot", tmp_path / "s", "--max-monthly-increase")
    over = rightsize("recommend", *options, "1")
    assert over.returncode == ChangesFoundError.exit_code
    assert "USD a month more, 1.00 are allowed" in over.stderr
    assert rightsize("recommend", *options, "10000").returncode == 0


def test_markdown_begins_with_cost_and_risk(tmp_path):
    tiny_snapshot(tmp_path / "s", Tiny(cpu=(0.5,), pods=10), Tiny(workload="api", oom_kills=2))
    shown = rightsize("recommend", "--snapshot", tmp_path / "s", "--format", "markdown").stdout
    first = shown.splitlines()[0]
    assert re.match(r"\*\*Requests worth \d+ USD a month more; \d+ requests go down by ", first)
    assert "1 of these workloads had OOM kills" in first
    assert "a saving or a cost only where nodes come or go" in first


@pytest.mark.parametrize("unknown", [frozenset(), frozenset({"request"})], ids=["unset", "unknown"])
def test_a_request_that_is_not_set_counts_as_a_whole_and_an_unknown_one_not_at_all(
    tmp_path, unknown
):
    advice = recommend(tiny_snapshot(tmp_path / "s", Tiny(cpu=(0.5,), pods=10)))
    rows = [
        replace(row, cpu=replace(row.cpu, request=None, recommended_request=0.5, unknown=unknown))
        for row in advice.recommendations
    ]
    worth = requests_worth(replace(advice, recommendations=tuple(rows)), UnitPrice(1.0, 0.0))
    assert worth.usd_per_hour == (0 if unknown else pytest.approx(10 * 0.5))
    assert worth.unknown == len(unknown)


def test_values_of_one_of_two_istiods_are_asked_for_even_where_neither_istiod_changes(tmp_path):
    istiod = Tiny(
        "istiod-1-24", "istio-system", "istiod", "discovery", cpu=(0.3,), memory=(900 * MIB,),
        cpu_request=0.45, cpu_limit=None, memory_request=1024 * MIB, memory_limit=None,
    )  # fmt: skip
    snapshot = tiny_snapshot(
        tmp_path / "s", Tiny(), Tiny("cart"), istiod, istiod.but(workload="istiod-1-25"), nodes=3
    )
    assert not any(row.changes for row in recommend(snapshot).of("istiod"))
    file = tmp_path / "values.yaml"
    file.write_text(VALUES)
    for command in (("recommend",), ("recommend", "--component", "sidecar"), ("plan",)):
        asked = rightsize(*command, "--snapshot", tmp_path / "s", "-f", file, cwd=tmp_path)
        assert asked.returncode == AmbiguousChartError.exit_code
        assert "istio-system/istiod-1-24 or istio-system/istiod-1-25" in asked.stderr
        assert "--workload" in asked.stderr
    command = ("recommend", "--snapshot", tmp_path / "s", "-f", file, "--workload", "istiod-1-25")
    assert rightsize(*command, cwd=tmp_path).returncode == 0
    written = YAML(typ="safe").load((tmp_path / "rightsize-out" / "values.yaml").read_text())
    assert written["global"]["proxy"]["resources"]["requests"]["cpu"] == "50m"
