"""Tables on narrow terminals: whole figures, whole words, and no line beyond the width."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from rightsize.output.fitting import fitted

HEADERS = ("policy", "CPU unused, %", "memory above request, %", "why")


def table(rows: list[tuple[str, str, str, str]]) -> Table:
    made = Table(title="Back-test")
    for header in HEADERS:
        made.add_column(header, justify="left" if header in ("policy", "why") else "right")
    for row in rows:
        made.add_row(*row)
    return made


def lines(made: Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(fitted(made, width))
    return console.file.getvalue().splitlines()


ROWS = [
    ("balanced", "81.2", "1,234.5", "p95 of the busiest hours and a margin"),
    ("krr", "69.9", "–", "p99 of the past"),
]


def test_a_wide_terminal_shows_a_table_as_it_is():
    found = lines(table(ROWS), 120)
    assert "memory above request, %" in found[2]
    assert "p95 of the busiest hours and a margin" in found[4]


def test_a_narrower_one_wraps_headers_and_sentences_but_no_figure():
    found = "\n".join(lines(table(ROWS), 60))
    assert "┃" in found
    assert "1,234.5" in found
    assert "balanced" in found
    assert "…" not in found


def test_the_narrowest_shows_entries_instead():
    found = lines(table(ROWS), 40)
    assert found[0] == "Back-test"
    assert found[1] == "balanced"
    assert "  CPU unused, % 81.2" in found[2]


words = st.text("abcxyz", min_size=1, max_size=9)
figures = st.integers(0, 10**9).map(lambda n: f"{n:,}")
rows = st.lists(
    st.tuples(words, figures, figures, st.lists(words, max_size=9).map(" ".join)),
    min_size=1,
    max_size=5,
)


@given(rows, st.integers(30, 200))
def test_no_line_is_wider_than_the_terminal_and_every_figure_is_whole(rows, width):
    found = lines(table(rows), width)
    assert max(len(line) for line in found) <= width
    text = "\n".join(found)
    for row in rows:
        assert row[1] in text
        assert row[2] in text
