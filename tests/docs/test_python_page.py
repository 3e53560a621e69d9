"""docs/python.md says what the public Python interface is, and its code runs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pandas as pd
import pytest

import rightsize
from rightsize import errors

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
PUBLIC = {name: member for name, member in vars(rightsize.Mesh).items() if name[0] != "_"}


@pytest.fixture(scope="module")
def scope(tmp_path_factory) -> dict:
    """The page's blocks, run from top to bottom; the last writes a report and is left out."""
    folder = tmp_path_factory.mktemp("work")
    found: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code in blocks()[:-1]:
            exec(code, found)
    return found | {"folder": folder}


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)


def test_the_code_of_the_page_runs(scope):
    assert len(scope["busiest"]) == 5
    assert scope["one"]["workload"].unique().tolist() == ["cart-web"]
    assert scope["changed"]["cpu_rule"].notna().all()
    assert scope["scores"].index.tolist() == ["median", "balanced", "today"]
    assert set(scope["causes"].index) == {"mesh", "application", "system", "idle", "shared"}
    assert scope["ahead"]["services"].tolist()[1] == 3000
    assert (scope["folder"] / "requests.png").read_bytes()[:4] == b"\x89PNG"


def test_the_last_block_is_a_call_of_report():
    assert ".report(" in blocks()[-1]
    inspect.signature(rightsize.Mesh.report).bind(None, "reports/2026-10", month="2026-10")


def test_a_policy_of_ones_own_goes_through_the_guards(scope):
    sizes = scope["guarded"].set_index("workload")
    # OOM-killed on the demo mesh: no policy lowers what it has.
    killed = sizes.loc["checkout-api"]
    assert killed["memory_recommended_request"] >= killed["memory_request"]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_of_a_mesh_is_on_the_page(name):
    assert f"mesh.{name}" in PAGE or f".{name}(" in PAGE


@pytest.mark.parametrize("name", sorted(set(rightsize.__all__) - {"__version__"}))
def test_every_public_name_of_the_package_is_on_the_page(name):
    assert f"rightsize.{name}" in PAGE


def test_signatures_on_the_page_are_those_of_the_code():
    reported = dict(re.findall(r"`(?:mesh|rightsize)\.(\w+)\(([^`]*=[^`]*)\)`", PAGE))
    assert {"load", "recommend", "backtest", "nodes", "what_if", "report"} <= set(reported)
    for name, shown in reported.items():
        owner = rightsize if name in rightsize.__all__ else rightsize.Mesh
        parts = []
        for parameter in inspect.signature(getattr(owner, name)).parameters.values():
            if parameter.name != "self":
                keyword = parameter.kind is parameter.KEYWORD_ONLY
                if keyword and "*" not in parts:
                    parts.append("*")
                parts.append(str(parameter.replace(annotation=parameter.empty, kind=3)))
        assert " ".join(shown.split()).replace('"', "'") == ", ".join(parts), name


def test_columns_named_on_the_page_are_there(scope):
    usage, sizes, plans = scope["usage"], scope["sizes"], scope["plans"]
    for name in ("time", "component", "pod", "container", "periods", "throttled_periods"):
        assert name in usage.columns
    for resource in ("cpu", "memory"):
        for name in re.findall(r"`(_[a-z0-9_]+)`", PAGE.split("## What each")[1].split("## A ")[0]):
            assert f"{resource}{name}" in sizes.columns
    for name in ("packed_nodes", "optimality_gap", "promised_nodes", "binding", "unplaced_pods"):
        assert name in plans.columns
    assert scope["bill"].columns.tolist() == ["line", "low", "usd", "high", "source", "note"]
    assert pd.api.types.is_float_dtype(scope["mesh"].allocation()["usd"])


def test_errors_named_on_the_page_exist():
    for name in re.findall(r"`(?:rightsize\.errors\.)?(\w+Error)`", PAGE):
        assert issubclass(getattr(errors, name), errors.RightsizeError)
