"""What every test starts from."""

from __future__ import annotations

import os

# The readline library that pytest loads tells child processes a terminal of 80 columns; tables in a
# pipe are wide unless their user says otherwise.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
    os.unsetenv(name)

# Tests run side by side already: a command computes in one process, but where two are what is tested.
os.environ["PYTHON_CPU_COUNT"] = "1"
