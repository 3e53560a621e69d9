"""Each kind of secret is planted, a server repeats it, and every byte that comes out is read."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

import rightsize
from rightsize import secrets
from rightsize.cli import _Commands, run
from rightsize.cli.streams import GatedStream
from rightsize.fleet.tasks import TaskFailed, attempt
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
    "token as the user": (["--prometheus-url", f"http://{quote(SECRET, safe='')}@HOST"], {}),
    "netrc": (["--prometheus-url", "http://HOST"], {"NETRC": "FOLDER/netrc"}),
    "proxy of the environment": (
        ["--prometheus-url", "http://p"],
        {"HTTP_PROXY": f"http://me:{quote(SECRET, safe='')}@HOST"},
    ),
    "proxy without a scheme": (["--prometheus-url", "http://p"], {"HTTP_PROXY": f"me:{SECRET}@HOST"}),
    "tunnel": (
        ["--prometheus-url", "https://p"],
        {"HTTPS_PROXY": f"http://me:{quote(SECRET, safe='')}@HOST"},
    ),
    "session of a profile": (
        ["--prometheus-url", "http://HOST", "--sigv4-region", "us-east-1"],
        {"AWS_SHARED_CREDENTIALS_FILE": "FOLDER/profile", "AWS_CONFIG_FILE": "/nonexistent"},
    ),
    "token in place of a variable's name": (
        ["--prometheus-url", "http://HOST", "--bearer-token-env", SECRET], {},
    ),
    "password in place of a file": (
        ["--prometheus-url", "http://HOST", "--username", "me", "--password-file", SECRET], {},
    ),
    "long token in place of a file": (
        ["--prometheus-url", "http://HOST", "--bearer-token-file", "x" * 300 + SECRET], {},
    ),
    "address where no word is expected": ([f"http://me:{SECRET}@HOST"], {"COLUMNS": "40"}),
    "address where a number is expected": (["--days", f"http://me:{SECRET}@HOST"], {"COLUMNS": "40"}),
}  # fmt: skip


SIGNING = ("Authorization", "Proxy-Authorization", "Cookie", "X-Amz-Security-Token")


class _Echo(BaseHTTPRequestHandler):
    """Answers with an error that repeats whatever was sent, and what basic authentication holds."""

    status = 400

    def do_GET(self) -> None:
        sent = {}
        for name in SIGNING:
            value = self.headers.get(name, "")
            scheme, _, coded = value.partition(" ")
            if scheme == "Basic":
                sent["decoded"] = base64.b64decode(coded).decode()
            for how in ("plain", "base64", "url", "json in json") if value else ():
                sent[f"{name}, {how}"] = EVERY_FORM[how](coded or value)
        sent |= dict(self.headers.items())
        sent |= {name: form(SECRET) for name, form in EVERY_FORM.items()}
        text = json.dumps(sent)
        said = self.said(text)
        self.send_response(type(self).status)
        self.send_header("Location", f"http://elsewhere:9/?access_token={quote(text)}")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def said(self, text: str) -> bytes:
        """As Prometheus says it, or EC2 and STS, or S3."""
        signed = self.headers.get("Authorization", "")
        if "AWS4-" not in signed or "/aps/" in signed:
            return json.dumps({"status": "error", "errorType": "bad_data", "error": text}).encode()
        error = f"<Code>Odd</Code><Message>{html.escape(text)}</Message>"
        if "/s3/" in signed:
            return f"<Error>{error}</Error>".encode()
        return f"<Response><Errors><Error>{error}</Error></Errors></Response>".encode()

    def do_POST(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
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


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_snapshot(tmp_path_factory.mktemp("made") / "a", Tiny(days=2), days=2).path


@pytest.fixture
def folder(snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a snapshot and the folder of a canary; nothing is known of secrets of other tests."""
    shutil.copytree(snapshot, tmp_path / "snapshots" / "a")
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
def test_no_byte_of_a_secret_comes_out(kind, command, host, elsewhere, folder, monkeypatch, capfd):
    arguments, variables = KINDS[kind]
    for name in [one for one in os.environ if "proxy" in one.lower()]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("HOST", host).replace("FOLDER", str(elsewhere)))
    words = [word.replace("HOST", host) for word in arguments]
    code = ended(monkeypatch, [*COMMANDS[command], *words])
    silent(code, capfd.readouterr(), folder)


