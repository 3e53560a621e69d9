"""Each fault of a server, once and for ever: exit code, message, days kept, nothing secret."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import pytest

import rightsize.cli
from rightsize.collectors.prometheus import client
from rightsize.snapshot import Snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod, node
from tests.servers.faulty_proxy import Asked, Fault, FaultyProxy, faulty_proxy, first, since
from tests.servers.prometheus import filled_prometheus, free_port

SECRET = "hunter2-s3cr3t-t0ken"
SECOND_DAY = DAY + 24 * HOUR
_HTML = b"<html><head><title>Sign in</title></head>please, token %s</html>" % SECRET.encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    end = DAY + 48 * HOUR
    pods = [
        Pod("web-6d4cf56db6-bcdfg", end=end, step=150),
        Pod("api-6d4cf56db6-bcdfg", "back", ("ReplicaSet", "api-6d4cf56db6"), end=end, step=150),
    ]
    series = [s for pod in pods for s in (*pod.described(), *pod.used())]
    folder = tmp_path_factory.mktemp("faults")
    with filled_prometheus(folder, [*series, *node(end=end)]) as address:
        yield address


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.001)
    monkeypatch.setenv("TOKEN", SECRET)


@pytest.fixture
def collect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command as a user does; returns exit code and everything it said."""

    def run(address: str, *more: str, out: Path | None = None) -> tuple[int, str]:
        arguments = ["rightsize", "collect", "--prometheus-url", address]
        arguments += ["--start", "2026-09-14", "--end", "2026-09-16", "--cluster", "mesh"]
        arguments += ["--out", str(out or tmp_path / "snapshot"), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        code = 0
        try:
            rightsize.cli.run()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def _days(folder: Path) -> list[str]:
    if not (folder / "manifest.json").exists():
        return []
    return [str(day) for day in Snapshot(folder).days]


def _everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


PASSING = {
    "500": Fault(500, b'{"status":"error","errorType":"internal","error":"oops"}'),
    "502": Fault(502, b"<html><title>Bad Gateway</title></html>"),
    "503": Fault(503, b"starting up"),
    "429": Fault(429, b"slow down", {"Retry-After": "0"}),
    "reset": Fault(reset=True),
    "cut": Fault(cut=True),
    "cut chunks": Fault(chunked=True, cut=True),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_is_waited_for(
    name: str, server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    with faulty_proxy(server, first(2, PASSING[name], "query_range")) as proxy:
        code, said = collect(proxy.address)
    assert code == 0, said
    assert _days(tmp_path / "snapshot") == ["2026-09-14", "2026-09-15"]


LASTING = {
    "reset": (21, "cannot be reached", Fault(reset=True)),
    "401": (24, "HTTP 401", Fault(401, b"no " + SECRET.encode())),
    "403": (25, "HTTP 403", Fault(403, _HTML)),
    "404": (26, "HTTP 404", Fault(404, b"404 page not found")),
    "422": (
        27,
        "too many samples",
        Fault(
            422,
            b'{"status":"error","errorType":"execution","error":"query processing would load '
            b'too many samples into memory in query execution"}',
        ),
    ),
    "11,000 points": (
        27,
        "exceeded maximum resolution",
        Fault(
            400,
            b'{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of '
            b'11,000 points per timeseries"}',
        ),
    ),
    "414": (27, "HTTP 414", Fault(414, b"")),
    "429": (28, "HTTP 429", Fault(429, b"", {"Retry-After": "0"})),
    "500": (29, "oops", PASSING["500"]),
    "502": (29, "Bad Gateway", PASSING["502"]),
    "503": (29, "starting up", PASSING["503"]),
    "query time-out": (
        30,
        "query timed out",
        Fault(
            503,
            b'{"status":"error","errorType":"timeout","error":"query timed out in expression '
            b'evaluation"}',
        ),
    ),
    "504": (30, "HTTP 504", Fault(504, b"")),
    "silence": (30, "no answer within", Fault(silent_seconds=3.0)),
    "drip": (30, "not whole after", Fault(drip_seconds=0.05)),
    "HTML": (31, "an HTML page", Fault(200, _HTML)),
    "cut": (31, "cut off", Fault(cut=True)),
    "no JSON": (31, "no Prometheus answer", Fault(200, b'{"status":"succ')),
    "redirect": (31, "redirects to login.example.com", Fault(
        302, b"", {"Location": f"https://login.example.com/?t={SECRET}"}
    )),
    "partial": (
        32,
        "store-3 is down",
        Fault(
            change=lambda body: body.rstrip()[:-1] + b',"warnings":["store-3 is down"]}',
        ),
    ),
    "unknown function": (
        33,
        "unknown function",
        Fault(
            400,
            b'{"status":"error","errorType":"bad_data","error":"unknown function in '
            b'last_over_time(kube_pod_container_resource_limits[5m])"}',
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_has_its_exit_code_and_keeps_the_days(
    name: str, server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, text, fault = LASTING[name]
    timeout = "20"
    if name in ("silence", "drip"):
        # A healthy server may take longer than so short a time-out, too: the first day is there before.
        assert collect(server, "--end", "2026-09-15")[0] == 0
        timeout = "0.2"
    with faulty_proxy(server, since(SECOND_DAY, fault)) as proxy:
        found, said = collect(proxy.address, "--bearer-token-env", "TOKEN", "--timeout", timeout)
    assert found == code, said
    assert text in said
    assert "Next:" in said
    assert "Traceback" not in said
    assert SECRET not in said
    assert _days(tmp_path / "snapshot") == ["2026-09-14"]
    assert SECRET.encode() not in _everything(tmp_path / "snapshot")


def test_a_collect_goes_on_where_a_fault_stopped_it(
    server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert collect(server, out=whole)[0] == 0
    with faulty_proxy(server, since(SECOND_DAY, Fault(401))) as proxy:
        assert collect(proxy.address, out=broken)[0] == 24
    before = (broken / "usage" / "2026-09-14.parquet").stat().st_mtime_ns
    code, said = collect(server, out=broken)
    assert code == 0
    assert "1 days fetched, 1 were there already" in said
    assert (broken / "usage" / "2026-09-14.parquet").stat().st_mtime_ns == before
    for table in whole.glob("*/*.parquet"):
        assert (broken / table.relative_to(whole)).read_bytes() == table.read_bytes()


def test_a_query_that_timed_out_is_not_repeated_as_it_was(
    server: str, collect: Callable[..., tuple[int, str]]
) -> None:
    """A first answer "too slow" makes the next question a smaller one."""
    slow = LASTING["query time-out"][2]
    with faulty_proxy(server, first(1, slow, "query_range")) as proxy:
        assert collect(proxy.address)[0] == 0
    spans: dict[str, list[float]] = {}
    for asked in proxy.asked:
        if asked.path.endswith("query_range") and float(asked.form["start"]) < SECOND_DAY:
            span = float(asked.form["end"]) - float(asked.form["start"])
            spans.setdefault(asked.form["query"], []).append(span)
    split = [lengths for lengths in spans.values() if len(lengths) > 1]
    assert len(split) == 1
    assert split[0][0] == 24 * HOUR
    assert max(split[0][1:]) <= 12 * HOUR


@pytest.mark.parametrize("longest_hours", [8, 0.5])
def test_a_limit_is_met_by_smaller_pieces_with_the_same_result(
    longest_hours: float, server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """Below an hour, pieces are cut by namespace instead."""

    def limited(asked: Asked) -> Fault | None:
        heavy = ("cpu_usage", "working_set", "kube_pod_info")
        if asked.form.get("step") != "300" or not any(h in asked.form["query"] for h in heavy):
            return None
        span = float(asked.form["end"]) - float(asked.form["start"])
        by_namespace = 'namespace="' in asked.form["query"]
        return LASTING["422"][2] if span > longest_hours * HOUR and not by_namespace else None

    assert collect(server, out=tmp_path / "whole")[0] == 0
    with faulty_proxy(server, limited) as proxy:
        code, said = collect(proxy.address, out=tmp_path / "pieces")
    assert code == 0, said
    for table in (tmp_path / "whole").glob("*/*.parquet"):
        same = tmp_path / "pieces" / table.relative_to(tmp_path / "whole")
        pd.testing.assert_frame_equal(pd.read_parquet(same), pd.read_parquet(table))


def test_a_partial_answer_may_be_accepted_and_is_reported(
    server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    with faulty_proxy(server, since(SECOND_DAY, LASTING["partial"][2])) as proxy:
        assert collect(proxy.address, "--allow-partial")[0] == 0
    missing = Snapshot(tmp_path / "snapshot").manifest.missing
    assert any("store-3 is down" in one.what for one in missing)


def test_retry_after_is_waited_for_and_one_request_at_a_time_follows(
    server: str, collect: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(client.Server.__init__, "__kwdefaults__", {
        "in_flight": 2, "compress": False, "pause": pauses.append
    })  # fmt: skip
    busy = Fault(429, b"", {"Retry-After": "7"})
    with faulty_proxy(server, first(1, busy, "query_range")) as proxy:
        assert collect(proxy.address)[0] == 0
    assert pauses == [7.0]
    assert proxy.most_at_once <= 2


def test_nobody_listening(collect: Callable[..., tuple[int, str]]) -> None:
    code, said = collect(f"http://127.0.0.1:{free_port()}")
    assert code == 21
    assert "Connection refused" in said


def test_a_name_without_an_address(collect: Callable[..., tuple[int, str]]) -> None:
    code, said = collect("http://no-such-host.invalid:9090")
    assert code == 22
    assert "has no address" in said


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )

    class Empty(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown = self.connection.getpeercert()
            self.send_error(403 if self.path.startswith("/strict") and not shown else 404)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = HTTPServer(("127.0.0.1", 0), Empty)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://localhost:{server.server_port}", certificate
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_unknown_authority_is_a_tls_fault_that_a_ca_file_heals(
    tls_server: tuple[str, Path], collect: Callable[..., tuple[int, str]]
) -> None:
    address, certificate = tls_server
    code, said = collect(address)
    assert code == 23
    assert "--ca-file" in said
    # 404 comes from behind a finished handshake.
    assert collect(address, "--ca-file", str(certificate))[0] == 26
    assert collect(address, "--insecure")[0] == 26


def test_a_client_certificate_opens_what_asks_for_one(
    tls_server: tuple[str, Path], collect: Callable[..., tuple[int, str]]
) -> None:
    address, certificate = tls_server
    trusting = ("--ca-file", str(certificate))
    key = certificate.with_name("key.pem")
    mutual = (*trusting, "--client-cert", str(certificate), "--client-key", str(key))
    strict = address + "/strict"
    assert collect(strict, *trusting)[0] == 25
    assert collect(strict, *mutual)[0] == 26


def test_a_proxy_is_gone_through(
    server: str, collect: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_proxy(server, lambda _: None) as proxy:
        code, said = collect("http://prometheus.invalid:9090", "--proxy", proxy.address)
    assert code == 0, said
    assert len(proxy.asked) > 20


def test_a_read_only_folder(server: str, collect: Callable[..., tuple[int, str]]) -> None:
    code, said = collect(server, out=Path("/proc/snapshot"))
    assert code == 7
    assert "cannot be written" in said


def test_a_full_disk_keeps_the_days_before(
    server: str,
    collect: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pyarrow.parquet as pq

    real = pq.ParquetWriter

    def full(where: Path, *more: object, **options: object) -> object:
        if "2026-09-15" in where.name:
            raise OSError(28, "No space left on device")
        return real(where, *more, **options)

    monkeypatch.setattr(pq, "ParquetWriter", full)
    code, said = collect(server)
    assert code == 7
    assert "No space left" in said
    assert _days(tmp_path / "snapshot") == ["2026-09-14"]


def test_a_mistake_in_the_program_keeps_its_traceback(
    server: str, collect: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rightsize.collectors.prometheus import collect as module_function

    module = sys.modules[module_function.__module__]
    monkeypatch.setattr(module, "assemble", lambda *_: 1 / 0)
    code, said = collect(server)
    assert code == 1
    assert "Traceback" in said
    assert "ZeroDivisionError" in said


def test_a_server_without_a_mesh_says_so(
    server: str, collect: Callable[..., tuple[int, str]]
) -> None:
    code, said = collect(server, "--matcher", "cluster=elsewhere")
    assert code == 6
    assert "no mesh container" in said


def _seen(proxy: FaultyProxy) -> list[str]:
    return [header for asked in proxy.asked for header in asked.headers.values()]


def test_credentials_reach_the_server_and_nothing_else(
    server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET}\n")
    ways = (
        ("--bearer-token-env", "TOKEN"),
        ("--bearer-token-file", str(token)),
        ("--username", "me", "--password-env", "TOKEN"),
        ("--header", f"X-Key: {SECRET}", "--tenant", "team-a"),
    )
    for number, way in enumerate(ways):
        with faulty_proxy(server, lambda _: None) as proxy:
            out = tmp_path / str(number)
            code, said = collect(proxy.address, *way, out=out)
        assert code == 0, said
        assert SECRET not in said
        assert SECRET.encode() not in _everything(out)
        headers = _seen(proxy)
        if "--username" in way:
            assert any(value.startswith("Basic ") for value in headers)
        elif "--tenant" in way:
            assert {SECRET, "team-a"} <= set(headers)
        else:
            assert f"Bearer {SECRET}" in headers


def test_a_password_in_the_address_is_used_and_never_shown(
    server: str, collect: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    fault = since(SECOND_DAY, Fault(401, SECRET.encode()))
    with faulty_proxy(server, fault) as proxy:
        address = proxy.address.replace("http://", f"http://me:{SECRET}@")
        code, said = collect(address)
    assert code == 24
    assert any(value.startswith("Basic ") for value in _seen(proxy))
    assert SECRET not in said
    assert SECRET.encode() not in _everything(tmp_path / "snapshot")
