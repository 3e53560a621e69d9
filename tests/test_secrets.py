"""The gate of secrets."""

from __future__ import annotations

import base64
import html
import json
import re
import struct
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from rightsize import secrets
from rightsize.errors import UsageError
from rightsize.snapshot.manifest import Manifest


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(secrets, "_known", set())


def test_a_tenant_is_a_name_and_no_secret():
    secrets.register_header("X-Scope-OrgID", "production")
    assert secrets.blanked("cluster production") == "cluster production"


def test_a_short_value_of_a_harmless_header_blanks_no_figure():
    secrets.register_header("X-Version", "1")
    assert secrets.blanked("1.5 cores") == "1.5 cores"


def test_a_token_in_the_query_of_an_address_is_a_secret_and_a_tenant_is_not():
    secrets.register_address("https://prom/api?tenant=production&api_token=pa%2Fss%23word")
    assert secrets.blanked("production pa/ss#word pa%2fss%23word") == "production *** ***"


def test_a_part_that_a_library_takes_for_a_port_is_secret():
    secrets.register_environment({"AWS_ENDPOINT_URL": "http://me:s3cr&t/pa#ss=w0rd@host"})
    said = "Port could not be cast to integer value as 's3cr&t'"
    assert secrets.blanked(said) == said.replace("s3cr&t", secrets.BLANK)


def test_each_cookie_of_a_header_is_a_secret():
    secrets.register_header("Cookie", "session=pa/ss#word; other=w0rd==")
    assert secrets.blanked("pa/ss#word, w0rd==") == "***, ***"


