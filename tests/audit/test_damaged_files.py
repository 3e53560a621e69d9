"""Whatever is done to a file, the audit ends with findings or a problem, never with a traceback."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files

HERE = Path(__file__).parent
FILES = sorted([*(HERE / "planted").iterdir(), *(HERE / "healthy").iterdir()])
DAMAGE = st.sampled_from(["", "x: [", "- 1", "{}", "a: &a *a", "}", "'", "\t", ": :", "---", "```"])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from(FILES), line=st.integers(0, 60), cut=st.booleans(), text=DAMAGE)
def test_a_damaged_file_is_read_or_reported_as_a_problem(tmp_path, path, line, cut, text):
    lines = path.read_text().splitlines()
    at = line % len(lines)
    damaged = [*lines[:at], text, *([] if cut else lines[at + 1 :])]
    target = tmp_path / path.name
    target.write_text("\n".join(damaged))
    result = audit(read_files([target]), now=datetime(2026, 1, 1, tzinfo=UTC), complete=True)
    length = len(target.read_text().splitlines()) + 1
    assert all(1 <= finding.place.line <= length for finding in result.findings)
    assert all(problem.line is None or problem.line <= length for problem in result.problems)


def test_an_anchor_used_again_is_no_complaint(tmp_path, recwarn):
    path = tmp_path / "values.yaml"
    path.write_text("pilot: &a {autoscaleMin: 2}\nglobal: &a {meshID: x}\n")
    assert not audit(read_files([path]), now=datetime(2026, 1, 1, tzinfo=UTC)).problems
    assert not recwarn.list
