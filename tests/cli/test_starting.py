"""Commands start fast: help needs none of the libraries that take long to load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rightsize.cli import COMMANDS

HEAVY = ("pandas", "matplotlib", "numpy", "scipy", "sklearn", "pyarrow", "boto3", "requests")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_heavy(command):
    words = [word for word in ("rightsize", command, "--help") if word]
    code = (
        f"import sys; sys.argv = {words}\n"
        "from rightsize.cli import run\n"
        "try: run()\n"
        f"finally: print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert ran.stderr.strip() == "[]"
