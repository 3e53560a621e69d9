"""`rightsize fleet discover` on a real Prometheus that holds three clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.fleet.discover import clusters_in, fleet_text
from rightsize.fleet.fleet_file import read_fleet
from tests.cli.run import rightsize
from tests.fleet.conftest import CLUSTERS

SERVER = PrometheusSettings(url=("https://mimir.example.com",), bearer_token_env="TOKEN")


@pytest.mark.servers
def test_the_file_has_a_cluster_for_each_value_of_the_label(
    fleet_server: str, tmp_path: Path
) -> None:
    given_ = ("fleet", "discover", "--prometheus-url", fleet_server, "--label", "cluster")
    found = rightsize(*given_, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, "fleet.toml\n"), found.stderr
    fleet = read_fleet(tmp_path / "fleet.toml")
    assert tuple(fleet.clusters) == CLUSTERS
    assert fleet.clusters["west"].matchers == ('cluster="west"',)
    again = rightsize(*given_, cwd=tmp_path)
    assert again.returncode == UsageError.exit_code
    assert "is there already" in again.stderr


@pytest.mark.servers
def test_matchers_narrow_what_is_found(fleet_server: str) -> None:
    settings = PrometheusSettings(url=(fleet_server,), matchers=('cluster!="west"',))
    assert clusters_in(settings, "cluster") == ["east", "north"]


@pytest.mark.servers
def test_a_label_that_no_mesh_container_has_is_named(fleet_server: str) -> None:
    with pytest.raises(NoDataError, match="label region"):
        clusters_in(PrometheusSettings(url=(fleet_server,)), "region")
    with pytest.raises(UsageError, match="cannot be a label"):
        clusters_in(PrometheusSettings(url=(fleet_server,)), 'x"}')


@given(values=st.lists(st.text(min_size=1, max_size=300), max_size=5, unique=True))
def test_any_label_value_gives_a_file_that_reads_back(values, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("any") / "fleet.toml"
    text = fleet_text(SERVER, "cluster", [*values, "prod"])
    path.write_text(text, encoding="utf-8")
    fleet = read_fleet(path)
    kept = [value for value in (*values, "prod") if value.isprintable()]
    assert len(fleet.clusters) == len(kept)
    assert fleet.clusters["prod"].prometheus.bearer_token_env == "TOKEN"


@pytest.mark.parametrize(
    "settings",
    [
        SERVER.model_copy(update={"headers": ("X-Key: s3cret",)}),
        SERVER.model_copy(update={"url": ("https://me:s3cret@mimir.example.com",)}),
    ],
)
def test_a_secret_of_the_command_line_is_not_written(settings: PrometheusSettings) -> None:
    with pytest.raises(UsageError, match="holds no secret") as raised:
        fleet_text(settings, "cluster", ["prod"])
    assert "s3cret" not in str(raised.value)
