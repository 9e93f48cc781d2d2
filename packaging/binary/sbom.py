"""The bill of materials, CycloneDX 1.6 in JSON, written with cyclonedx-python-lib."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from inventory import Part
from packageurl import PackageURL

_TYPES = {"python": ComponentType.LIBRARY, "runtime": ComponentType.PLATFORM, "program": ComponentType.APPLICATION}


def document(found: list[Part], version: str, commit: str, epoch: int) -> str:
    """The text. The same parts give the same text: its number is made of them, its time is the commit's."""
    licences = LicenseFactory()
    program = Component(
        type=ComponentType.APPLICATION, name="signalcraft", version=version, bom_ref=f"signalcraft@{version}",
        licenses=[licences.make_from_string("Apache-2.0")],
        properties=[Property(name="signalcraft:commit", value=commit)] if commit else [],
    )  # fmt: skip
    components = []
    seen: set[str] = set()
    for one in found:
        ref = f"{one.within}/{one.purl}" if one.within else one.purl
        if ref in seen:
            continue
        seen.add(ref)
        # Of a Python package the lock knows every wheel; which of them it was, it does not say.
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one.hashes[0])] if len(one.hashes) == 1 else []
        properties = [Property(name="signalcraft:kind", value=one.kind)]
        if one.within:
            properties.append(Property(name="signalcraft:within", value=one.within))
        kind = _TYPES.get(one.kind, ComponentType.LIBRARY)
        named = [licences.make_from_string(one.licence)] if one.licence else []
        components.append(Component(type=kind, name=one.name, version=one.version or None, bom_ref=ref, hashes=hashes,
                                    purl=PackageURL.from_string(one.purl), properties=properties,
                                    licenses=named))  # fmt: skip
    digest = hashlib.sha256("\n".join([version, commit, *sorted(seen)]).encode()).digest()
    bom = Bom(
        serial_number=uuid.UUID(bytes=digest[:16], version=4),
        metadata=BomMetaData(
            component=program, tools=ToolRepository(), timestamp=datetime.datetime.fromtimestamp(epoch, datetime.UTC)
        ),
        components=components,
    )
    bom.register_dependency(program, components)
    return str(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)) + "\n"


def write(found: list[Part], version: str, commit: str, epoch: int, target: Path) -> None:
    """Into a file."""
    target.write_text(document(found, version, commit, epoch), "utf-8")
