"""A profile is one registration, and every command, setting and back-test has it."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
from typer.testing import CliRunner

from rightsize.cli.backtest import app as backtest
from rightsize.cli.recommend import app as recommend
from rightsize.errors import UsageError
from rightsize.sizing.profiles import POLICIES, compared, profile_named, promises


@pytest.fixture
def new_profile(tmp_path, monkeypatch):
    """A module of somebody else, with one call in it."""
    (tmp_path / "flat_profile.py").write_text(
        "from rightsize.sizing.policies import PeakMarginPolicy\n"
        "from rightsize.sizing.profiles import Promise, register_policy\n"
        "register_policy('flat', PeakMarginPolicy, Promise(cpu_above=0.3, memory_hit=0.3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.import_module("flat_profile")
    yield "flat"
    del POLICIES["flat"], sys.modules["flat_profile"]


def test_a_new_profile_is_one_registration(new_profile):
    assert profile_named(new_profile) == "flat"
    assert promises()["flat"].cpu_above == 0.3
    assert "flat" in compared()


def test_a_new_profile_sizes_and_is_back_tested(new_profile, tmp_path):
    settings = tmp_path / "rightsize.toml"
    settings.write_text('[policy]\nprofile = "flat"\n')
    usage = tmp_path / "usage.csv"
    rows = [f"a,{300 * k},{0.2 + k % 7 / 100},1e8" for k in range(288 * 22)]
    usage.write_text("series_id,timestamp,cpu_cores,memory_bytes\n" + "\n".join(rows) + "\n")
    sized = CliRunner().invoke(
        recommend, ["--traces", str(usage), "--config", str(settings), "--format", "json"]
    )
    assert sized.exit_code == 0, sized.output
    assert json.loads(sized.stdout)["series"][0]["cpu_request"] == pytest.approx(0.26 * 1.2)
    tested = CliRunner().invoke(
        backtest, ["--traces", str(usage), "--policies", "flat", "--format", "json"]
    )
    assert json.loads(tested.stdout)["totals"][0]["policy"] == "flat"


def test_a_baseline_is_no_profile():
    with pytest.raises(UsageError, match="no profile 'krr'"):
        profile_named("krr")
