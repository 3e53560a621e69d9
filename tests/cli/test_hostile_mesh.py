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

import openpyxl
import pandas as pd
import pytest
import typer
import yaml

from rightsize.cli import COMMANDS, app, run
from rightsize.demo.parameters import DemoParameters, midnight
from rightsize.demo.tables import day_tables
from rightsize.demo.topology import build_mesh
from rightsize.snapshot import DayRecord, Manifest, SnapshotWriter

EVIL = (
    "inv$(touch pwned)", "../../outside", "no", "1e3", "<script>alert(1)</script>",
    '=HYPERLINK("http://x")', "a|b`touch pwned`", "\x1b[31mred", "[/red]x", "\u202eabc",
    "a\ntouch pwned", '"} or {x="', "a" * 253, "a.b", "y", "0x1f", "-rf", "*", "%s{0}",
    "'; touch pwned; '", "$\\frac", "@x", "1:20", "nul\x00l", "{{ .Values }}", "~", "\u2028",
)  # fmt: skip
NAMES = ("source_workload", "destination_workload", "workload", "source_namespace", "hpa",
         "destination_namespace", "namespace")  # fmt: skip
KEPT = {"istio-system", "istiod", "istio-ingress"}
BODY = json.dumps({"status": "error", "errorType": "\x1b[31m", "error": "<script>\x1b[2J" * 99})
GROUP = typer.main.get_command(app)
WITH = {
    "collect": ["--days", "1", "-o", "out"],
    "nodes": ["--time-limit", "0.1", "--plan", "single-type"],
    "cost": ["--time-limit", "0.1"],
    "verify": ["--since", "2026-10-31"],
    "backtest": ["--train-days", "2", "--test-days", "1", "--chart", "out/waste.svg"],
    "simulate": ["--services", "3000"],
    "scope": ["-o", "out"],
    "shards": ["-o", "out", "--shards", "2"],
    "control-plane": ["-o", "out"],
    "plan": ["-o", "out"],
    "report": ["-o", "out"],
    "explain": ["-o", "out"],
    "prices": ["--region", "us-east-1", "-o", "out"],
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
    """The snapshot, and a workload of it as `explain` takes it."""
    folder = tmp_path_factory.mktemp("mesh") / "snapshot"
    parameters = DemoParameters.tiny(start=date(2026, 10, 27))
    topology = build_mesh(parameters)
    evil: dict[str, str] = {}

    def renamed(name: object) -> object:
        if not isinstance(name, str) or name in KEPT or not name:
            return name
        return evil.setdefault(name, EVIL[len(evil) % len(EVIL)] + "2" * (len(evil) // len(EVIL)))

    with SnapshotWriter(folder, Manifest("\x1b[1m../c", "demo", True, region="us-east-1")) as out:
        for day in parameters.days:
            tables = day_tables(topology, day)
            for table in tables.values():
                for column in [name for name in NAMES if name in table.columns]:
                    known = {name: renamed(name) for name in pd.unique(table[column])}
                    table[column] = table[column].astype(object).map(known)
            start = midnight(day)
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={}, absent=())
            out.write_day(day, tables, record)
    pods = tables["pods"]
    one = pods[~pods["namespace"].isin(KEPT)].iloc[0]
    return folder, f"{one['namespace']}/{one['workload']}"


def formats(name: str) -> list[str]:
    for one in GROUP.get_command(None, name).params:
        if "--format" in one.opts:
            metavar = one.metavar or f"[{'|'.join(one.type_descriptor.annotation)}]"
            return metavar.strip("[]").split("|")
    return [""]


SLOW = {"ambient", "plan", "report", "demo", "cost", "nodes", "shards", "scope"}
"""Their other formats are the same answer by the same writers."""
CASES = [
    (name, form)
    for name in COMMANDS
    for form in formats(name)
    if name not in SLOW or form in ("", "markdown")
]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_nothing_escapes(name, form, mesh, server, tmp_path, monkeypatch, capsys):
    snapshot, workload = mesh
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = {flag for one in GROUP.get_command(None, name).params for flag in one.opts}
    words = ["rightsize", name, *WITH.get(name, []), *(["--format", form] if form else [])]
    words += ["--snapshot", str(snapshot)] if "--snapshot" in options and name != "prices" else []
    words += ["--prometheus-url", server] if "--prometheus-url" in options else []
    words += {"check": [str(snapshot)], "explain": [workload], "audit": [str(snapshot)]}.get(
        name, []
    )
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        run()
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert left.value.code != 1, said.err
    assert not hidden(said.out + said.err)
    if said.out and left.value.code in (0, 10, 11):
        parsed(said.out, form)
    unharmed(work, tmp_path)


def unharmed(work: Path, tmp_path: Path) -> None:
    assert {path.name for path in tmp_path.iterdir()} <= {"work", "cache"}
    assert {path.name for path in work.iterdir()} <= {
        "out", "reports", "rightsize-out", "rightsize.toml",
    }  # fmt: skip
    files = [path for path in work.rglob("*") if path.is_file()]
    suffixes = {".yaml": "yaml", ".json": "json", ".csv": "csv", ".md": "markdown"}
    for path in files:
        if path.suffix in suffixes:
            parsed(path.read_text(), suffixes[path.suffix])
        elif path.suffix == ".svg":
            xml.etree.ElementTree.parse(path)
        elif path.suffix == ".html":
            assert "<script>alert" not in path.read_text()
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
    elif form in ("yaml", "rules", "operator"):
        list(yaml.safe_load_all(text))
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows if row}) <= 1
        assert not [c for row in rows for c in row if c[:1] in "=@+" and c[:1]]
    elif form == "markdown":
        shown = re.sub(r"(?ms)^\s*```.*?```$|`[^`\n]+`", "", text)
        assert "<script" not in shown
    elif form == "junit":
        xml.etree.ElementTree.fromstring(text)


class _Page(html.parser.HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")]


def of_a_workbook(path: Path) -> None:
    for sheet in openpyxl.load_workbook(path):
        for row in sheet.iter_rows():
            assert not [c for c in row if c.data_type == "f" and "HYPERLINK" in str(c.value)]


def harmless(scripts: list[Path], tmp_path: Path) -> None:
    """Under `sh` with stand-ins for the programs that they call."""
    tools = tmp_path / "cache" / "bin"
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
