"""Members of ``GET /api/config`` about models (user §2.2, §2.4)."""

from collections.abc import Mapping
from typing import Any

from locutory import ConfigRef, Principal
from locutory_endpoints.deployment import Deployment, as_mapping


class ModelStartup:
    """`locutory_contracts.startup.StartupConfig` of this plugin."""

    def __init__(self, config_ref: ConfigRef[Deployment]) -> None:
        self._config_ref = config_ref

    def everyone(self) -> Mapping[str, Any]:
        """No members: models are shown after login."""
        return {}

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """The timing of titles, and the model specs if there are any."""
        deployment = self._config_ref.current
        section = deployment.section
        timing = (
            as_mapping(section.get("all")).get("titleTiming")
            or as_mapping(section.get("agents")).get("titleTiming")
            or "immediate"
        )
        members: dict[str, Any] = {"titleGenerationTiming": timing}
        if deployment.specs.public is not None:
            members["modelSpecs"] = deployment.specs.public
        return members
