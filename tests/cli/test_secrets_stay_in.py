"""Each kind of secret is planted, a server repeats it, and every byte that comes out is read."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from rightsize import secrets
from rightsize.cli import run
from rightsize.rollout.canary_scripts import JOURNAL
from tests.servers.kube_api import kubeconfig
from tests.test_secrets import EVERY_FORM
from tests.tiny_mesh import Tiny, tiny_snapshot

SECRET = "s3cr&t/pa#ss=w0rd"
KINDS = {
    "address": (["--prometheus-url", f"http://me:{quote(SECRET, safe='')}@HOST"], {}),
    "address that does not parse": (["--prometheus-url", f"http://me:{SECRET}@HOST"], {}),
    "address with a port that is none": (["--prometheus-url", f"http://HOST:{SECRET}@x"], {}),
    "header": (["--prometheus-url", "http://HOST", "--header", f"X-Api-Key: {SECRET}"], {}),
    "header with a line break": (
        ["--prometheus-url", "http://HOST", "--header", f"Authorization: Bearer {SECRET}\nX: y"],
        {},
    ),
    "token": (["--prometheus-url", "http://HOST", "--bearer-token-env", "T"], {"T": SECRET}),
    "token with a line break": (
        ["--prometheus-url", "http://HOST", "--bearer-token-env", "T"],
        {"T": f"{SECRET}\nmore"},
    ),
    "token that no header can carry": (
        ["--prometheus-url", "http://HOST", "--bearer-token-env", "T"],
        {"T": f"{SECRET}\u20ac"},
    ),
    "password": (
        ["--prometheus-url", "http://HOST", "--username", "me", "--password-env", "P"],
        {"P": SECRET},
    ),
    "proxy": (["--prometheus-url", "http://p", "--proxy", f"http://me:{SECRET}@HOST"], {}),
    "cookie": (["--prometheus-url", "http://HOST", "--header", f"Cookie: session={SECRET}"], {}),
    "settings": (["--prometheus-url", "http://HOST"], {"RIGHTSIZE_PROMETHEUS_HEADERS": f"X-Token: {SECRET}"}),
    "aws endpoint": (
        ["--prometheus-url", "http://HOST"],
        {"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:9"},
    ),
}  # fmt: skip


class _Echo(BaseHTTPRequestHandler):
    """Answers with an error that repeats whatever was sent, and what basic authentication holds."""

    def do_GET(self) -> None:
        sent = dict(self.headers.items())
        scheme, _, coded = sent.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            sent["decoded"] = base64.b64decode(coded).decode()
        sent |= {name: form(SECRET) for name, form in EVERY_FORM.items()}
        said = json.dumps({"status": "error", "errorType": "bad_data", "error": json.dumps(sent)})
        self.send_response(400)
        self.end_headers()
        self.wfile.write(said.encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def encodings() -> list[str]:
    pair = f"me:{SECRET}"
    forms = [form(text) for text in (SECRET, pair) for form in EVERY_FORM.values()]
    return [*forms, quote(SECRET), "pa#ss", "w0rd"]


COMMANDS = {
    "doctor": ["doctor"],
    "collect": ["collect"],
    "verify": ["verify", "--since", "2026-09-02"],
    "canary verify": ["canary", "verify", "canary"],
    "fleet discover": ["fleet", "discover"],
}
EVERYWHERE = ("address", "header", "token", "password")
"""Kinds that each further command is tried with: they sign in by the same function."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a snapshot and the folder of a canary; nothing is known of secrets of other tests."""
    tiny_snapshot(tmp_path / "snapshots" / "a", Tiny(days=2), days=2)
    sizes = {"memory_limit": None}
    about = {"namespace": "shop", "workload": "web", "container": "istio-proxy", "native": False,
             "kind": "Deployment", "component": "sidecar", "before": sizes, "after": sizes, "goal": sizes}  # fmt: skip
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary" / "canary.json").write_text(json.dumps(about))
    (tmp_path / "canary" / JOURNAL).write_text("web-1\tabc\t1788000000\tresized\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(secrets, "_known", set())
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "command"),
    [(kind, command) for command in COMMANDS for kind in KINDS
     if command in ("doctor", "collect") or kind in EVERYWHERE],
)  # fmt: skip
def test_no_byte_of_a_secret_comes_out(kind, command, host, folder, monkeypatch, capfd):
    arguments, variables = KINDS[kind]
    for name in [one for one in os.environ if "proxy" in one.lower()]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    words = [word.replace("HOST", host) for word in arguments]
    monkeypatch.setattr(sys, "argv", ["rightsize", *COMMANDS[command], *words])
    with pytest.raises(SystemExit) as left:
        run()
    silent(left.value.code, capfd.readouterr(), folder)


