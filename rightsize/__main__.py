"""`python -m rightsize`, and the `rightsize` command."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is still being imported ends like any other."""
    try:
        from rightsize.cli import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


# Processes that a command starts import this module, too.
if __name__ == "__main__":
    main()
