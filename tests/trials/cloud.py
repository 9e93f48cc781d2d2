"""A cloud that is a file: the resources of DigitalOcean that packaging/tofu uses, so that it can be applied here.

Their arguments are those that the pages of digitalocean/terraform-provider-digitalocean name (docs/resources). Run as a
provider's program by terraform or tofu, in an environment with the package tf. $CLOUD_FILE is the cloud.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from typing import Any

from tf.blocks import SetNestedBlock  # type: ignore[import-not-found]
from tf.iface import Provider, Resource  # type: ignore[import-not-found]
from tf.runner import run_provider  # type: ignore[import-not-found]
from tf.schema import Attribute, Block, Schema  # type: ignore[import-not-found]
from tf.types import Bool, List, Number, String  # type: ignore[import-not-found]

# By resource: its arguments. ! is required, @ replaces the resource when it changes, = is what the cloud answers.
RESOURCES: dict[str, dict[str, Any]] = {
    "vpc": {"name": "!s", "region": "!@s", "description": "s", "ip_range": "=s"},
    "volume": {
        "name": "!@s", "region": "!@s", "size": "!n", "description": "@s", "initial_filesystem_type": "@s",
        "initial_filesystem_label": "@s", "snapshot_id": "@s", "tags": "l",
    },
    "droplet": {
        "name": "!s", "region": "@s", "size": "!s", "image": "!@s", "vpc_uuid": "@s", "ipv6": "b", "monitoring": "@b",
        "backups": "b", "graceful_shutdown": "b", "ssh_keys": "@l", "volume_ids": "l", "user_data": "@s", "tags": "l",
        "resize_disk": "b", "droplet_agent": "b", "ipv4_address": "=s", "ipv6_address": "=s",
    },
    "reserved_ip": {"region": "!@s", "droplet_id": "s", "ip_address": "=s"},
    "firewall": {
        "name": "!s", "droplet_ids": "l", "tags": "l",
        "inbound_rule": {"protocol": "!s", "port_range": "s", "source_addresses": "l", "source_tags": "l"},
        "outbound_rule": {
            "protocol": "!s", "port_range": "s", "destination_addresses": "l", "destination_tags": "l",
        },
    },
    "record": {
        "domain": "!@s", "type": "!@s", "name": "!s", "value": "!s", "ttl": "n", "priority": "n", "port": "n",
        "weight": "n", "flags": "n", "tag": "s", "fqdn": "=s",
    },
    "spaces_bucket": {
        "name": "!@s", "region": "@s", "acl": "s", "force_destroy": "b", "versioning": {"enabled": "b"},
        "lifecycle_rule": {
            "id": "s", "prefix": "s", "enabled": "!b", "abort_incomplete_multipart_upload_days": "n",
            "noncurrent_version_expiration": {"days": "!n"}, "expiration": {"date": "s", "days": "n"},
        },
    },
    "spaces_key": {
        "name": "!s", "grant": {"bucket": "!s", "permission": "!s"}, "access_key": "=s", "secret_key": "=s",
    },
}  # fmt: skip
KINDS = {"s": String, "n": Number, "b": Bool, "l": lambda: List(String())}
ANSWERS = {"ip_address": "203.0.113.7", "ipv4_address": "203.0.113.8", "ipv6_address": "2001:db8::7"}


def attribute(name: str, form: str) -> Attribute:
    answered, required = "=" in form, "!" in form
    return Attribute(
        name, KINDS[form[-1]](), required=required, optional=not required and not answered, computed=answered,
        requires_replace="@" in form, sensitive=name == "secret_key",
    )  # fmt: skip


def parts(said: dict[str, Any]) -> tuple[list[Attribute], list[SetNestedBlock]]:
    plain = [attribute(name, form) for name, form in said.items() if isinstance(form, str)]
    blocks = [
        SetNestedBlock(name, Block(*parts(inner))) for name, inner in said.items() if isinstance(inner, dict)
    ]  # fmt: skip
    return plain, blocks


ONE = threading.Lock()
"""Resources are made at the same time."""


def cloud() -> dict[str, Any]:
    path = os.environ["CLOUD_FILE"]
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        there: dict[str, Any] = json.load(file)
    return there


def keep(there: dict[str, Any]) -> None:
    with open(os.environ["CLOUD_FILE"], "w", encoding="utf-8") as file:
        json.dump(there, file)


def resource(kind: str, said: dict[str, Any]) -> type[Resource]:
    class Made(Resource):  # type: ignore[misc]  # the framework is not installed here
        def __init__(self, provider: Provider) -> None:
            self.provider = provider

        @classmethod
        def get_name(cls) -> str:
            return kind

        @classmethod
        def get_schema(cls) -> Schema:
            plain, blocks = parts(said)
            own = [] if "id" in said else [Attribute("id", String(), computed=True)]
            return Schema(attributes=[*plain, *own], block_types=blocks)

        def create(self, ctx: Any, planned: dict[str, Any]) -> dict[str, Any]:
            made = {**planned, "id": str(uuid.uuid4())}
            for name, form in said.items():
                if isinstance(form, str) and "=" in form:
                    made[name] = ANSWERS.get(name, f"{kind}-{name}")
            with ONE:
                keep({**cloud(), f"{kind} {made['id']}": made})
            return made

        def read(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
            with ONE:
                found: dict[str, Any] | None = cloud().get(f"{kind} {current['id']}")
            return found

        def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
            made = {**planned, **{k: v for k, v in current.items() if k == "id" or "=" in str(said.get(k, ""))}}
            with ONE:
                keep({**cloud(), f"{kind} {made['id']}": made})
            return made

        def delete(self, ctx: Any, current: dict[str, Any]) -> None:
            with ONE:
                there = cloud()
                del there[f"{kind} {current['id']}"]
                keep(there)

    return Made


class Cloud(Provider):  # type: ignore[misc]
    """The provider."""

    def get_model_prefix(self) -> str:
        return "digitalocean_"

    def full_name(self) -> str:
        return "registry.terraform.io/digitalocean/digitalocean"

    def get_provider_schema(self, diags: Any) -> Schema:
        return Schema(attributes=[Attribute("token", String(), optional=True, sensitive=True)])

    def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
        pass

    def configure_provider(self, diags: Any, config: dict[str, Any]) -> None:
        pass

    def get_data_sources(self) -> list[Any]:
        return []

    def get_resources(self) -> list[type[Resource]]:
        return [resource(kind, said) for kind, said in RESOURCES.items()]


if __name__ == "__main__":
    run_provider(Cloud())
