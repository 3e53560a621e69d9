"""Without what only charts and the report need, every other command works, and these say what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rightsize.errors import UsageError
from tests.tiny_mesh import Tiny, tiny_snapshot

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements"
WITHOUT = ("matplotlib", "xlsxwriter", "jinja2")
# A name that is None among the modules cannot be imported.
CODE = f"""
import sys
sys.modules.update(dict.fromkeys({WITHOUT!r}))
from rightsize.cli import run
run()
"""
SNAPSHOT = ("--snapshot", "snapshot")
ENOUGH = [
    ("recommend", *SNAPSHOT),
    ("recommend", *SNAPSHOT, "-f", "values.yaml", "--format", "markdown", "--fail-if-change"),
    ("alerts", *SNAPSHOT),
    ("dashboard", *SNAPSHOT),
    ("audit", "values.yaml"),
    ("check", "snapshot"),
    ("nodes", *SNAPSHOT, "--time-limit", "0.1"),
    ("cost", *SNAPSHOT, "--time-limit", "0.1"),
    ("backtest", *SNAPSHOT, "--train-days", "2", "--test-days", "1"),
    ("plan", *SNAPSHOT),
    ("init",),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("slim")
    tiny_snapshot(folder / "snapshot", Tiny(), Tiny(workload="api"))
    (folder / "values.yaml").write_text("global:\n  proxy:\n    resources: {}\n")
    return folder


def slim(work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, *words]
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ENOUGH, ids=lambda words: " ".join(words[:1]))
def test_a_command_works_without_them(work, words):
    done = slim(work, *words)
    assert "is not installed" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 10), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("report", *SNAPSHOT),
        ("explain", "shop/web", *SNAPSHOT),
        ("backtest", *SNAPSHOT, "--train-days", "2", "--test-days", "1", "--chart", "x.svg"),
    ],
)
def test_a_chart_or_a_report_names_what_is_missing(work, words):
    done = slim(work, *words)
    assert done.returncode == UsageError.exit_code
    assert re.search(r"(matplotlib|jinja2|xlsxwriter) is not installed, which makes ", done.stderr)
    assert "Next: pip install" in done.stderr


def test_the_slim_pins_are_the_others():
    run, slim_pins = (
        set(re.findall(r"^([\w.-]+)==(\S+)", (PINS / name).read_text(), flags=re.M))
        for name in ("run.txt", "slim.txt")
    )
    assert slim_pins < run
    left = {name for name, _ in run - slim_pins}
    assert left >= {*WITHOUT, "pillow", "fonttools"}
    assert not left & {"pandas", "numpy", "scikit-learn", "boto3", "prometheus-api-client"}
