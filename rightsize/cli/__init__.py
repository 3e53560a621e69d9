"""The command line: each module here parses one command, calls one function, and prints.

Data goes to stdout, everything else to stderr. A `RightsizeError` becomes one message and its
exit code; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

import rightsize
from rightsize.border import no_room, printable_lines
from rightsize.cli.streams import end_on_signals, gated_streams
from rightsize.errors import RightsizeError, UsageError
from rightsize.output.console import error_console
from rightsize.secrets import guarded

COMMANDS: tuple[str, ...] = (
    "init",
    "collect",
    "doctor",
    "check",
    "prices",
    "recommend",
    "pull-request",
    "explain",
    "backtest",
    "nodes",
    "cost",
    "control-plane",
    "scope",
    "shards",
    "simulate",
    "ambient",
    "proxies",
    "dns",
    "report",
    "plan",
    "alerts",
    "dashboard",
    "audit",
    "runbook",
    "verify",
    "canary",
    "fleet",
    "demo",
)
"""In the order of the work: collect, analyse, report."""

_OF_REPORT = {"matplotlib": "charts", "xlsxwriter": "the workbook", "jinja2": "the page"}
"""What `requirements/slim.txt` leaves out, and what it makes."""


class _Commands(TyperGroup):
    """Imports a command's module only when that command runs, so that each starts fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"No such command: {args[0]}.{meant}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Of a wrong option or word: a panel breaks lines, and a secret could be in two of them.
            if isinstance(getattr(error, "message", None), str):
                vars(error)["message"] = guarded(error.message)  # type: ignore[attr-defined]
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"rightsize.cli.{cmd_name.replace('-', '_')}")
        command: Any = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _show_version(show: bool) -> None:
    if show:
        typer.echo(f"rightsize {rightsize.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Right-size the proxies and control plane of an Istio mesh on Amazon EKS.

    Reads Prometheus, AWS prices and your values files; writes patched values, node plans, the
    dollars they save, and the evidence for each figure. Nothing in the cluster is changed.
    """


def run() -> None:
    """Entry point of the `rightsize` command."""
    end_on_signals()
    with gated_streams():
        sys.exit(_run())


def _run() -> int:
    try:
        try:
            app(prog_name="rightsize")
        except ModuleNotFoundError as error:
            raise _not_installed(error) from error
        finally:
            sys.stdout.flush()
    except RightsizeError as error:
        return _said(error)
    except Exception as error:
        full = no_room(error) if isinstance(error, OSError) else None
        if full is not None:
            return _said(full)
        # A bug: its traceback passes the gate as well.
        traceback.print_exc()
        return 1
    return 0


def _said(error: RightsizeError) -> int:
    message = Text.assemble(("rightsize:", "bold red"), " ", printable_lines(str(error)))
    error_console().print(message, soft_wrap=True)
    return error.exit_code


def _not_installed(error: ModuleNotFoundError) -> Exception:
    """The error of a slim install that was asked for charts or a report; any other is a bug."""
    name = (error.name or "").partition(".")[0]
    if name not in _OF_REPORT:
        return error
    return UsageError(
        f"{name} is not installed, which makes {_OF_REPORT[name]}", hint=f"pip install {name}"
    )
