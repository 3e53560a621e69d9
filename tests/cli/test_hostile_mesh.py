"""One mesh of evil names goes through every command in every format, and nothing escapes."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import get_args

import openpyxl
import pandas as pd
import pytest
import typer
import yaml

from rightsize.cli import COMMANDS, app, run
from rightsize.demo.parameters import DemoParameters, midnight
from rightsize.demo.tables import day_tables
from rightsize.demo.topology import build_mesh
from rightsize.quantity import parse_quantity
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter
from rightsize.snapshot.object_store import ObjectStore
from rightsize.snapshot.stored import publish

EVIL = (
    "inv$(touch pwned)", "../../outside", "no", "1e3", "<script>alert(1)</script>",
    '=HYPERLINK("http://x")', "a|b`touch pwned`", "\x1b[31mred", "[/red]x", "\u202eabc",
    "a\ntouch pwned", '"} or {x="', "a" * 253, "a.b", "y", "0x1f", "-rf", "*", "%s{0}",
    "'; touch pwned; '", "$\\frac", "@x", "1:20", "nul\x00l", "{{ .Values }}", "~", "\u2028",
)  # fmt: skip
REVISION = (
    "istiod-$(touch pwned)\ntouch pwned\x1b[31m/../../../outside\u202e`touch pwned`'\"<script>"
)
NAMES = ("source_workload", "destination_workload", "workload", "source_namespace", "hpa", "pod",
         "destination_namespace", "namespace", "node", "pdb", "destination_service", "container")  # fmt: skip
KEPT = {"istio-system", "istiod", "istio-ingress", "istio-proxy", "istio-init", "discovery"}
BODY = json.dumps({"status": "error", "errorType": "\x1b[31m", "error": "<script>\x1b[2J" * 99})
GROUP = typer.main.get_command(app)
VALUES = """\
global:
  proxy:
    resources:
      requests: {cpu: 100m, memory: 128Mi}
pilot:
  resources:
    requests: {cpu: 500m, memory: 2Gi}
