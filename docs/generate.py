"""Writes the pages of `docs/` that come from the code: `python docs/generate.py`.

A test runs it and fails when a page differs from what is committed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic_core import PydanticUndefined

import rightsize.collectors.errors  # noqa: F401  (its error classes are listed)
from rightsize.audit.measured import MEASURED_RULES
from rightsize.audit.registry import all_rules
from rightsize.cli import COMMANDS, app
from rightsize.collectors.kube import cluster_role, prometheus_role
from rightsize.config import Settings
from rightsize.demo import demo_snapshot
from rightsize.errors import RightsizeError
from rightsize.files.yaml_text import data_yaml
from rightsize.output.charts import save
from rightsize.output.charts.usage import request_against_usage
from rightsize.recommend import recommend
from rightsize.snapshot import SCHEMA_VERSION, TABLES, Snapshot

DOCS = Path(__file__).parent


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    return {
        "snapshot.md": snapshot_page(),
        "exit-codes.md": exit_codes_page(),
        "settings.md": settings_page(),
        "cli.md": cli_page(),
        "audit.md": audit_page(),
        "cluster-role.yaml": cluster_role_file(),
        "cluster-role-prometheus.yaml": prometheus_role_file(),
        "../deploy/chart/files/rules.yaml": chart_rules_file(),
    }


def prometheus_role_file() -> str:
    """What reaching Prometheus through the API server needs; narrower by `resourceNames`."""
    head = (
        "# What --prometheus needs beside cluster-role.yaml. The second rule may be a Role in the\n"
        "# namespace of the metrics server, with its Service in resourceNames.\n"
    )
    return head + data_yaml(prometheus_role())


def cluster_role_file() -> str:
    """What reading a cluster needs, for `kubectl apply -f`."""
    head = (
        "# What --kube-context needs: kubectl apply -f, then bind it to the account that reads.\n"
    )
    return head + data_yaml(cluster_role())


def chart_rules_file() -> str:
    """The same calls, for the chart's own ClusterRole."""
    head = "# Generated: python docs/generate.py\n"
    return head + data_yaml(cluster_role()["rules"])


def audit_page() -> str:
    """`audit.head.md`, then a table of every rule."""
    lines = (DOCS / "audit.head.md").read_text().rstrip("\n").splitlines()
    for group in dict.fromkeys(rule.group for rule in all_rules()):
        lines += ["", f"### {group.replace('_', ' ').capitalize()}", ""]
        lines += ["| rule | severity | finds | why |", "|---|---|---|---|"]
        lines += [
            f"| `{rule.id}` | {rule.severity} | {rule.title} | {rule.why} ({rule.versions}) |"
            for rule in all_rules()
            if rule.group == group
        ]
    lines += ["", "### Measured, with `--snapshot`", ""]
    lines += ["| rule | severity | finds |", "|---|---|---|"]
    lines += [f"| `{name}` | {severity} | {title} |" for name, severity, title in MEASURED_RULES]
    return "\n".join(lines) + "\n"


def snapshot_page() -> str:
    lines = [
        "# The snapshot",
        "",
        f"Schema version {SCHEMA_VERSION}. A snapshot is a folder: one Parquet file for each",
        "table and UTC day, and `manifest.json`, which says where it comes from, which days are",
        "whole and what the source did not have. A day counts once the manifest names it, with the",
        "SHA-256 of each of its files: a file that is not the one written is an error on reading, and",
        "`rightsize check FOLDER` lists all of them. A day's new files are on the disk before the",
        "manifest names them, and take the old ones' place after that, so a day is always the old one",
        "or the new one as a whole.",
        "",
        "`summaries` is made from `usage` when a whole day is written; older snapshots get theirs on",
        "first use. The manifest's `summary_of` says of which `usage` and in which layout: a summary",
        "of other usage, one that is damaged, or none at all is made anew, in memory where the folder",
        "cannot be written. Sizes come from summaries; windows are read for charts, back-tests,",
        "`explain`, and policies that need them (`krr`, `vpa`, `autopilot`, a user's own).",
        "",
        "`.answers` holds what was computed: `recommend`, `nodes`, `plan` and `report` share it. An",
        "answer is found by the hashes of the days, the settings, what the given files set, and the",
        "program with its prices and libraries, so that none can be stale; it counts on the machine and",
        "for the user that made it alone. It can be removed at any time; `--no-cache` does without.",
        "",
        "A file that unpacks to more than 128 MiB and 200 times its size is damaged (5), whatever its",
        "footer says: the columns that are asked for are counted by the headers of their pages before a",
        "byte is unpacked. Of a table that a store gives in parts (above 512 KiB) the footer counts.",
        "",
        "```python",
        "import pandas as pd",
        "",
        'usage = pd.read_parquet("snapshots/prod/usage")',
        "```",
        "",
        "A window belongs to the day in which it ends; midnight belongs to the day before it. Null",
        "means unknown or not set, never zero.",
    ]
    for table in TABLES.values():
        lines += ["", f"## `{table.name}`", "", f"{table.text} Grain: {table.grain}. "]
        lines[-1] += f"A row is named by {', '.join(f'`{k}`' for k in table.key)}."
        lines += ["", "| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{c.name}` | {_type(str(c.type))} | {c.unit} | {c.text} |" for c in table.columns
        ]
    return "\n".join(lines) + "\n"


