"""Growth against its marks: drawn from the outlook alone, with its source."""

from __future__ import annotations

import pytest

from rightsize.errors import NoDataError
from rightsize.istiod.thresholds import Outlook, outlook
from rightsize.output.charts.control_plane import growth_with_thresholds
from tests.istiod.synthetic_istiod import Mesh, hours_of


@pytest.fixture(scope="module")
def ahead() -> Outlook:
    return outlook(hours_of(Mesh(hours=30 * 24, growth=0.3)), None)


def texts(axes) -> str:
    return " | ".join(text.get_text() for text in axes.texts)


def test_the_mark_that_will_be_passed_is_drawn_with_its_date(ahead):
    axes = growth_with_thresholds(ahead, cluster="prod", simulated=False)
    assert f"1,000 services: expected {ahead.crossings[0].expected}" in texts(axes)
    assert axes.get_ylabel() == "services"
    source = axes.get_figure().get_supxlabel()
    assert "cluster prod, fitted on 30 days" in source


def test_simulated_figures_say_so(ahead):
    axes = growth_with_thresholds(ahead, quantity="proxies", cluster="x", simulated=True)
    assert "simulated demo mesh" in axes.get_figure().get_supxlabel()


def test_without_growth_there_is_no_chart():
    with pytest.raises(NoDataError, match="growth of services is not known"):
        growth_with_thresholds(Outlook((), (), ()), cluster="x", simulated=False)