"""
BILL = (
    "BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,BilledCost,EffectiveCost,"
    "ResourceId,ServiceName,SkuId,Tags,RegionId,BillingCurrency,ProviderName\n"
    + "".join(
        f"2026-10-01T00:00:00Z,2026-10-{day}T00:00:00Z,2026-10-{day + 1}T00:00:00Z,Usage,1.5,1.5,"
        f'"{name}","=HYPERLINK(1)",<script>,"{{}}",us-east-1,USD,AWS\n'
        for day in (27, 28)
        for name in ("i-1", "../../x", "\x1b[31m")
    )
)
WITH = {
    "collect": ["--days", "1", "-o", "out"],
    "pull-request": ["-f", "values.yaml"],
    "nodes": ["--time-limit", "0.1", "--plan", "single-type"],
    "cost": ["--time-limit", "0.1"],
    "verify": ["--since", "2026-10-31"],
    "backtest": ["--train-days", "2", "--test-days", "1", "--chart", "out/waste.svg"],
    "simulate": ["--services", "3000"],
    "scope": ["-o", "out"],
    "shards": ["-o", "out", "--shards", "2"],
    "control-plane": ["-o", "out"],
    "plan": ["-o", "out"],
    "explain": ["-o", "out"],
    "prices": ["--region", "us-east-1", "-o", "out"],
    "report": ["--billing-account", "1"],
    "demo": ["-o", "/dev/null/no"],
}


class _Hostile(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(BODY.encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return hostile_mesh(tmp_path_factory.mktemp("mesh") / "snapshot")


@pytest.fixture(scope="module")
def canary_mesh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return hostile_mesh(tmp_path_factory.mktemp("canary") / "snapshot", revision=REVISION)


def hostile_mesh(folder: Path, revision: str = "") -> tuple[Path, str]:
    """The snapshot, and a workload of it as `explain` takes it. istiod uses more than a node has.

    With a `revision`, one pod of istiod is of a Deployment of this name.
    """
    parameters = DemoParameters.tiny(start=date(2026, 10, 27))
    topology = build_mesh(parameters)
    evil: dict[str, str] = {}

    def renamed(name: object) -> object:
        if not isinstance(name, str) or name in KEPT or not name:
            return name
        if name.endswith(".svc.cluster.local"):
            service, namespace, rest = name.split(".", 2)
            return f"{renamed(service)}.{renamed(namespace)}.{rest}"
        return evil.setdefault(name, EVIL[len(evil) % len(EVIL)] + "2" * (len(evil) // len(EVIL)))

    with SnapshotWriter(folder, Manifest("\x1b[1m../c", "demo", True, region="us-east-1")) as out:
        for day in parameters.days:
            tables = day_tables(topology, day)
            tables["dns"] = _of_coredns(day)
            usage = tables["usage"]
            istiod = usage["namespace"].eq("istio-system").to_numpy()
            usage.loc[istiod, "cpu"] = (usage.loc[istiod, "cpu"] * 1e4).clip(upper=4000)
            usage.loc[istiod, "memory"] = 2.0**45
            for table in tables.values():
                for column in [name for name in NAMES if name in table.columns]:
                    known = {name: renamed(name) for name in pd.unique(table[column])}
                    table[column] = table[column].astype(object).map(known)
            if revision:
                pods = tables["pods"]
                istiods = pods.index[pods["workload"].eq("istiod")]
                assert len(istiods) > 1
                pods.loc[istiods[0], "workload"] = revision
            start = midnight(day)
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={}, absent=())
            out.write_day(day, tables, record)
    pods = tables["pods"]
    one = pods[~pods["namespace"].isin(KEPT)].iloc[0]
    return folder, f"{one['namespace']}/{one['workload']}"


def _of_coredns(day: date) -> pd.DataFrame:
    """A CoreDNS that would need more than a machine has."""
    hours = pd.date_range(midnight(day) + timedelta(hours=1), periods=24, freq="1h")
    kinds = {"coredns_cpu_peak": 3e4, "coredns_memory": 2.0**50, "coredns_requests_peak": 1e9}
    rows = [
        {"time": hour, "pod": f"coredns-{pod}", "metric": metric, "label": "", "value": value}
        for hour in hours
        for pod in range(2)
        for metric, value in kinds.items()
    ]
    return pd.DataFrame(rows)


def formats(name: str) -> list[str]:
    for one in GROUP.get_command(None, name).params:
        if "--format" in one.opts:
            if one.metavar:
                return one.metavar.strip("[]").split("|")
            return [str(form) for form in get_args(one.type_descriptor.annotation)]
    return [""]


SLOW = {"ambient": "yaml", "plan": "markdown", "report": None, "demo": None, "cost": "csv",
        "nodes": "json", "shards": "markdown", "scope": "csv", "simulate": "table", "prices": "csv",
        "proxies": "markdown", "control-plane": "yaml", "backtest": "table"}  # fmt: skip
"""Their other formats are the same answer by the same writers: `make fuzz` tries them all. The demo has
a mesh of its own."""
CASES = [
    *((name, [], form) for name in COMMANDS for form in formats(name)
      if form == SLOW.get(name, form) or "RIGHTSIZE_FUZZ_SECONDS" in os.environ),
    ("recommend", ["-f", "values.yaml", "-o", "out"], "yaml"),
    ("recommend", ["-f", "values.yaml", "--in-place"], "csv"),
    ("report", ["--bill", "bill.csv", "-o", "out"], "focus"),
]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: an answer that one format has computed is there for the others."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(("name", "more", "form"), CASES)
def test_nothing_escapes(name, more, form, mesh, server, cache, tmp_path, monkeypatch, capsys):
    snapshot, workload = mesh
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    Path("values.yaml").write_text(VALUES)
    Path("bill.csv").write_text(BILL)
    if name == "pull-request":
        a_repository(work)
    options = {flag for one in GROUP.get_command(None, name).params for flag in one.opts}
    words = ["rightsize", name, *WITH.get(name, []), *more, *(["--format", form] if form else [])]
    words += ["--snapshot", str(snapshot)] if "--snapshot" in options and name != "prices" else []
    words += ["--prometheus-url", server] if "--prometheus-url" in options else []
    words += {"check": [str(snapshot)], "explain": [workload], "audit": [str(snapshot)],
              "canary": ["--workload", workload]}.get(name, [])  # fmt: skip
    assert ended(words, form, monkeypatch, capsys) != 1
    unharmed(work, tmp_path)


def ended(words, form, monkeypatch, capsys) -> int:
    """The exit code of a command whose output is read as its format, and hides nothing."""
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        run()
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert not hidden(said.out + said.err)
    if said.out and left.value.code in (0, 10, 11, 12):
        parsed(said.out, form)
    return left.value.code


@pytest.mark.parametrize("words", [["control-plane"], ["explain", f"istio-system/{REVISION}"]])
def test_nothing_escapes_of_a_revision(words, canary_mesh, tmp_path, monkeypatch, capsys):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    more = ["--snapshot", str(canary_mesh[0]), "-o", "out"]
    assert ended(["rightsize", *words, *more], "", monkeypatch, capsys) == 0
    unharmed(work, tmp_path)
    assert [path for path in (work / "out").iterdir() if "pwned" in path.name]


TEAM = "=<script>alert(1)</script>$(touch pwned)|[/red]"
FLEET = [
    ("recommend", "markdown"),
    *(
        (name, form)
        for name in ("nodes", "recommend", "report", "collect")
        for form in (["csv", "json", "table", "yaml"] if name != "report" else [""])
        if "RIGHTSIZE_FUZZ_SECONDS" in os.environ
    ),
]
"""Each with a cluster of the evil mesh, and one of which the server is hostile."""


@pytest.fixture(scope="module")
def store(mesh: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet") / "store"
    found = ObjectStore(str(folder))
    for day in Snapshot(mesh[0]).days:
        publish(found, "evil", mesh[0], day)
    return folder


@pytest.mark.parametrize(("name", "form"), FLEET)
def test_nothing_escapes_from_a_fleet(
    name, form, store, server, cache, tmp_path, monkeypatch, capsys
):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    Path("values.yaml").write_text(VALUES)
    Path("rightsize.toml").write_text("[nodes]\ntime_limit = 0.1\n")
    Path("fleet.toml").write_text(
        f"[defaults]\nurl = {server!r}\nteam = {json.dumps(TEAM)}\nvalues = ['values.yaml']\n"
        "region = 'us-east-1'\n[clusters.evil]\n[clusters.gone]\n"
    )
    words = ["rightsize", "fleet", name, "--store", str(store), "--workers", "1"]
    words += ["--format", form] if form else ["--month", "2026-10"]
    words += [] if name == "report" else ["--end", "2026-10-31", "--days", "3"]
    words += ["-o", "out"] if name in ("recommend", "report") else []
    assert ended(words, form, monkeypatch, capsys) in (0, 12)
    unharmed(work, tmp_path)


def a_repository(folder: Path) -> None:
    for words in (["init", "-q", "-b", "main"], ["add", "values.yaml"],
                  ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):  # fmt: skip
        subprocess.run(["git", *words], cwd=folder, check=True)


def unharmed(work: Path, tmp_path: Path) -> None:
    assert {path.name for path in tmp_path.iterdir()} <= {"work", "bin"}
    assert {path.name for path in work.iterdir()} <= {
        "out", "reports", "rightsize-out", "rightsize.toml", "values.yaml", "bill.csv", ".git",
        "sidecar-annotations", "fleet.toml",
    }  # fmt: skip
    files = [path for path in work.rglob("*") if path.is_file() and ".git" not in path.parts]
    files = [path for path in files if path != work / "bill.csv"]
    suffixes = {".yaml": "yaml", ".json": "json", ".csv": "csv", ".md": "markdown"}
    for path in files:
        if path.suffix in suffixes:
            parsed(path.read_text(), suffixes[path.suffix])
        elif path.suffix == ".svg":
            xml.etree.ElementTree.parse(path)
        elif path.suffix == ".html":
            assert "<script>alert" not in path.read_text()
            assert not hidden(path.read_text())
            _Page().feed(path.read_text())
        elif path.suffix == ".xlsx":
            of_a_workbook(path)
    scripts = [path for path in files if path.suffix == ".sh"]
    if scripts:
        harmless(scripts, tmp_path)
    assert not list(tmp_path.rglob("pwned*"))


def hidden(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Zl"} and c not in "\n\t"}


def parsed(text: str, form: str) -> None:
    assert not hidden(text)
    if form in ("json", "sarif"):
        json.loads(text)
    elif form in ("yaml", "rules", "operator", "vpa", "kustomize", "configmap"):
        for document in yaml.safe_load_all(text):
            within_a_node(document)
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows if row}) <= 1
        assert not [c for row in rows for c in row if c[:1] in "=@+" and c[:1]]
    elif form == "markdown":
        shown = re.sub(r"(?ms)^\s*```.*?```$|`[^`\n]+`", "", text)
        assert "<script" not in shown
    elif form == "junit":
        xml.etree.ElementTree.fromstring(text)


LARGEST = {"cpu": 3.92, "memory": 14162 * 2.0**20}
"""What a node of the demo can give."""


def within_a_node(node: object, inside: bool = False) -> None:
    """No quantity below `requests`, `limits` and their like is more than a node has."""
    if isinstance(node, list):
        for one in node:
            within_a_node(one, inside)
    if isinstance(node, dict):
        for key, value in node.items():
            if inside and key in LARGEST and isinstance(value, (str, int, float)):
                assert parse_quantity(str(value)) <= LARGEST[key], (key, value)
            sizes = ("requests", "limits", "minAllowed", "maxAllowed", "target")
            within_a_node(value, inside=key in sizes)


class _Page(html.parser.HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")]


def of_a_workbook(path: Path) -> None:
    for sheet in openpyxl.load_workbook(path):
        for row in sheet.iter_rows():
            assert not [c for c in row if c.data_type == "f" and "HYPERLINK" in str(c.value)]


def harmless(scripts: list[Path], tmp_path: Path) -> None:
    """Under `sh` with stand-ins for the programs that they call."""
    tools = tmp_path / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name in ("kubectl", "helm", "istioctl", "aws", "eksctl"):
        (tools / name).write_text("#!/bin/sh\nexit 0\n")
        (tools / name).chmod(0o755)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", *map(str, scripts)], check=True)
    around = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin"}
    for script in scripts:
        subprocess.run(["sh", script], cwd=script.parent, env=around, timeout=60, check=False,
                       stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
