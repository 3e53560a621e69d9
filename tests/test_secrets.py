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
