"""`rightsize explain` and `rightsize verify` as their users type them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.cli.run import rightsize
from tests.tiny_mesh import FIRST_DAY, MIB, Tiny, tiny_snapshot


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh") / "snapshot"
    before = Tiny(days=16, pods=3)
    after = before.but(skip_days=16, days=6, cpu_request=0.05, memory_limit=96 * MIB, oom_kills=3)
    tiny_snapshot(folder, before, after, Tiny("quiet", days=22), days=22)
    return folder


def test_explain_shows_history_rule_and_alternatives(mesh, tmp_path):
    found = rightsize("explain", "shop/web", "--snapshot", mesh, "-o", tmp_path)
    assert found.returncode == 0, found.stderr
    for words in ("22.0 days with data", "binding rule", "not today's cpu request", "baseline krr"):
        assert words in found.stdout
    assert "Stretch by stretch" in found.stdout
    assert len(list(tmp_path.glob("shop-web-*.png"))) == 3


def test_explain_names_what_is_there_when_asked_for_what_is_not(mesh):
    found = rightsize("explain", "shop/nobody", "--snapshot", mesh)
    assert found.returncode == 6
    assert "in shop there are: quiet, web" in found.stderr


def test_explain_wants_a_namespace(mesh):
    assert rightsize("explain", "web", "--snapshot", mesh).returncode == 2


def test_verify_takes_back_what_got_worse(mesh):
    since = (FIRST_DAY + timedelta(days=16)).isoformat()
    found = rightsize("verify", "--since", since, "--snapshot", mesh, "--format", "json")
    assert found.returncode == 10
    (effect,) = json.loads(found.stdout)["effects"]
    assert effect["take_back"]
    assert "shop/web" in found.stderr


def test_verify_refuses_a_date_it_has_nothing_for(mesh):
    found = rightsize("verify", "--since", "2030-01-01", "--snapshot", mesh)
    assert found.returncode == 6
    assert "2026-09-01 to 2026-09-22" in found.stderr
