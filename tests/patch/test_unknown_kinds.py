"""A workload of a kind that is not known here gets no patch that its resource would refuse."""

from __future__ import annotations

import pytest

from rightsize.patch.kustomize import by_hand, kustomize_folder
from rightsize.patch.manifests import POD_TEMPLATES
from rightsize.patch.model import SizeChange
from rightsize.results import Sizes


def sidecar(kind: str | None) -> SizeChange:
    return SizeChange("sidecar", "shop", "web", kind, Sizes(0.1, 1.0, 2**27, 2**28))


@pytest.mark.parametrize("kind", ["CloneSet", "StrimziPodSet", "SparkApplication", "Configuration"])
def test_an_unknown_kind_gets_the_lines_for_its_pod_template(kind):
    assert kustomize_folder([sidecar(kind)]) == []
    text = by_hand(sidecar(kind))
    assert f"kind {kind}" in text
    assert text.count("sidecar.istio.io/") == 4


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_what_is_settled_once_it_is_there_gets_the_lines_for_the_next_one(kind):
    assert kustomize_folder([sidecar(kind)]) == []
    text = by_hand(sidecar(kind))
    assert f"no patch changes a {kind} that is there" in text
    assert text.count("sidecar.istio.io/") == 4


@pytest.mark.parametrize("kind", [kind for kind in POD_TEMPLATES if kind not in ("Job", "Pod")])
def test_a_known_kind_gets_its_patch(kind):
    assert by_hand(sidecar(kind)) is None
    assert len(kustomize_folder([sidecar(kind)])) == 2


def test_a_workload_of_which_no_kind_is_known_is_taken_for_none():
    assert kustomize_folder([sidecar(None)]) == []
    assert "a workload of unknown kind: put into its pod template" in by_hand(sidecar(None))
