"""docs/patching.md names every path, annotation, kind and wrapper that the code knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.files.charts import CHARTS
from rightsize.files.classify import WRAPPERS
from rightsize.files.source import MAX_BYTES
from rightsize.files.tree import dotted
from rightsize.patch.kustomize import FOLDER
from rightsize.patch.manifests import ANNOTATIONS, CONTAINERS, POD_TEMPLATES
from rightsize.patch.paths import BLOCKS, BOUNDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "patching.md").read_text()
NAMES = [
    *(dotted(path) for path in BLOCKS.values()),
    *(dotted(path) for bounds in BOUNDS.values() for path in bounds.values()),
    *ANNOTATIONS.values(),
    *POD_TEMPLATES,
    *CONTAINERS.values(),
    *WRAPPERS,
    *(chart for chart in CHARTS),
    str(FOLDER),
    f"{MAX_BYTES // 2**20} MiB",
]


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_the_page_names_it(name: str) -> None:
    assert name in PAGE