def silent(code: object, said: Any, folder: Path) -> None:
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    out = said.out + said.err + written.decode(errors="replace")
    assert code not in (0, 1), out
    assert "Traceback" not in out
    for text in encodings():
        assert text not in out


def test_a_token_of_a_kubeconfig_stays_in(host, folder, monkeypatch, capfd, tmp_path_factory):
    file = tmp_path_factory.mktemp("kube") / "config"
    kubeconfig(file, f"http://{host}", {"token": SECRET})
    for words in (["collect"], ["audit"], ["scope"], ["collect", "--prometheus", "auto"]):
        monkeypatch.setattr(sys, "argv", ["rightsize", *words, "--kubeconfig", str(file)])
        with pytest.raises(SystemExit) as left:
            run()
        silent(left.value.code, capfd.readouterr(), folder)


@pytest.mark.servers
def test_what_fleet_toml_names_stays_in(host, folder, tmp_path_factory):
    (folder / "fleet.toml").write_text(
        f"""[defaults]
url = "http://{host}"
timeout_seconds = 3
[clusters.a]
bearer_token_env = "T"
[clusters.b]
username = "me"
password_env = "T"
[clusters.c]
bearer_token_file = "{tmp_path_factory.mktemp("f") / "token"}"
"""
    )
    Path(
        tomllib.loads((folder / "fleet.toml").read_text())["clusters"]["c"]["bearer_token_file"]
    ).write_text(SECRET)
    environment = {n: v for n, v in os.environ.items() if "proxy" not in n.lower()}
    words = ["fleet", "collect", "--days", "1", "--store", "store", "--format", "json"]
    ran = subprocess.run(
        [sys.executable, "-m", "rightsize", *words], capture_output=True, text=True, check=False,
        env={**environment, "T": SECRET, "XDG_CACHE_HOME": str(folder / "cache")},
    )  # fmt: skip
    silent(ran.returncode, SimpleNamespace(out=ran.stdout, err=ran.stderr), folder)
    assert len(json.loads(ran.stdout)["clusters"]) == 3


@pytest.mark.parametrize("where", ["address", "token"])
def test_what_a_forge_repeats_stays_in(where, host, folder, monkeypatch, capfd):
    """git and gh print addresses with their passwords, and a token where they fail."""
    values = "global:\n  proxy:\n    resources:\n      requests: {cpu: 100m, memory: 128Mi}\n"
    (folder / "values.yaml").write_text(values)
    home, git = folder / "home", ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q", "-b", "main"], ["add", "values.yaml"], ["commit", "-qm", "x"],
                  ["remote", "add", "origin", f"http://me:{quote(SECRET, safe='')}@{host}/github.com/x.git"]):  # fmt: skip
        subprocess.run([*git, *words], cwd=folder, check=True)
    if where == "token":
        tiny_snapshot(folder / "snapshots" / "b", Tiny(pods=3), Tiny("pay", pods=3))
        gh = home / "gh"
        home.mkdir()
        gh.write_text('#!/bin/sh\necho "bad token $GH_TOKEN" >&2\nexit 1\n')
        gh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
        monkeypatch.setenv("GH_TOKEN", SECRET)
        bare = folder / "github.com"
        subprocess.run([*git, "clone", "-q", "--bare", ".", bare], cwd=folder, check=True)
        subprocess.run([*git, "remote", "set-url", "origin", bare], cwd=folder, check=True)
    monkeypatch.setattr(sys, "argv", ["rightsize", "pull-request", "-f", "values.yaml"])
    with pytest.raises(SystemExit) as left:
        run()
    shutil.rmtree(folder / ".git")
    silent(left.value.code, capfd.readouterr(), folder)
