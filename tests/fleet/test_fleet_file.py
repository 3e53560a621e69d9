"""`fleet.toml`: what is inherited, what is refused, and that it holds no secret."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from rightsize.errors import InputFileError, UsageError
from rightsize.fleet.fleet_file import Fleet, FleetCluster, read_fleet
from rightsize.secrets import blanked

FILE = """
[defaults]
url = "https://mimir.example.com/prometheus"
bearer_token_env = "MIMIR_TOKEN"
region = "eu-west-1"
values = ["base.yaml"]

[clusters.prod]
matchers = ['cluster="prod"']
team = "payments"

[clusters.stage]
url = ["http://one:9090", "http://two:9090"]
username = "reader"
password_env = "STAGE"
team = "platform"
values = ["base.yaml", "stage.yaml"]
"""


def fleet_of(folder: Path, text: str | bytes) -> Fleet:
    path = folder / "fleet.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_fleet(path)


def test_what_a_cluster_does_not_say_comes_from_the_defaults(tmp_path: Path) -> None:
    prod = fleet_of(tmp_path, FILE).clusters["prod"]
    assert prod.prometheus.url == ("https://mimir.example.com/prometheus",)
    assert prod.prometheus.bearer_token_env == "MIMIR_TOKEN"
    assert (prod.region, prod.team) == ("eu-west-1", "payments")
    assert prod.values == (tmp_path / "base.yaml",)


def test_a_cluster_that_says_how_to_sign_in_inherits_no_other_way(tmp_path: Path) -> None:
    stage = fleet_of(tmp_path, FILE).clusters["stage"].prometheus
    assert stage.bearer_token_env is None
    assert (stage.username, stage.password_env) == ("reader", "STAGE")


def test_a_fleet_can_be_cut_to_names_and_to_a_team(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, FILE)
    assert list(fleet.only(["stage"]).clusters) == ["stage"]
    assert list(fleet.only(team="payments").clusters) == ["prod"]
    with pytest.raises(UsageError, match="no cluster 'prd'"):
        fleet.only(["prd"])
    with pytest.raises(UsageError, match="no cluster of team 'x'"):
        fleet.only(team="x")


def test_clusters_of_one_host_share_a_budget_whatever_their_paths(tmp_path: Path) -> None:
    fleet = fleet_of(
        tmp_path,
        """
        [clusters.a]
        url = "https://Mimir.example.com/a"
        in_flight = 4
        [clusters.b]
        url = "https://mimir.example.com/b"
        [clusters.c]
        url = "http://sidecar-of-c:9090"
        budget = "mimir.example.com"
        in_flight = 1
        [clusters.d]
        url = "http://d:9090"
        """,
    )
    assert fleet.in_flight == {"mimir.example.com": 1, "d:9090": 2}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no [clusters.NAME]"),
        ("[clusters", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ("a = " + "9" * 5000, "is not TOML"),
        ("x = 1\n[clusters.a]\nurl='http://a'", "x: only [defaults]"),
        ("[clusters.a]", "clusters.a: no url"),
        ("[clusters]\na = 1", "clusters.a: is no table"),
        ("[clusters.'../../etc']\nurl='http://a'", "clusters.../../etc: a name has"),
        ("[clusters.'a\\u202e']\nurl='http://a'", "a name has"),
        ("[clusters.a]\nurl='http://a'\nmargin = 3", "clusters.a.margin"),
        ("[clusters.a]\nurl='http://a'\nmatchers=['no matcher']", "clusters.a: not a label matcher"),
        ("[clusters.a]\nurl='file:///etc/passwd'", "clusters.a.url: "),
        ("[clusters.a]\nurl='http://a'\nteam=\"a\\nb\"", "clusters.a.team: "),
        ("[clusters.a]\nurl='http://a'\nin_flight=99", "clusters.a.in_flight: "),
        (b"#" * (5 << 20), "larger than 4 MiB"),
        ("".join(f"[clusters.c{i}]\n" for i in range(5001)), "5001 clusters"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, text: str | bytes, what: str) -> None:
    with pytest.raises(InputFileError) as raised:
        fleet_of(tmp_path, text)
    assert what in str(raised.value)
    assert str(tmp_path / "fleet.toml") in str(raised.value)
    assert "Next: " in str(raised.value)


@pytest.mark.parametrize(
    "secret",
    [
        "url = 'https://me:hunter2hunter2@a'",
        "headers = ['Authorization: Bearer hunter2hunter2']",
        "url = 'https://a'\nproxy = 'http://me:hunter2hunter2@p'",
        "url = 'https://a'\npassword = 'hunter2hunter2'",
        "url = 'https://a'\nbearer_token = 'hunter2hunter2'",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(tmp_path: Path, secret: str) -> None:
    for place in ("[clusters.a]", "[clusters.a]\n[defaults]"):
        with pytest.raises(InputFileError) as raised:
            fleet_of(tmp_path, f"{place}\n{secret}\n")
        assert "hunter2" not in blanked(str(raised.value))


def test_a_file_that_is_not_there_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="rightsize fleet discover"):
        read_fleet(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "value", ["5", "true", "1979-05-27", "nan", "{a=1}", "[1]", "[[]]", "inf", '"\\u0000"']
)
@pytest.mark.parametrize("key", sorted(FleetCluster.model_fields))
def test_a_key_of_any_other_type_is_an_answer_or_one_error(key, value, tmp_path):
    file = tmp_path / "fleet.toml"
    address = "" if key == "url" else 'url = "http://x"\n'
    file.write_text(f"[clusters.a]\n{address}{key} = {value}\n")
    with contextlib.suppress(InputFileError):
        assert read_fleet(file).clusters["a"].timeout_seconds <= 86400
