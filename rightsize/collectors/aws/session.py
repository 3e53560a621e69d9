"""The way to AWS: credentials, regions, clients, pages, and what their failures mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, UnknownRegionError
from urllib3.exceptions import HTTPError as TransportError

from rightsize.collectors.aws.calls import READ_EXPORT, Call
from rightsize.collectors.aws.failures import translated
from rightsize.collectors.aws.transport import BoundedHttp, CallBudget
from rightsize.errors import (
    AwsCredentialsError,
    AwsError,
    AwsExpiredError,
    AwsRegionError,
    AwsRoleError,
    AwsUnreachableError,
    RightsizeError,
)
from rightsize.secrets import excerpt, register

CONNECT_SECONDS = 5
READ_SECONDS = 30
_QUICK_ATTEMPTS = 2
_PIECE = 2**20
_SLOWEST = 2**18
"""Bytes a second of a download."""
_Row = TypeVar("_Row")


class AwsSession:
    """Clients of one account and region, sharing credentials and retries.

    Parameters
    ----------
    region : str, optional
        The cluster's region; without it the profile's or `AWS_REGION`, `AWS_DEFAULT_REGION`.
    profile : str, optional
        Named profile of the AWS configuration.
    role_arn : str, optional
        Role to assume with these credentials.
    max_attempts : int
        Attempts of one request, the first included.

    Raises
    ------
    AwsCredentialsError
        If there is no such profile.
    AwsRegionError
        If no region is given anywhere, or AWS has no such region.
    AwsRoleError
        If the role cannot be assumed.

    Notes
    -----
    botocore honours `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` by itself. Retries are
    adaptive: each client also slows itself down after a throttle, so clients are made once.
    """

    def __init__(
        self,
        region: str | None = None,
        *,
        profile: str | None = None,
        role_arn: str | None = None,
        max_attempts: int = 8,
    ) -> None:
        self._config = _config(max_attempts)
        self._quick = _config(min(max_attempts, _QUICK_ATTEMPTS))
        self._clients: dict[str, Any] = {}
        self._budget = CallBudget()
        try:
            self._boto = boto3.Session(profile_name=profile, region_name=region)
        except BotoCoreError as error:
            raise translated(error, "the AWS configuration") from error
        self.region = _region(self._boto, region)
        self.partition = partition_of(self.region)
        self.profile = profile
        if role_arn is not None:
            self._boto = self._assumed(role_arn)
        self.role_arn = role_arn

    def pages(self, call: Call, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the answers of a call, page by page.

        Raises
        ------
        AwsError
            One of its family, by what went wrong; with the operation and region in its text.
        """
        asked, tokens = dict(parameters), set()
        self._budget.begin()
        while True:
            body = self._ask(call, asked)
            yield body
            token = body.get(call.token_out) if call.token_out else None
            if not token:
                return
            if token in tokens:
                raise AwsError(f"{call.action} repeats its page token: its answer has no end")
            tokens.add(token)
            asked[call.token_in] = token

    def rows(
        self,
        call: Call,
        parameters: Mapping[str, Any],
        read: Callable[[dict[str, Any]], Iterable[_Row]],
    ) -> Iterator[_Row]:
        """Yield what `read` makes of each page of a call.

        Raises
        ------
        AwsError
            One of its family; also for a page that `read` fails at: what an answer is made of
            comes from outside.
        """
        for page in self.pages(call, parameters):
            with reading(call.action):
                found = list(read(page))
            yield from found

    def download(self, bucket: str, key: str, path: Path, *, most: int) -> None:
        """Write an object of S3 into a file, piece by piece.

        Raises
        ------
        AwsError
            One of its family; also if the object is larger than `most` bytes.
        """
        self._budget.begin(READ_SECONDS + most / _SLOWEST)
        body = self._ask(READ_EXPORT, {"Bucket": bucket, "Key": key})["Body"]
        left = most
        try:
            with path.open("wb") as file:
                for piece in body.iter_chunks(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise AwsError(f"s3://{bucket}/{key} grew while it was read")
                    file.write(piece)
        except (BotoCoreError, TransportError) as error:
            raise translated(error, f"s3:GetObject of {bucket}/{key}") from error

    def endpoint(self, call: Call) -> str:
        """Return the URL that the call goes to."""
        return str(self._client(call.service).meta.endpoint_url)

    def account(self) -> str | None:
        """Return the account's number, or None where STS does not answer.

        Where STS cannot be reached at all, further requests are repeated less: most likely the
        network is away, and each of them would wait long for nothing.

        Raises
        ------
        AwsError
            If the credentials are missing, refused or expired.
        """
        try:
            return str(self._made("sts", self._quick).get_caller_identity()["Account"])
        except Exception as error:
            failure = translated(error, f"sts:GetCallerIdentity in {self.region}")
            if isinstance(failure, AwsCredentialsError | AwsExpiredError):
                raise failure from error
            if isinstance(failure, AwsUnreachableError):
                self._config = self._quick
            return None

    def price_list_region(self) -> str | None:
        """Return the region of the Price List that answers for ours, None if the partition has none.

        botocore would build an endpoint for any region; these exist: us-east-1, eu-central-1 and
        ap-south-1, cn-northwest-1 for China (list of botocore 1.44; the choice by continent is
        Karpenter's, `pkg/providers/pricing/pricing.go`). GovCloud has none.
        """
        there = self._boto.get_available_regions("pricing", partition_name=self.partition)
        if not there:
            return None
        prefix = self.region.split("-", 1)[0]
        nearest = [name for name in there if name.startswith(f"{prefix}-")]
        home = "us-east-1" if "us-east-1" in there else there[0]
        return nearest[0] if nearest and prefix != "us" else home

    def _ask(self, call: Call, parameters: Mapping[str, Any]) -> dict[str, Any]:
        client = self._client(call.service)
        try:
            body: dict[str, Any] = getattr(client, call.method)(**parameters)
        except Exception as error:
            # Of the library, or of what it parses: nothing of ours runs in there.
            where = f"{call.action} in {client.meta.region_name}"
            raise translated(error, where, known_region=self._is_known()) from error
        return body

    def _is_known(self) -> bool:
        names = self._boto.get_available_regions("ec2", partition_name=self.partition)
        return self.region in names

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            region = self.region
            if service == "pricing":
                region = self.price_list_region() or self.region
            try:
                self._clients[service] = self._made(service, self._config, region)
            except (BotoCoreError, ValueError) as error:
                raise translated(error, f"{service} in {region}") from error
        return self._clients[service]

    def _made(self, service: str, config: Any, region: str | None = None) -> Any:
        client = self._boto.client(service, region_name=region or self.region, config=config)
        client.meta.events.register("before-sign", _keep_keys)
        client._endpoint.http_session = BoundedHttp(client._endpoint.http_session, self._budget)
        return client

    def _assumed(self, role_arn: str) -> Any:
        try:
            sts = self._made("sts", self._config)
            got = sts.assume_role(RoleArn=role_arn, RoleSessionName="rightsize")["Credentials"]
            keys = got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"]
        except Exception as error:
            failure = translated(error, f"sts:AssumeRole of {role_arn}")
            if isinstance(failure, AwsCredentialsError | AwsExpiredError | AwsUnreachableError):
                raise failure from error
            raise AwsRoleError(
                f"the role {role_arn} cannot be assumed: {failure.what}",
                hint="its trust policy must name your identity, and yours must allow "
                "sts:AssumeRole on it",
            ) from error
        register(*keys[1:])
        return boto3.Session(*keys, region_name=self.region)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever a block raises over an answer of AWS is a fault of the answer."""
    try:
        yield
    except RightsizeError:
        raise
    except Exception as error:
        said = excerpt(" ".join(str(error).split()), 200)
        raise AwsError(
            f"{what} answered what cannot be read ({type(error).__name__}: {said})"
        ) from error


def _keep_keys(request_signer: Any, **_: Any) -> None:
    """Blank what a request is signed with, wherever botocore has found it, and before it logs it."""
    keys = request_signer._credentials
    if keys is not None:
        frozen = keys.get_frozen_credentials()
        register(frozen.secret_key, frozen.token)


def _config(attempts: int) -> Any:
    return Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        user_agent_extra="rightsize",
    )


def _region(boto: Any, region: str | None) -> str:
    chosen = region or os.environ.get("AWS_REGION") or boto.region_name
    if not chosen:
        raise AwsRegionError(
            "no AWS region is given",
            hint="give --region, or set AWS_REGION or a region in the profile",
        )
    return str(chosen)


def partition_of(region: str) -> str:
    """Return the partition of a region: `aws`, `aws-cn`, `aws-us-gov`, …

    Raises
    ------
    AwsRegionError
        If AWS has no region of such a name.
    """
    try:
        return str(botocore.session.get_session().get_partition_for_region(region))
    except (UnknownRegionError, ValueError) as error:
        raise AwsRegionError(
            f"AWS has no region {region!r}",
            hint="name a region such as us-east-1 (not a zone, not a city)",
        ) from error