WAYS_IN = {
    "Prometheus": ["doctor", "--prometheus-url", f"http://me:{quote(SECRET, safe='')}@HOST"],
    "Kubernetes": ["collect", "--kubeconfig", "FOLDER/config", "--prometheus", "auto"],
    "AWS": ["prices", "--live", "--region", "us-east-1"],
    "a role of AWS": ["prices", "--live", "--region", "us-east-1", "--role-arn",
                      "arn:aws:iam::123456789012:role/x"],
}  # fmt: skip


@pytest.mark.parametrize("status", [302, 401, 404, 410, 429, 503])
@pytest.mark.parametrize("way", WAYS_IN)
def test_an_answer_of_any_status_gives_no_secret_away(
    way, status, host, elsewhere, folder, monkeypatch, capfd
):
    monkeypatch.setattr(_Echo, "status", status)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    kubeconfig(elsewhere / "config", f"http://{host}", {"token": SECRET})
    signed_by_a_profile(monkeypatch, host, elsewhere)
    words = [one.replace("HOST", host).replace("FOLDER", str(elsewhere)) for one in WAYS_IN[way]]
    code = ended(monkeypatch, words)
    silent(code, capfd.readouterr(), folder)


def test_logs_of_libraries_give_no_secret_away(host, elsewhere, folder, monkeypatch, capfd):
    """Of any level: whoever looks for a fault switches them on."""
    signed_by_a_profile(monkeypatch, host, elsewhere)
    logs = logging.getLogger()
    monkeypatch.setattr(logs, "level", logging.DEBUG)

    def logged() -> None:
        monkeypatch.setattr(logs, "handlers", [logging.StreamHandler()])

    monkeypatch.setattr("rightsize.cli.end_on_signals", lambda: None)
    monkeypatch.setattr(_Commands, "make_context", with_first(logged, _Commands.make_context))
    for words in (["prices", "--live", "--region", "us-east-1"],
                  ["doctor", "--prometheus-url", f"http://{host}", "--bearer-token-env", "T"]):  # fmt: skip
        monkeypatch.setenv("T", SECRET)
        code = ended(monkeypatch, words)
        said = capfd.readouterr()
        assert "DEBUG" in said.err or "Authorization" in said.err or "connection" in said.err
        assert not re.search(r"[Ss]ignature[:=]\W*[0-9a-f]{64}", said.err)
        silent(code, said, folder)


