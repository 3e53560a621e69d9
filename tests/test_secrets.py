"""The gate of secrets."""

from __future__ import annotations

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


def test_an_error_and_a_manifest_pass_the_gate():
    secrets.register_address("https://me:pa%2Fss%23word@prom")
    assert "pa/ss#word" not in str(UsageError("server says pa/ss#word", hint="not pa%2Fss%23word"))
    made = Manifest("c", "prometheus", simulated=False, facts={"said": "pa/ss#word"})
    assert "ss#word" not in made.to_json()


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
