"""docs/policies.md says what the profiles are."""

from __future__ import annotations

from pathlib import Path

from rightsize.sizing.profiles import baselines, policy_named, profiles, promises

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"


def profiles_table() -> str:
    heads = ["", *profiles()]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for text, name in (
        ("promise: CPU windows above the request", "cpu_above"),
        ("promise: 7-day windows with memory above the limit", "memory_hit"),
    ):
        lines.append(
            _row(text, [f"{getattr(promise, name):.0%}" for promise in promises().values()])
        )
    for name in sorted(policy_named("balanced").get_params()):
        values = [f"{policy_named(p).get_params()[name]:g}" for p in profiles()]
        lines.append(_row(f"`{name}`", values))
    return "\n".join(lines)


def _row(text: str, values: list[str]) -> str:
    return "| " + " | ".join([text, *values]) + " |"


def test_the_page_lists_every_parameter_and_promise_of_the_profiles():
    start, end = "<!-- profiles -->\n", "\n<!-- end -->"
    written = PAGE.read_text().split(start)[1].split(end)[0]
    assert written == profiles_table()


def test_the_page_names_every_baseline():
    for name in baselines():
        assert f"| `{name}` |" in PAGE.read_text()
