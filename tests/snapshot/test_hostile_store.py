"""A store that is hostile or not there: one error with its place, in bounds of time and memory."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from rightsize.cli import run
from rightsize.errors import SnapshotError, StoreError, StoreUnreachableError
from rightsize.snapshot import store_transport
from rightsize.snapshot.object_store import ObjectStore, ReadCache
from rightsize.snapshot.stored import StoredSnapshot, publish
from tests.servers.hostile_store import HostileStore, answer, hostile_store, listing
from tests.tiny_mesh import Tiny, tiny_snapshot

DAY = "2026-09-01.0001.json"
FLEET = "[defaults]\nurl = 'http://127.0.0.1:9'\n[clusters.prod]\n[clusters.other]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as `fleet collect` leaves it."""
    place = tmp_path_factory.mktemp("store")
    mesh = tiny_snapshot(tmp_path_factory.mktemp("mesh"), Tiny(pods=1), nodes=1, days=2)
    for day in mesh.days:
        publish(ObjectStore(str(place)), "prod", mesh.path, day)
    return place


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileStore]:
    monkeypatch.setattr(store_transport, "_SECONDS", 0.4)
    monkeypatch.setattr(store_transport, "_PATIENCE", 0.2)
    monkeypatch.setattr(store_transport, "_FAILING", 0.2)
    with hostile_store(folder, monkeypatch) as found:
        yield found


def read(tmp_path: Path) -> StoredSnapshot:
    found = StoredSnapshot(
        ObjectStore("s3://hostile"), "prod", ReadCache(tmp_path / "cache", 2**30)
    )
    for table in ("usage", "pods", "containers", "nodes"):
        found.read(table)
    return found


def test_an_honest_answer_is_read(server: HostileStore, tmp_path: Path) -> None:
    assert len(read(tmp_path).days) == 2


