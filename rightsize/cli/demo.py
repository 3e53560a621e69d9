"""`rightsize demo`: the main job on the demo mesh, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.patching import PatchOptions, patched, write_and_show
from rightsize.cli.recommend import advice_answer, computed
from rightsize.output.console import error_console
from rightsize.output.tables import show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the patched file and the chart.")
    ] = Path("rightsize-out"),
) -> None:
    """Run the main job on a simulated mesh: no server and no AWS account are needed.

    Ends with the recommendation table, the diff of a values file, the patched file and a chart.

    **Example**

    `rightsize demo -o /tmp/look`
    """
    from rightsize.config import load_settings
    from rightsize.data_files import data_file
    from rightsize.demo import demo_snapshot
    from rightsize.output.charts import image
    from rightsize.output.charts.usage import request_against_usage
    from rightsize.snapshot import Snapshot

    messages = error_console()
    messages.print("The demo mesh is simulated: no figure of it was measured.")
    with messages.status("Making the demo mesh (first use only)"):
        snapshot = Snapshot(demo_snapshot())
    advice = computed(snapshot, load_settings())
    show(advice_answer(advice), "table")
    options = PatchOptions(chart="istiod", istio_version=snapshot.manifest.istio_version, out=out)
    files = patched(advice, [data_file("demo-values.yaml")], options)
    chart = {"request-against-usage.png": image(request_against_usage(advice))}
    write_and_show(files, options, diff_on_stdout=True, beside=chart)
    messages.print(f"Chart: {out / next(iter(chart))}", markup=False)