def test_a_programming_error_shows_no_variable_of_the_environment(folder, monkeypatch, capfd):
    def fault(*_: object, **__: object) -> None:
        raise KeyError(dict(os.environ))

    for name in ("MY_PASSWORD", "DB_PASSWD", "SLACK_WEBHOOK_URL", "X_TOKEN_OLD"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setattr("rightsize.recommend.recommend", fault)
    code = ended(monkeypatch, ["recommend", "--no-cache"])
    said = capfd.readouterr()
    assert code == 1
    assert "Traceback" in said.err
    assert not [text for text in encodings() if text in said.err]


def test_a_task_of_a_fleet_that_fails_shows_no_secret_of_a_file(monkeypatch):
    """The process that shows it has not read the file."""
    monkeypatch.setattr(secrets, "_known", set())

    def fault() -> None:
        secrets.register(SECRET)
        raise RuntimeError(f"bug over {SECRET}")

    with pytest.raises(TaskFailed) as raised:
        attempt(rightsize.__version__, fault)
    assert str(raised.value) == "RuntimeError: bug over ***"
    assert raised.value.__cause__ is None


PLUGIN = """#!/bin/sh
echo "asked with $*; token $GIVEN, Authorization: Bearer $GIVEN" >&2
[ $1 = works ] || exit 3
printf '{"apiVersion":"%s","kind":"ExecCredential","status":{"token":"%s"}}' "$VERSION" "$GIVEN"
"""


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("works", ["works", "fails"])
def test_what_a_credentials_plugin_writes_gives_no_secret_away(
    works, terminal, host, elsewhere, folder, monkeypatch, capfd
):
    version = "client.authentication.k8s.io/v1beta1"
    plugin = elsewhere / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    variables = [
        {"name": "GIVEN", "value": "not-in-the-file"},
        {"name": "VERSION", "value": version},
    ]
    monkeypatch.setenv("OTHER", SECRET)
    plugin.write_text(PLUGIN.replace("$GIVEN", "$OTHER"))
    arguments = [works, "--token", SECRET, "--region", "eu-west-1"]
    user = {
        "exec": {"apiVersion": version, "command": str(plugin), "args": arguments, "env": variables}
    }
    kubeconfig(elsewhere / "config", f"http://{host}", user)
    monkeypatch.setattr(GatedStream, "isatty", lambda _: terminal, raising=False)
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        code = ended(monkeypatch, ["audit", "--kubeconfig", str(elsewhere / "config")])
    said = capfd.readouterr()
    assert ("asked with" in said.err) == (terminal or works == "fails")
    assert "eu-west-1" in said.err or "asked with" not in said.err
    silent(code, said, folder)


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that hold the secret, beside what the commands write."""
    place = tmp_path_factory.mktemp("secret")
    (place / "netrc").write_text(f"machine 127.0.0.1\nlogin me\npassword {SECRET}\n")
    (place / "profile").write_text(
        "[default]\naws_access_key_id = AKIATESTTESTTESTTEST\n"
        f"aws_secret_access_key = {SECRET}\naws_session_token = {SECRET}\n"
    )
    return place


def signed_by_a_profile(monkeypatch: pytest.MonkeyPatch, host: str, elsewhere: Path) -> None:
    for name in [one for one in os.environ if "proxy" in one.lower() or one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(elsewhere / "profile"))
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}")
    monkeypatch.setenv("RIGHTSIZE_PRICES_MAX_ATTEMPTS", "1")


def with_first(before: Callable[[], None], method: Callable[..., Any]) -> Callable[..., Any]:
    def both(*arguments: Any, **options: Any) -> Any:
        before()
        return method(*arguments, **options)

    return both


def ended(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> object:
    """The exit code of the command with these words."""
    monkeypatch.setattr(sys, "argv", ["rightsize", *words])
    with pytest.raises(SystemExit) as left:
        run()
    return left.value.code


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


@pytest.mark.parametrize(
    "secret", [SECRET, "x" * 300 + SECRET, f"{SECRET}\n{SECRET}", f"/{SECRET}=="]
)
@pytest.mark.parametrize("key", sorted(secrets._FILES_IN_DOCUMENT - {"idp-certificate-authority"}))
def test_a_secret_in_place_of_a_file_of_a_kubeconfig_stays_in(
    key, secret, folder, elsewhere, monkeypatch, capfd
):
    given = {"client-certificate": str(elsewhere / "netrc"), key: secret}
    file = kubeconfig(elsewhere / "config", "https://127.0.0.1:9", given)
    if key == "certificate-authority":
        kubeconfig(file, "https://127.0.0.1:9", {"token": "x"}, authority=Path(secret))
    code = ended(monkeypatch, ["collect", "--kubeconfig", str(file)])
    silent(code, capfd.readouterr(), folder)


def test_a_missing_file_of_a_kubeconfig_is_named(folder, elsewhere, monkeypatch, capfd):
    kubeconfig(elsewhere / "config", "https://127.0.0.1:9", {"tokenFile": "not/there.token"})
    (elsewhere / "not").mkdir()
    code = ended(monkeypatch, ["collect", "--kubeconfig", str(elsewhere / "config")])
    assert code not in (0, 1)
    assert "not/there.token" in capfd.readouterr().err.replace("\n", "")


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
