"""`python -m rightsize`."""

from rightsize.cli import run

run()