def _type(text: str) -> str:
    return "text" if "dictionary" in text or text == "string" else text


def exit_codes_page() -> str:
    rows = {
        0: ("", "success, also where the reader of stdout went away (`| head`)"),
        1: ("", "a bug in rightsize, shown with its traceback"),
        129: ("", "ended by SIGHUP: the terminal went away; unfinished files are removed"),
        130: ("", "interrupted with Ctrl-C"),
        143: ("", "ended by SIGTERM; unfinished files are removed"),
    }
    for error in _subclasses(RightsizeError):
        if "exit_code" in vars(error) and error.exit_code != 1:
            text = " ".join((error.__doc__ or "").strip().split("\n\n")[0].split())
            rows[error.exit_code] = (f"`{error.__name__}`", text)
    lines = [
        "# Exit codes",
        "",
        "Stable across releases. Every code but 1 comes with one message on stderr that says what",
        "was wrong, where, and what to do next.",
        "",
        "| code | error | meaning |",
        "|---|---|---|",
        *(f"| {code} | {name} | {text} |" for code, (name, text) in sorted(rows.items())),
    ]
    return "\n".join(lines) + "\n"


def _subclasses(kind: type[RightsizeError]) -> Iterator[type[RightsizeError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        "From `rightsize.toml` in the current folder (or `--config FILE`), then the environment",
        "(`RIGHTSIZE_<SECTION>_<NAME>`), then flags; the later one wins. `rightsize init` writes a file",
        "with all of them as comments.",
    ]
    for section, field in Settings.model_fields.items():
        model: Any = field.annotation
        lines += ["", f"## `[{section}]`", "", (model.__doc__ or "").strip().split("\n")[0]]
        lines += ["", "| name | default | meaning |", "|---|---|---|"]
        for name, item in model.model_fields.items():
            default = item.default
            if default is PydanticUndefined:
                default = item.default_factory() if item.default_factory else "required"
            shown = "not set" if default in (None, "") else f"`{default}`"
            lines.append(f"| `{name}` | {shown} | {item.description or ''} |")
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    lines = [
        "# Commands",
        "",
        "Every command takes `--help`. Data goes to stdout, messages to stderr.",
    ]
    group: Any = typer.main.get_command(app)
    for name in COMMANDS:
        lines += _command_lines(f"rightsize {name}", group.get_command(None, name), "##")
    return "\n".join(lines) + "\n"


def _command_lines(name: str, command: Any, level: str) -> list[str]:
    lines = ["", f"{level} `{name}`", "", _dedented(command.help or "")]
    parameters = [one for one in command.params if one.name != "help"]
    if parameters:
        lines += ["", "| option | meaning |", "|---|---|"]
    for parameter in parameters:
        flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            flags = f"`{parameter.name.upper()}`"
        text = (getattr(parameter, "help", "") or "").replace("|", "\\|")
        lines.append(f"| {flags} | {' '.join(text.split())} |")
    for part, inner in getattr(command, "commands", {}).items():
        lines += _command_lines(f"{name} {part}", inner, f"{level}#")
    return lines


def _dedented(text: str) -> str:
    return re.sub(r"[ \t]+\n", "\n", re.sub(r"\n[ \t]+", "\n", text.strip()))


def draw_pictures(folder: Path) -> None:
    """The README's picture, as `rightsize demo` draws it."""
    advice = recommend(Snapshot(demo_snapshot()))
    save(request_against_usage(advice), folder / "request-against-usage.png")


def main() -> None:
    draw_pictures(DOCS / "pictures")
    changed = [name for name, text in pages().items() if _write(DOCS / name, text)]
    sys.stderr.write(f"rewritten: {', '.join(changed) or 'nothing'}\n")


def _write(path: Path, text: str) -> bool:
    if path.exists() and path.read_text() == text:
        return False
    path.write_text(text)
    return True


if __name__ == "__main__":
    main()
