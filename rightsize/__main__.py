"""`python -m rightsize`."""

from rightsize.cli import run

# Processes that a command starts import this module, too.
if __name__ == "__main__":
    run()