def piecemeal(first: bytes, every: float) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Sends bytes without an end."""

    def send(handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        try:
            handler.wfile.write(first)
            while True:
                handler.wfile.write(b"x" * (1 if every else 65536))
                handler.wfile.flush()
                time.sleep(every)
        except OSError:
            return True

    return send


def raw(content: bytes) -> Callable[[BaseHTTPRequestHandler], bool]:
    def send(handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        handler.wfile.write(content)
        return True

    return send


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
NO_ANSWER = {
    "nothing": raw(b""),
    "no HTTP": raw(b"220 mail.example.com ESMTP\r\n\r\n"),
    "a part": raw(HEAD + b"<ListBucketResult>"),
    "a head of 10 MB": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10**7 + b"\r\n\r\n"),
    "slow bytes": piecemeal(HEAD, 0.1),
    "a slow head": piecemeal(b"HTTP/1.1 200 OK\r\nX: ", 0.1),
    "a redirect to itself": lambda handler: answer(handler, b"", 307, Location=handler.path),
    "come later, for ever": lambda handler: answer(
        handler, b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>", 503
    ),
}


@pytest.mark.parametrize("kind", NO_ANSWER)
def test_a_store_that_gives_no_answer_is_not_asked_for_ever(
    server: HostileStore, kind: str, tmp_path: Path
) -> None:
    server.hostile, begin = NO_ANSWER[kind], time.monotonic()
    with pytest.raises(StoreUnreachableError, match=r"prod/days: cannot be reached at http://127"):
        read(tmp_path)
    assert time.monotonic() - begin < 15
    assert len(server.asked) < 90


@pytest.mark.parametrize("name", ["recommend", "report", "nodes", "collect", "snapshot"])
@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_a_command_without_its_store_ends_with_50_and_one_message(
    server: HostileStore, kind: str, name: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fleet.toml").write_text(FLEET)
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1] if kind == "silent" else 9
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        line = ["recommend", "--snapshot", "s3://gone/fleet/prod"]
        if name != "snapshot":
            line = ["fleet", name, "--store", "s3://gone/fleet"]
        monkeypatch.setattr(sys, "argv", ["rightsize", *line])
        with pytest.raises(SystemExit) as left:
            run()
    said = capsys.readouterr().err
    assert left.value.code == 50
    assert f"s3://gone/fleet/prod/days: cannot be reached at http://127.0.0.1:{port}" in said
    assert "AWS_ENDPOINT_URL" in said
    assert "Traceback" not in said


def more(*keys: str, size: object = 100) -> Callable[[str], str]:
    """Keys that are listed besides."""
    rows = "".join(f"<Contents><Key>{key}</Key><Size>{size}</Size></Contents>" for key in keys)
    return lambda xml: xml.replace("</ListBucketResult>", f"{rows}</ListBucketResult>")


def without_end(token: str) -> Callable[[str], str]:
    rest = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
    deep = "/".join("0" * 50)
    keys = {f"prod/days/{deep}/{number}": 1 for number in range(1000)}
    return lambda xml: listing(keys, rest)


LAUGHS = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" if n else "&a;"}">' for n in range(9)
)
LISTINGS: dict[str, Callable[[str], str]] = {
    "HTML": lambda xml: "<html><body>Sign in</body></html>",
    "nothing": lambda xml: "",
    "a part": lambda xml: xml[: len(xml) // 2],
    "JSON": lambda xml: '{"ListBucketResult": []}',
    "entities": lambda xml: f"{LAUGHS}]><ListBucketResult>&a8;</ListBucketResult>",
    "an error that says 200": lambda xml: "<Error><Code>InternalError</Code></Error>",
    "pages without an end": without_end("next"),
    "100,000 keys": lambda xml: listing({f"prod/days/{n}": 1 for n in range(100_000)}),
    "20 MB": lambda xml: xml.replace("<Size>", " " * 2 * 10**7 + "<Size>", 1),
    "control characters": more("prod/days/\x01\x1b[31m"),
    "a size of text": more("prod/days/2026-09-03.0001.json", size="large"),
    "descriptions of 5 GB": more(
        *(f"prod/days/{1000 + year}-01-01.0001.json" for year in range(600)), size=8 * 2**20
    ),
    "no next page": lambda xml: xml.replace("<Contents>", "<IsTruncated>true</IsTruncated><Contents>", 1),
    "sizes that are not": lambda xml: re.sub(r"<Size>\d+", "<Size>70", xml),
}  # fmt: skip


@pytest.mark.parametrize("kind", LISTINGS)
def test_a_listing_that_is_none_is_one_error(
    server: HostileStore, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.listed = LISTINGS[kind]
    monkeypatch.setattr(store_transport, "_MOST_PAGES", 3)
    with pytest.raises((StoreError, SnapshotError), match="s3://hostile/prod") as caught:
        read(tmp_path)
    assert len(server.asked) <= 5
    assert str(caught.value).isprintable() or "\n  Next: " in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        ["../../x", "/etc/passwd", "prod/days/../../x", "prod/days/", "", "prod/days/&#10;x"],
        ["prod/days/2026-99-99.0001.json", "prod/days/2026-02-30.0001.json"],
        [f"prod/days/{DAY}/../x", f"other/days/{DAY}", f"PROD/days/{DAY}", "prod/days/.."],
        ["prod/days/2026-09-01.99999999999.json", "prod/days/2026-09-01.json"],
    ],
)
def test_keys_that_are_no_days_are_passed_over(
    server: HostileStore, keys: list[str], tmp_path: Path
) -> None:
    server.listed = more(*keys)
    assert len(read(tmp_path).days) == 2
    names = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[0-9a-f]{64}\.\d+-\d+", name) for name in names)


def of(ending: str, change: Callable[[bytes], bytes]) -> Callable[[str, bytes], bytes]:
    return lambda key, content: change(content) if key.endswith(ending) else content


def described(change: Callable[[dict], object]) -> Callable[[str, bytes], bytes]:
    """A description that says something else, in as many bytes."""

    def changed(content: bytes) -> bytes:
        body = json.loads(content)
        change(body)
        return json.dumps(body).encode().ljust(len(content))

    return of(".json", changed)


def together(body: dict) -> None:
    body["pack"]["together"] = body["pack"]["size"] = 2**40


OBJECTS = {
    "a pack cut in half": of(".pack", lambda content: content[: len(content) // 2]),
    "a pack of zeros": of(".pack", lambda content: bytes(len(content))),
    "an empty pack": of(".pack", lambda content: b""),
    "HTML": lambda key, content: b"<html>Sign in</html>".ljust(len(content)),
    "brackets": of(".json", lambda content: b"[" * len(content)),
    "null": of(".json", lambda content: b"null".ljust(len(content))),
    "no UTF-8": of(".json", lambda content: b"\xff" * len(content)),
    "small tables of a terabyte": described(together),
    "a table outside of its pack": described(
        lambda body: body["pack"]["parts"]["usage"].update(start=10**9)
    ),
    "days that are none": described(lambda body: body["manifest"].update(days=[1])),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_object_that_is_not_what_was_stored_is_one_error(
    server: HostileStore, kind: str, tmp_path: Path
) -> None:
    server.given = OBJECTS[kind]
    with pytest.raises((StoreError, SnapshotError), match="s3://hostile/prod") as caught:
        read(tmp_path)
    assert "Next: " in str(caught.value)


@pytest.mark.parametrize(
    "send", [lambda handler: answer(handler, b"x" * 10**8), piecemeal(HEAD, 0)]
)
def test_more_bytes_than_were_asked_for_are_not_read(
    server: HostileStore, send: Callable[[BaseHTTPRequestHandler], bool], tmp_path: Path
) -> None:
    server.hostile = lambda handler: "list-type" not in handler.path and send(handler)
    with pytest.raises(StoreError, match="more than the [0-9,]+ bytes"):
        read(tmp_path)


@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>"])
def test_what_takes_an_object_in_and_is_no_store_is_noticed(
    server: HostileStore, body: bytes
) -> None:
    server.hostile = lambda handler: answer(handler, body)
    with pytest.raises(StoreError, match="not as S3 does"):
        ObjectStore("s3://hostile").put("x", b"content")
