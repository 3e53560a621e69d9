"""Copies a folder between the job's disk and S3: `object-store.py pull|push PREFIX FOLDER`.

The bucket is $BUCKET. Credentials and region are those of the pod. The manifest of a snapshot goes last,
so that what a reader finds there is whole: it names its files.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import boto3

LAST = "manifest.json"


def pull(store, bucket: str, prefix: str, folder: Path) -> int:
    count = 0
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/"):
        for one in page.get("Contents", []):
            path = (folder / one["Key"][len(prefix) + 1 :]).resolve()
            if not path.is_relative_to(folder.resolve()):
                sys.exit(f"object-store.py: {one['Key']} would leave {folder}")
            path.parent.mkdir(parents=True, exist_ok=True)
            store.download_file(bucket, one["Key"], str(path))
            # Its own age, so that `push` knows what the job changed.
            moment = one["LastModified"].timestamp()
            os.utime(path, (moment, moment))
            count += 1
    return count


def push(store, bucket: str, prefix: str, folder: Path) -> int:
    there = {}
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/"):
        there |= {one["Key"]: one for one in page.get("Contents", [])}
    count = 0
    for path in sorted((p for p in folder.rglob("*") if p.is_file()), key=_order):
        if path.name.startswith("."):  # Locks, and what a killed job left half written.
            continue
        key = f"{prefix}/{path.relative_to(folder).as_posix()}"
        if not _same(path, there.get(key)):
            store.upload_file(str(path), bucket, key)
            count += 1
    return count


def _same(path: Path, old: dict | None) -> bool:
    """Whether an object is this file: by its checksum, else (in parts, encrypted) by its age."""
    if old is None or old["Size"] != path.stat().st_size:
        return False
    tag = old["ETag"].strip('"')
    if "-" not in tag and tag == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest():
        return True
    return "-" in tag and path.stat().st_mtime <= old["LastModified"].timestamp()


def _order(path: Path) -> tuple[bool, str]:
    return path.name == LAST, path.as_posix()


def main() -> None:
    action, prefix, folder = sys.argv[1:]
    store = boto3.client("s3")
    done = {"pull": pull, "push": push}[action](store, os.environ["BUCKET"], prefix, Path(folder))
    print(f"{action}: {done} files, s3://{os.environ['BUCKET']}/{prefix}", file=sys.stderr)


if __name__ == "__main__":
    main()
