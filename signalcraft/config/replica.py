"""The settings of the replica: a copy of the database kept elsewhere, a second behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from msgspec import field

from signalcraft.config.secret import Secret
from signalcraft.config.section import Section, says


class Replica(Section, frozen=True):
    """A copy of the database that follows every change. Off while `url` is empty. See docs/how-to/replicate.md."""

    url: Annotated[
        str,
        says(
            "Where the copy is kept, for this SignalCraft alone: file:///path, "
            "s3://bucket/prefix (with ?endpoint=…&region=… for a server of your own) or sftp://user@host/path.",
            form="replica_url",
        ),
    ] = ""
    access_key_id: Annotated[
        Secret,
        says(
            "S3: the id of the access key. Empty: what the environment or the machine's role gives.",
            credential="signalcraft-replica-access-key-id",
        ),
    ] = field(default_factory=Secret)
    secret_access_key: Annotated[
        Secret,
        says(
            "S3: the access key's secret. Better kept out of this file: `secret_access_key_file`, "
            "$SIGNALCRAFT_REPLICA__SECRET_ACCESS_KEY_FILE or the systemd credential.",
            credential="signalcraft-replica-secret-access-key",
        ),
    ] = field(default_factory=Secret)
    sftp_password: Annotated[
        Secret,
        says("SFTP: the password, where no key is used.", credential="signalcraft-replica-sftp-password"),
    ] = field(default_factory=Secret)
    sftp_key_path: Annotated[
        str, says("SFTP: the path of the private key, without a passphrase.", form="readable_file")
    ] = ""
    sftp_host_key: Annotated[
        str,
        says("SFTP: the server's own key as `ssh-keyscan HOST` prints it (a line of type ecdsa, rsa or ed25519)."),
    ] = ""
    sync_seconds: Annotated[
        float,
        says("Seconds between two looks for changes; 0: 0.2 for a file, 1 for everything else.", ge=0, le=3600),
    ] = 0.0
    snapshot_hours: Annotated[int, says("Hours between two whole copies.", ge=1, le=720)] = 6
    retention_hours: Annotated[
        int, says("Hours back to which the database can be restored as it was at a moment.", ge=1, le=8760)
    ] = 168
    behind_alarm_seconds: Annotated[int, says("Seconds behind after which it is an alarm.", ge=5, le=86_400)] = 120

    @property
    def kind(self) -> str:
        """file, s3 or sftp; empty where it is off."""
        return urlsplit(self.url).scheme

    @property
    def folder(self) -> Path:
        """The folder of a replica on a disk."""
        return Path(unquote(urlsplit(self.url).path))

    @property
    def sync_s(self) -> float:
        """Seconds between two looks for changes."""
        return self.sync_seconds or (0.2 if self.kind == "file" else 1.0)


def unfit(replica: Replica, data_dir: Path) -> Iterator[tuple[str, str]]:
    """(key, one sentence) of what does not go together."""
    if replica.kind == "sftp":
        if not replica.sftp_host_key:
            yield (
                "replica.sftp_host_key",
                "must be set where replica.url begins with sftp: ssh-keyscan prints it; without it anybody may answer",
            )
        if not replica.sftp_password and not replica.sftp_key_path:
            yield "replica.sftp_key_path", "must be set where replica.url begins with sftp:, or replica.sftp_password"
    if bool(replica.access_key_id) != bool(replica.secret_access_key):
        yield "replica.secret_access_key", "must be set together with replica.access_key_id"
    if replica.retention_hours < replica.snapshot_hours:
        yield "replica.retention_hours", f"must be at least replica.snapshot_hours, {replica.snapshot_hours}"
    if replica.kind == "file" and replica.folder.is_relative_to(data_dir):
        yield "replica.url", "must not lie inside data.dir: what destroys the one destroys the other"
    if replica.behind_alarm_seconds <= 2 * replica.sync_s:
        yield "replica.behind_alarm_seconds", f"must be more than twice replica.sync_seconds, {replica.sync_s:g}"
