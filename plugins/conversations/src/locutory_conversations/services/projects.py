"""The check that a conversation may be in a project."""

from typing import Any

from locutory import Services
from locutory_contracts.conversations import PROJECTS
from locutory_conversations.saving import is_project_id


class ProjectRights:
    """Asks the provider of `PROJECTS`, when there is one; else only the form counts."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def may_use(self, user: str, project: Any) -> bool:
        """``True`` when this is the id of a project of the user, or has the form of one while no
        plugin serves projects."""
        if not is_project_id(project):
            return False
        projects = self._services.find(PROJECTS)
        return projects is None or await projects.owns(user, project)
