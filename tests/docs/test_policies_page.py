"""docs/policies.md says what the profiles are."""

from __future__ import annotations

from pathlib import Path

from rightsize.sizing.policies import BASELINES, PROFILES, PROMISES

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"


def profiles_table() -> str:
    heads = ["", *PROFILES]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for text, name in (
        ("promise: CPU windows above the request", "cpu_above"),
        ("promise: 7-day windows with memory above the limit", "memory_hit"),
    ):
        lines.append(_row(text, [f"{getattr(PROMISES[p], name):.0%}" for p in PROFILES]))
    for name in PROFILES["balanced"].get_params():
        values = [f"{policy.get_params()[name]:g}" for policy in PROFILES.values()]
        lines.append(_row(f"`{name}`", values))
    return "\n".join(lines)


def _row(text: str, values: list[str]) -> str:
    return "| " + " | ".join([text, *values]) + " |"


def test_the_page_lists_every_parameter_and_promise_of_the_profiles():
    start, end = "<!-- profiles -->\n", "\n<!-- end -->"
    written = PAGE.read_text().split(start)[1].split(end)[0]
    assert written == profiles_table()


def test_the_page_names_every_baseline():
    for name in BASELINES:
        assert f"| `{name}` |" in PAGE.read_text()
