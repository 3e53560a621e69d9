"""How a server is reached: addresses, matchers, and ways to sign in."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import requests

from rightsize.collectors.prometheus.connection import connections, matchers
from rightsize.collectors.prometheus.transport import BoundedSession
from rightsize.config import PrometheusSettings
from rightsize.errors import InputFileError, UsageError
from rightsize.secrets import blanked


def _one(**settings: object) -> object:
    return connections(PrometheusSettings(**{"url": ("http://p:9090",)} | settings), {})[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://p:9090", "http://p:9090"),
        ("http://p:9090/", "http://p:9090"),
        ("http://p:9090/graph", "http://p:9090"),
        ("https://g.example.com/api/prom", "https://g.example.com/api/prom"),
        ("https://m.example.com/prometheus/", "https://m.example.com/prometheus"),
        ("http://v:8481/select/0/prometheus/api/v1/query", "http://v:8481/select/0/prometheus"),
    ],
)
def test_an_address_ends_where_the_api_begins(given: str, asked: str) -> None:
    assert connections(PrometheusSettings(url=(given,)), {})[0].url == asked


@pytest.mark.parametrize("bad", ["prometheus:9090", "ftp://p", "http://", ""])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="no http or https"):
        connections(PrometheusSettings(url=(bad,)), {})


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("cluster=prod", 'cluster="prod",'),
        ('env=~"a|b"', 'env=~"a|b",'),
        ("zone!=x y", 'zone!="x y",'),
        ('path=a"b', 'path="a\\"b",'),
    ],
)
def test_matchers_are_quoted_for_promql(given: str, written: str) -> None:
    assert matchers(PrometheusSettings(matchers=(given,))) == written


def test_what_is_no_matcher_is_refused() -> None:
    with pytest.raises(UsageError, match="not a label matcher"):
        matchers(PrometheusSettings(matchers=("cluster",)))


def test_two_ways_to_sign_in_are_refused() -> None:
    with pytest.raises(UsageError, match="more than one way"):
        connections(
            PrometheusSettings(url=("http://p",), username="me", bearer_token_env="T"), {"T": "x"}
        )


def test_a_secret_that_is_not_there_is_reported_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TOKEN"):
        _one(bearer_token_env="TOKEN")
    with pytest.raises(InputFileError, match="No such file"):
        _one(bearer_token_file=tmp_path / "none")


def test_no_secret_is_in_a_connections_text() -> None:
    settings = PrometheusSettings(
        url=("https://me:geheim@p",), headers=("X-Key: verborgen",), proxy="http://u:leise@q:1"
    )
    connection = connections(settings, {})[0]
    shown = repr(connection) + connection.name
    for secret in ("geheim", "verborgen", "leise"):
        assert secret not in shown
        assert secret not in blanked(f"server said {secret}")


def test_requests_to_amazon_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sehrgeheim")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "fluechtig")
    connection = connections(
        PrometheusSettings(
            url=("https://aps.example.com/workspaces/ws-1",), sigv4_region="eu-west-1"
        ),
        {},
    )[0]
    prepared = requests.Request(
        "POST",
        connection.url + "/api/v1/query",
        data={"query": 'up{a="b"}'},
        auth=connection.auth,
    ).prepare()
    signature = prepared.headers["Authorization"]
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/aps/aws4_request" in signature
    assert prepared.headers["X-Amz-Security-Token"] == "fluechtig"
    assert "sehrgeheim" not in str(prepared.headers)


def test_a_password_of_a_proxy_may_have_any_characters():
    coded = base64.b64encode("me:€ :".encode()).decode()
    session = BoundedSession(_one(), compress=False, received=lambda _: None)
    adapter = session.get_adapter("http://p:9090")
    found = adapter.proxy_headers("http://me:%E2%82%AC%20%3A@127.0.0.1:9")
    assert found == {"Proxy-Authorization": f"Basic {coded}"}
    assert adapter.proxy_headers("http://127.0.0.1:9") == {}