SHAPES = {
    "a header of curl": ("Authorization: Bearer {}", "0123abcd-efgh"),
    "basic authentication": ("Basic {} was refused", "bWU6czNjciZ0L3BhI3NzPXcwcmQ="),
    "JSON in JSON": ('{{\\"password\\": \\"{}\\"}}', "s3cr&t/pa#ss"),
    "a presigned address": ("GET /?X-Amz-Signature={}&X-Amz-Date=2026", "0123456789abcdef" * 4),
    "a session token": ('{{"X-Amz-Security-Token": "{}"}}', "FwoGZXIvYXdzE/+=="),
    "an option of a plugin": ("--token {} --region eu-west-1", "s3cr&t/pa#ss"),
    "prose of a plugin": ("refused the token {}, sign in again", "s3cr&t/pa#ss1"),
    "the user part of an address": ("https://me:{}@host/x", "s3cr&t"),
    "a token of EKS": ("401 for {}", "k8s-aws-v1.aHR0cHM6Ly9zdHM"),
    "a JSON Web Token": ("token={};", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl"),
    "a webhook of Slack": ("https://hooks.slack.com/services/{}", "T01/B02/abcdefgh"),
    "a private key": ("{} is no key", "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_a_secret_that_nobody_gave_is_known_by_its_shape(kind):
    text, secret = SHAPES[kind]
    assert secret not in secrets.guarded(text.format(secret))
    assert secret not in secrets.excerpt(text.format(secret), len(text) + len(secret))


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication is needed", "invalid token: line 1, column 0",
        "give it with --password-file", "setting prometheus.bearer_token_env: Input should be text",
        "ssh://git@github.com/shop/mesh", "the secret in /run/secrets/token cannot be read",
        "shop/web2: 50m and 128Mi; see https://docs.example/x@v2",
    ],
)  # fmt: skip
def test_prose_about_secrets_is_not_blanked(text):
    assert secrets.guarded(text) == text


@pytest.mark.parametrize(
    "address",
    ["me:pa/ss#word@proxy:3128", "http://me:pa%2Fss%23word@proxy", "http://pa%2Fss%23word@prom"],
)
def test_a_secret_of_an_address_is_known_with_and_without_a_scheme_or_a_user(address):
    secrets.register_address(address)
    assert secrets.blanked("said pa/ss#word") == "said ***"


def test_base64_of_a_sign_in_is_a_secret_in_every_encoding_too():
    secrets.register_sent([("Authorization", "Basic " + base64.b64encode(b"me:w0rd?>~~").decode())])
    coded = base64.b64encode(b"me:w0rd?>~~").decode()
    for form in EVERY_FORM.values():
        assert secrets.BLANK in secrets.blanked(f"before {form(coded)} after")


def test_what_the_keys_of_a_kubeconfig_name_as_secret_is_known():
    loop: list[object] = ["--client-secret", "in-a-list1"]
    loop.append(loop)
    user = {
        "token": "in-a-key-1",
        "exec": {"args": loop, "env": [{"name": "API_TOKEN", "value": "in-env-1"}]},
    }
    secrets.register_tree({"users": [user], "contexts": [{"name": "production"}]})
    said = secrets.blanked("in-a-key-1 in-a-list1 in-env-1 production")
    assert said == "*** *** *** production"


def test_no_part_of_a_secret_stays_where_a_text_is_cut():
    secrets.register("pa/ss#word")
    found = {secrets.excerpt(f"{'x' * 10}pa/ss#word{'y' * 90}", most) for most in range(8, 60)}
    assert not any("pa" in one for one in found)
    assert max(map(len, found)) == 59
    assert len(str(UsageError("x" * 10**6))) < 30_000


def test_an_error_and_a_manifest_pass_the_gate():
    secrets.register_address("https://me:pa%2Fss%23word@prom")
    assert "pa/ss#word" not in str(UsageError("server says pa/ss#word", hint="not pa%2Fss%23word"))
    made = Manifest("c", "prometheus", simulated=False, facts={"said": "pa/ss#word"})
    assert "ss#word" not in made.to_json()


EVERY_FORM = {
    "plain": str,
    "url": lambda s: quote(s, safe=""),
    "url, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), quote(s, safe="")),
    "url, each byte": lambda s: "".join(f"%{byte:02X}" for byte in s.encode()),
    "url, twice": lambda s: quote(quote(s)),
    "form": quote_plus,
    "json": lambda s: json.dumps(s),
    "json, slashes": lambda s: json.dumps(s, ensure_ascii=False).replace("/", "\\/"),
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "json, each unit": lambda s: "".join(
        f"\\u{unit:04x}" for (unit,) in struct.iter_unpack(">H", s.encode("utf-16-be"))
    ),
    "json as Go writes it": lambda s: json.dumps(s).replace("&", "\\u0026").replace("<", "\\u003c"),
    "repr": repr,
    "escape": lambda s: s.encode("unicode_escape").decode(),
    "html": html.escape,
    "html as Go writes it": lambda s: html.escape(s).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "html, each character": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "html, twice": lambda s: html.escape(html.escape(s)),
    "read as Latin-1": lambda s: s.encode().decode("latin-1"),
    "hex": lambda s: s.encode().hex(),
    "hex, upper case": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    **{
        f"base64 inside of a text, {n}": lambda s, n=n: base64.b64encode(f"{'x' * n}{s}y".encode()).decode()
        for n in range(3)
    },
}  # fmt: skip


@pytest.mark.parametrize("form", EVERY_FORM)
@pytest.mark.parametrize(
    "secret", ["s3cr&t/pa#ss=w0rd", "a\"b'c\\d e<f>+?%", "ünï\U0001f600\tc0de", "0123abcd"]
)
def test_a_secret_is_known_in_every_encoding(secret, form):
    shown = EVERY_FORM[form](secret)
    secrets.register(secret)
    found = secrets.blanked(f"before {shown} after")
    assert secrets.BLANK in found
    assert found.startswith("before ")
    assert found.endswith(" after")
    assert len(found) <= len("before ' after'") + 16
    assert secrets.blanked("before 12.5 % of 1,000 cores\\n") == "before 12.5 % of 1,000 cores\\n"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("GH_TOKEN", True), ("GITLAB_TOKEN", True), ("AWS_SECRET_ACCESS_KEY", True),
        ("CI_JOB_TOKEN", True), ("PROM_PASSWORD", True), ("GRAFANA_API_KEY", True),
        ("AWS_ACCESS_KEY_ID", False), ("AWS_WEB_IDENTITY_TOKEN_FILE", False), ("HOME", False),
    ],
)  # fmt: skip
def test_variables_that_hold_a_secret_are_known_by_their_name(name, hidden):
    secrets.register_environment({name: "abcdef-0123456789"})
    assert (secrets.blanked("abcdef-0123456789") == secrets.BLANK) is hidden


def test_what_strangers_say_is_cut_by_the_gate_alone():
    """Else a part of a secret could stay at the end."""
    package = Path(secrets.__file__).parent
    cut = re.compile(r"(error|said|text|notes|body)\S*\)*\[:\s*(_[A-Z_]+|\d{3,})\]")
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for part in ("collectors", "snapshot", "fleet", "forge")
        for path in (package / part).rglob("*.py")
        for line in path.read_text().splitlines()
        if cut.search(line) and ".decode(" not in line and "lstrip()" not in line
    ]
    assert not found
