"""Each kind of secret is planted, a server repeats it, and every byte that comes out is read."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

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
        sent["raw"], sent["quoted"] = SECRET, quote(SECRET, safe="")
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
    coded = [base64.b64encode(text.encode()).decode() for text in (SECRET, pair)]
    return [SECRET, quote(SECRET, safe=""), quote(SECRET), "pa#ss", "w0rd", *coded]


@pytest.mark.parametrize("command", ["doctor", "collect"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_of_a_secret_comes_out(kind, command, host, tmp_path: Path):
    arguments, variables = KINDS[kind]
    words = [word.replace("HOST", host) for word in arguments]
    environment = {n: v for n, v in os.environ.items() if "proxy" not in n.lower()}
    ran = subprocess.run(
        [sys.executable, "-m", "rightsize", command, *words],
        capture_output=True, cwd=tmp_path, env={**environment, **variables}, check=False,
    )  # fmt: skip
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out = (ran.stdout + ran.stderr + written).decode()
    assert ran.returncode not in (0, 1)
    assert "Traceback" not in out
    for text in encodings():
        assert text not in out
