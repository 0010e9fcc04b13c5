"""Declaration of the plugin."""

from collections.abc import Iterable
from typing import ClassVar

import click
from beanie import Document

from locutory import (
    POLICY,
    Action,
    Check,
    Context,
    On,
    PermissionGroup,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_contracts.access import ACCESS, AUTHORED, RESOURCE_KINDS
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.directory import DIRECTORY
from locutory_contracts.offers import AGENT_CAPABILITIES, served_permissions
from locutory_contracts.people import PEOPLE
from locutory_contracts.sign_in import MEMBERSHIPS, ROLE_NAMES
from locutory_roles.account_data import RightsData
from locutory_roles.config import InterfacePermissions, MemoryPermissions, RolesConfig
from locutory_roles.defaults import default_permissions
from locutory_roles.directory import DirectoryMemberships, StoredRoleNames
from locutory_roles.documents import AccessRole, AclEntry, Group, Project, Role, SystemGrant
from locutory_roles.grants import GrantStore
from locutory_roles.groups import GroupStore
from locutory_roles.overrides import read_overrides
from locutory_roles.permissions.commands import RoleCommands
from locutory_roles.permissions.declared import declared_permissions
from locutory_roles.permissions.settings import RoleSettings
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.authors import AuthorEntries
from locutory_roles.resources.commands import explain_access
from locutory_roles.resources.directory_principals import DirectoryPrincipals
from locutory_roles.resources.entries import EntryStore
from locutory_roles.resources.grant_listing import GrantListing
from locutory_roles.resources.principal_search import PrincipalSearch
from locutory_roles.resources.resource_types import ResourceTypeRegistry
from locutory_roles.resources.routes import ResourceRoutes
from locutory_roles.resources.service import Access
from locutory_roles.resources.sharing import Sharing
from locutory_roles.routes import RoleRoutes
from locutory_roles.seeding import Seeding
from locutory_roles.service import RolePolicy
from locutory_roles.store import RoleStore

_ROLE = "role:"
_GROUPS = "groups"


class RolesPlugin(Plugin):
    """Roles with their permissions, rights on single resources, and the policy that routes ask."""

    name = "roles"
    summary = "Roles, access to single resources, groups, and administrative capabilities"
    Config = RolesConfig
    sections: ClassVar = {"interface": InterfacePermissions, "memory": MemoryPermissions}
    provides = (POLICY, ACCESS, ROLE_NAMES, MEMBERSHIPS, ACCOUNT_DATA)
    wants = (ACCOUNTS, AGENT_CAPABILITIES, AUTHORED, PEOPLE, DIRECTORY, RESOURCE_KINDS)

    @hook
    def setup(self, ctx: Context[RolesConfig]) -> None:
        seconds = ctx.config.cache_seconds
        group_seconds = ctx.config.user_principals_cache_ttl_ms / 1000
        changes = ctx.broadcast("roles:changed", self._invalidate)
        self._defaults = lambda role: default_permissions(role, ctx.permission_groups)
        self._declared = lambda: declared_permissions(ctx.permission_groups)
        served = lambda: served_permissions(ctx.permission_groups, ctx.services)  # noqa: E731
        self._roles = RoleStore(ctx.database, self._defaults, served, seconds, changes)
        self._settings = RoleSettings(ctx.config.permissions, self._declared, self._roles)
        self._overrides = read_overrides(ctx.section("interface"), ctx.section("memory"))
        self._groups = GroupStore(ctx.database, ctx.services, group_seconds, changes)
        self._grants = GrantStore(ctx.database, self._groups, seconds)
        self._policy = RolePolicy(self._roles, self._grants)
        self._resource_types = ResourceTypeRegistry(ctx.services)
        self._entries = EntryStore(ctx.database)
        self._account_data = RightsData(self._grants, self._entries, self._groups)
        self._access_roles = AccessRoleStore(ctx.database)
        self._access = Access(
            self._resource_types,
            self._entries,
            self._access_roles,
            self._groups,
            self._policy,
            ctx.services,
        )
        self._memberships = DirectoryMemberships(ctx.database, self._groups, ctx.services, ctx.log)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [Role, SystemGrant, AccessRole, AclEntry, Group, Project]

    @hook
    def permissions(self) -> Iterable[PermissionGroup]:
        return [
            PermissionGroup(
                "PEOPLE_PICKER",
                {
                    "VIEW_USERS": Action(False, summary="Find users to share with"),
                    "VIEW_GROUPS": Action(False, summary="Find groups to share with"),
                    "VIEW_ROLES": Action(False, summary="Find roles to share with"),
                },
                "Who may be found in the dialogs for sharing",
            )
        ]

    @hook
    def services(self, ctx: Context) -> Iterable[Provide]:
        return [
            Provide(POLICY, self._policy),
            Provide(ACCESS, self._access),
            Provide(ROLE_NAMES, StoredRoleNames(ctx.database)),
            Provide(MEMBERSHIPS, self._memberships),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> Iterable[On]:
        return account_events(self._account_data)

    @hook
    def routes(self, ctx: Context) -> Iterable[Route]:
        parts = (self._entries, self._access_roles, self._groups)
        grant_listing = GrantListing(*parts, ctx.services, ctx.log)
        directory_principals = DirectoryPrincipals(self._groups, self._policy, ctx.services)
        sharing = Sharing(
            *parts, self._roles, directory_principals, ctx.services, ctx.events, ctx.log
        )
        principal_search = PrincipalSearch(
            self._roles, self._groups, directory_principals, ctx.services
        )
        resources = ResourceRoutes(
            self._resource_types,
            self._access,
            self._access_roles,
            grant_listing,
            sharing,
            principal_search,
            self._policy,
            ctx.log,
        )
        routes = RoleRoutes(self._roles, self._policy, self._declared, ctx.log)
        return [*routes.all(), *resources.all()]

    @hook
    def phases(self, ctx: Context) -> Iterable[PhaseTask]:
        seeding = Seeding(
            self._roles,
            self._grants,
            self._access_roles,
            self._resource_types,
            self._defaults,
            self._overrides,
            self._settings,
            ctx.log,
        )
        return [PhaseTask("permissions", "system roles, access roles and grants", seeding.run)]

    @hook
    def checks(self, ctx: Context) -> Iterable[Check]:
        authors = AuthorEntries(
            ctx.database,
            self._resource_types,
            self._entries,
            self._access_roles,
            ctx.services,
            ctx.log,
        )
        return [authors.check(), self._settings.check()]

    @hook
    def commands(self, ctx: Context) -> Iterable[click.Command]:
        roles = RoleCommands(ctx, self._roles, self._declared, self._overrides, self._settings)
        explain = click.Group("access", {"explain": explain_access}, help="Explain decisions.")
        return [explain, roles.group()]

    def _invalidate(self, message: str) -> None:
        """Drop the cached data that another server has changed; grants are dropped with a role."""
        if message == _GROUPS:
            self._groups.forget()
            return
        self._roles.forget(message.removeprefix(_ROLE) or None)
        self._grants.forget()
        if not message:
            self._groups.forget()
