"""What a person does at a vendor so that the two know each other: plain data beside each source and channel."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class SetupStep(Struct, frozen=True, kw_only=True):
    """One thing to do. `copy`: what is pasted there; `link`: the page it is done on; `field`: the setting that takes
    what the vendor shows at this step.

    Texts may hold {webhook_url}, {secret}, {base_url}, {actions_url}, {manifest} and {manifest_link}, which are filled
    in for whoever reads them.
    """

    text: str
    copy: str = ""
    link: str = ""
    field: str = ""

    def filled(self, values: Mapping[str, str]) -> SetupStep:
        """The step with what is known put in its place. Other braces stay: they are somebody's JSON."""

        def put(text: str) -> str:
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        return SetupStep(text=put(self.text), copy=put(self.copy), link=put(self.link), field=self.field)
