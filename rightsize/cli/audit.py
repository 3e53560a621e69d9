"""`rightsize audit`: what Istio ignores, refuses or suffers from in the files of a mesh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.audit.model import Severity
from rightsize.cli.kube_options import OpenCluster, say_missing, with_cluster
from rightsize.cli.options import FindingsFormatOption
from rightsize.errors import AmbiguousChartError, FindingsError, InputFileError, UsageError
from rightsize.output.console import error_console, progress_bar
from rightsize.output.tables import Answer, show

if TYPE_CHECKING:
    from rightsize.audit.audit import AuditResult
    from rightsize.audit.model import Finding, Problem
    from rightsize.collectors.kube import Cluster
    from rightsize.files.chart_metadata import Chart
    from rightsize.files.known import Version

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
@with_cluster
def audit(
    open_cluster: OpenCluster,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Values, IstioOperators, manifests, Corefiles, scripts, Markdown."),
    ] = None,
    istio_version: Annotated[
        str | None, typer.Option(help="Istio's release, where the files do not state it.")
    ] = None,
    chart: Annotated[
        str | None,
        typer.Option(help="Chart of the values files: istiod, gateway, ztunnel, cni or base."),
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="The files are everything: absence is a finding.")
    ] = False,
    snapshot: Annotated[
        Path | None, typer.Option(help="Snapshot folder: adds what was measured.")
    ] = None,
    fail_on: Annotated[
        Severity | None, typer.Option(help="End with exit code 11 for findings this bad or worse.")
    ] = None,
    output_format: FindingsFormatOption = "table",
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Audit anew. Files that did not change are found else."),
    ] = False,
) -> None:
    """Find settings that Istio ignores or refuses, and those that hurt, in files and runbooks.

    Nothing is read but the files, and a cluster where one is named; nothing is changed.

    **Examples**

    `rightsize audit values.yaml` – one values file

    `rightsize audit deploy/ runbook.md --istio-version 1.24 --complete`

    `rightsize audit deploy/ --fail-on error --format json`

    `rightsize audit --kube-context prod` – what runs: workloads, Istio's objects, the MeshConfig

    `rightsize audit deploy/ --format sarif > audit.sarif` – for code scanning
    """
    cluster = open_cluster()
    if not files and cluster is None:
        raise UsageError("nothing to audit", hint="give files or folders, or --kube-context")
    asked = _Asked(tuple(files or ()), release_of(istio_version), _chart(chart), complete)
    now = datetime.now(tz=UTC)
    if cluster is None and snapshot is None and not no_cache:
        from rightsize.audit.kept_audit import kept_audit

        options = (asked.version, asked.chart, complete)
        result = kept_audit(asked.files, options, now, lambda: _audited(asked, now))
    else:
        objects = () if cluster is None else running(cluster)
        result = _audited(asked, now, objects, snapshot)
    show(_answer(result), output_format)
    if result.stranger is not None and not result.findings:
        raise AmbiguousChartError(
            "nothing proves that these values are Istio's, nor which chart they are for",
            path=Path(result.stranger),
            hint="Say --chart istiod|gateway|ztunnel|cni, or keep the file beside its Chart.yaml.",
        )
    _end(result, fail_on)


@dataclass(frozen=True)
class _Asked:
    """Files, and how they are read."""

    files: tuple[Path, ...]
    version: Version | None
    chart: Chart | None
    complete: bool


def _audited(
    asked: _Asked,
    now: datetime,
    objects: Iterable[tuple[str, Mapping[str, object]]] = (),
    snapshot: Path | None = None,
) -> AuditResult:
    """Read the files with a progress bar, and run every rule."""
    from rightsize.audit.audit import audit as run_audit
    from rightsize.audit.reading import read_files

    with progress_bar() as bar:
        task = bar.add_task("Reading files", total=None)
        sources = read_files(
            asked.files,
            version=asked.version,
            chart=asked.chart,
            objects=objects,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    measured: tuple[Finding, ...] = ()
    if snapshot is not None:
        from rightsize.audit.measured import measured_findings
        from rightsize.snapshot.stored import open_at

        measured, measured_notes = measured_findings(open_at(snapshot), now=now)
        sources.notes += measured_notes
    return run_audit(sources, now=now, complete=asked.complete, measured=measured)


def running(cluster: Cluster) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each object with a name that says where it is: `prod/shop:Deployment:web`."""
    from rightsize.collectors.kube import audited_objects

    read = audited_objects(cluster)
    say_missing(read.missing)
    for one in read.objects:
        about = one["metadata"]
        words = (about.get("namespace"), one["kind"], about["name"])
        # One folder, as it were: what is in one cluster is applied together.
        yield f"{cluster.name}/{':'.join(str(word) for word in words if word)}", one


def _answer(result: AuditResult) -> Answer:
    from rightsize.output.audit_rows import audit_markdown, audit_table, audit_to_dict, finding_rows

    return Answer(
        document=lambda: audit_to_dict(result),
        parts=lambda: audit_table(result),
        rows=lambda: finding_rows(result),
        markdown=lambda: audit_markdown(result),
        findings=lambda: result,
    )


def _end(result: AuditResult, fail_on: Severity | None) -> None:
    """Say what could not be read, and end with the exit code."""
    for problem in result.problems[:-1]:
        error_console().print(f"rightsize: {_as_error(problem)}", markup=False)
    if result.problems:
        raise _as_error(result.problems[-1])
    if fail_on is None:
        return
    found = result.at_least(fail_on)
    if found:
        raise FindingsError(
            f"{len(found)} findings of severity {fail_on} or worse",
            hint="each finding above says what to write instead",
        )


def _as_error(problem: Problem) -> InputFileError:
    return InputFileError(
        problem.text, path=problem.file, line=problem.line, column=problem.column, hint=problem.hint
    )


def release_of(text: str | None) -> Version | None:
    from rightsize.files.known import parse_version

    found = parse_version(text)
    if text is not None and found is None:
        raise UsageError(f"--istio-version {text}: not a release", hint="Say 1.24.")
    return found


def _chart(text: str | None) -> Chart | None:
    from rightsize.files.chart_metadata import CHART_NAMES

    if text is not None and text not in CHART_NAMES:
        raise UsageError(
            f"--chart {text}: not a chart of Istio's", hint="istiod, gateway, ztunnel, cni or base"
        )
    return None if text is None else CHART_NAMES[text]
