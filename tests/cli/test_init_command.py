"""`rightsize init`: a settings file that changes nothing but what was found out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from rightsize.cli.init import app
from rightsize.config import Settings, load_settings
from rightsize.errors import UsageError
from rightsize.output.settings_text import settings_text
from rightsize.snapshot.manifest import Manifest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    return tmp_path


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_without_anything_found_every_setting_stays_as_it_was(folder):
    assert run().stdout == "rightsize.toml\n"
    assert load_settings(folder / "rightsize.toml", environment={}) == Settings()


def test_every_setting_is_there_with_its_meaning():
    text = settings_text({})
    for section, field in Settings.model_fields.items():
        assert f"\n[{section}]\n" in text
        for name, item in field.annotation.model_fields.items():
            assert f"\n# {name} = " in text
            assert (item.description or "").split("\n")[0] in text


def test_the_defaults_that_are_shown_are_the_defaults(folder):
    shown = re.sub(r"(?m)^# (\w+ = )(?!\.\.\.)", r"\1", settings_text({}))
    file = folder / "shown.toml"
    file.write_text(shown)
    assert load_settings(file, environment={}) == Settings()


def test_the_metrics_server_is_found_in_the_environment(folder, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_URL", "http://prometheus:9090")
    assert "prometheus.url from PROMETHEUS_URL" in run().stderr
    written = tomllib.loads((folder / "rightsize.toml").read_text())
    assert written["prometheus"] == {"url": ["http://prometheus:9090"]}


@pytest.mark.parametrize("url", ["http://me:s3cret@prometheus", "prometheus", "http://a\x1b[2J"])
def test_an_address_with_a_password_or_that_is_none_is_not_written(folder, monkeypatch, url):
    monkeypatch.setenv("PROMETHEUS_URL", url)
    assert run().exit_code == 0
    assert "s3cret" not in (folder / "rightsize.toml").read_text()
    assert load_settings(folder / "rightsize.toml", environment={}) == Settings()


def test_a_file_that_is_there_is_kept(folder):
    (folder / "rightsize.toml").write_text("[policy]\nmin_days = 3\n")
    assert isinstance(run().exception, UsageError)
    assert (folder / "rightsize.toml").read_text() == "[policy]\nmin_days = 3\n"


def collected_with(folder: Path, monkeypatch, **facts: str) -> None:
    monkeypatch.setattr("rightsize.snapshot.store.newest_snapshot", lambda _: folder / "s")
    about = Manifest(cluster="c", source="prometheus", simulated=False, facts=facts)
    monkeypatch.setattr("rightsize.snapshot.Snapshot", lambda _: SimpleNamespace(manifest=about))


def test_a_server_behind_a_clusters_api_server_is_no_address(folder, monkeypatch):
    collected_with(folder, monkeypatch, servers="monitoring/prometheus through prod")
    assert run().exit_code == 0
    assert load_settings(folder / "rightsize.toml", environment={}) == Settings()


def test_a_mesh_of_a_store_of_many_keeps_its_matchers(folder, monkeypatch):
    collected_with(folder, monkeypatch, servers="https://thanos", matchers="cluster=prod, a=~b")
    assert run().exit_code == 0
    found = load_settings(folder / "rightsize.toml", environment={}).prometheus
    assert (found.url, found.matchers) == (("https://thanos",), ("cluster=prod", "a=~b"))
