"""Settings: file < environment < flags, each value checked."""

from __future__ import annotations

import pytest

from rightsize.config import load_settings
from rightsize.errors import InputFileError, UsageError


def written(tmp_path, text):
    path = tmp_path / "rightsize.toml"
    path.write_text(text)
    return path


def test_the_file_is_read(tmp_path):
    path = written(tmp_path, '[policy]\nprofile = "lean"\nmin_days = 3\n')
    found = load_settings(path, environment={}).policy
    assert (found.profile, found.min_days) == ("lean", 3)


def test_the_environment_outranks_the_file(tmp_path):
    path = written(tmp_path, "[policy]\nmin_days = 3\n")
    found = load_settings(path, environment={"RIGHTSIZE_POLICY_MIN_DAYS": "5"})
    assert found.policy.min_days == 5


def test_flags_outrank_the_environment():
    found = load_settings(
        environment={"RIGHTSIZE_POLICY_MIN_DAYS": "5"},
        flags={"policy": {"min_days": 9, "max_cut": None}},
    )
    assert (found.policy.min_days, found.policy.max_cut) == (9, 0.5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[policy]\nmax_cut = 2\n", "policy.max_cut"),
        ("[policy]\nmargin = 2\n", "policy.margin"),
        ("[politics]\n", "politics"),
        ("policy = [", "not TOML"),
        ("a." * 20_000 + "a = 1\n", "at most 32 parts"),
        ("[" + " 'a' . " * 40 + '"b"]\n', "at most 32 parts"),
        ("x = {" + '"a"."b".' * 16 + "c = 1}\n", "at most 32 parts"),
        ("".join(f"k{n}.a.b = 1\n" for n in range(110_000)), "200,000 dots"),
        ("[policy]\nmargin = " + "9" * 5_000, "not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_setting(tmp_path, text, named):
    with pytest.raises(InputFileError, match=named):
        load_settings(written(tmp_path, text), environment={})


def test_a_wrong_flag_is_a_usage_error():
    with pytest.raises(UsageError, match="policy.max_cut"):
        load_settings(environment={}, flags={"policy": {"max_cut": -1}})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputFileError, match="nowhere.toml"):
        load_settings(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("code", ["USD", "eur", "EURO", "€"])
def test_a_rate_is_for_a_currency_that_needs_one(tmp_path, code):
    text = f'[review.currencies."{code}"]\nusd = 1.1\nas_of = 2026-10-31\n'
    with pytest.raises(InputFileError, match="review.currencies"):
        load_settings(written(tmp_path, text), environment={})
    for usd in ("0", "-1", "nan", "inf", '"x"'):
        text = f"[review.currencies.EUR]\nusd = {usd}\nas_of = 2026-10-31\n"
        with pytest.raises(InputFileError, match="review.currencies.EUR.usd"):
            load_settings(written(tmp_path, text), environment={})
