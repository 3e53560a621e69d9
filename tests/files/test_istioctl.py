"""The catalogue of istioctl's commands, against Istio's source where a checkout is given."""

from __future__ import annotations

import os
import subprocess

import pytest

from rightsize.border import command
from rightsize.files.istioctl import LAST_KNOWN, catalogue, istioctl

SOURCE = os.environ.get("RIGHTSIZE_ISTIO_SOURCE")


def test_a_command_is_written_as_its_release_has_it():
    flags = {"-n": "shop", "--wait": ""}
    assert istioctl((1, 22), "waypoint apply") == "istioctl x waypoint apply"
    assert istioctl((1, 23), "waypoint apply", flags=flags) == (
        "istioctl waypoint apply -n shop --wait"
    )
    assert istioctl((1, 17), "tag list") == istioctl(None, "tag list") == "istioctl tag list"
    assert istioctl((1, 99), "tag list") == "istioctl tag list"


@pytest.mark.parametrize(
    ("release", "name", "flags"),
    [
        (None, "create-cert", {}),
        ((1, 22), "waypoint apply", {"--enroll": ""}),
        ((1, 26), "proxy-status", {"-v": "1"}),
    ],
)
def test_what_a_release_does_not_take_is_refused(release, name, flags):
    with pytest.raises(ValueError, match=name):
        istioctl(release, name, flags=flags)


@pytest.mark.skipif(
    SOURCE is None, reason="RIGHTSIZE_ISTIO_SOURCE names no checkout of istio/istio"
)
@pytest.mark.parametrize(
    "tag", ["1.18.7", "1.20.8", "1.22.8", "1.23.6", "1.24.6", "1.26.8", "1.27.9", "1.30.3"]
)
def test_each_marker_is_in_the_source_of_the_releases_claimed_and_of_no_other(tag):
    minor = tuple(int(part) for part in tag.split(".")[:2])
    for word in catalogue().values():
        words = ["grep", "-q", "-E", "-e", word.marker, tag, "--", word.paths]
        done = subprocess.run(["git", "-C", str(SOURCE), *words], check=False)
        claimed = word.first <= minor <= word.last
        assert (done.returncode == 0) is claimed, (word.command, word.flag)
    assert all(word.last <= LAST_KNOWN for word in catalogue().values())


def test_every_flag_of_the_catalogue_is_written_as_an_option():
    for flag in {flag for _, flag in catalogue() if flag.startswith("-")}:
        assert command("istioctl", flag, "x").split()[1] == flag
