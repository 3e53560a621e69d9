"""Figures on the pages of the control plane are those of the code."""

from __future__ import annotations

from pathlib import Path

from rightsize.istiod import pilot_settings, published
from rightsize.istiod.propagation import SLOW_SECONDS
from rightsize.istiod.replicas import ASSUMED_CPU_BURST, ASSUMED_MEMORY_START
from rightsize.namespaces.destination_rules import CONNECT_TIMEOUT_SECONDS, HEADROOM
from rightsize.namespaces.export import EXPORT

DOCS = Path(__file__).parents[2] / "docs"


def block(page: str, name: str) -> list[str]:
    text = (DOCS / page).read_text()
    return text.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0].splitlines()


def test_the_settings_are_those_of_the_code():
    known = (
        pilot_settings.PUSH_THROTTLE, pilot_settings.DEBOUNCE_AFTER, pilot_settings.DEBOUNCE_MAX,
    )  # fmt: skip
    rows = [f"| `{s.name}` | {s.since} | {s.default} | {s.effect} |" for s in known]
    assert block("control-plane.md", "settings")[2:] == rows


def test_the_published_figures_are_those_of_the_code():
    known = (published.SIDECAR, published.WAYPOINT, published.ZTUNNEL, published.ISTIOD)
    assert block("control-plane.md", "published") == [f"- {figure.text}" for figure in known]


def test_the_constants_are_those_of_the_code():
    page = (DOCS / "control-plane.md").read_text()
    assert f"above {SLOW_SECONDS:g} s" in page
    assert f"{ASSUMED_MEMORY_START:g} (memory of a start)" in page
    assert f"{ASSUMED_CPU_BURST:g} (CPU of a burst)" in page
    scope = (DOCS / "scope.md").read_text()
    assert f"`connectTimeout` is {CONNECT_TIMEOUT_SECONDS} s" in scope
    assert f"{EXPORT}\n" in scope
    assert HEADROOM == 4.0
    assert "four times for what hourly means" in scope
