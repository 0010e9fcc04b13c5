"""Routes of ``/api/user``."""

from locutory_users.routes.account import AccountRoutes
from locutory_users.routes.settings import SettingsRoutes

__all__ = ["AccountRoutes", "SettingsRoutes"]
