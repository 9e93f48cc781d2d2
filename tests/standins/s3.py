"""A real S3 server in a process of its own (moto), with keys that it checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from types import TracebackType
from typing import Any

import boto3  # type: ignore[import-untyped]
import httpx

from tests.world import free_port


def _client(service: str, address: str, key_id: str = "first", secret: str = "first") -> Any:
    return boto3.client(
        service, endpoint_url=address, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret
    )


def _somebody(address: str) -> tuple[str, str]:
    """A person who may do everything with S3; his key."""
    iam = _client("iam", address)
    iam.create_user(UserName="hub")
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="hub", PolicyName="all", PolicyDocument=json.dumps(rights))
    key = iam.create_access_key(UserName="hub")["AccessKey"]
    iam.close()
    return key["AccessKeyId"], key["SecretAccessKey"]


class S3:
    """Use as a context manager. `url(prefix)`: as `replica.url` spells it. `stop` and `start` keep nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.key_id, self.secret = "nobody", "nothing"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> S3:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, it: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def url(self, prefix: str = "hub") -> str:
        """Where a replica is kept."""
        return f"s3://alerts/{prefix}?endpoint=http://127.0.0.1:{self.port}&region=us-east-1"

    def start(self) -> None:
        """Answers when it returns; it has one empty bucket."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        address = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 60
        with httpx.Client(trust_env=False, timeout=30) as client:
            while True:
                try:
                    client.get(f"{address}/moto-api/").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert time.monotonic() < deadline, "the S3 server did not start"
                    time.sleep(0.1)
            self.key_id, self.secret = _somebody(address)
            self.client = _client("s3", address, self.key_id, self.secret)
            self.client.create_bucket(Bucket="alerts")
            client.post(f"{address}/moto-api/reset-auth", content=b"0").raise_for_status()  # from now on keys count

    def stop(self) -> None:
        """Away, with all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.client.close()

    def keys(self) -> list[str]:
        """The names of what lies there."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="alerts")
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
