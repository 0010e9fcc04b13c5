"""Locutory's kernel: what plugins import."""

from locutory.access import (
    ADMIN_ROLE,
    AUTHENTICATORS,
    POLICY,
    Access,
    Action,
    ApiKey,
    Authenticator,
    Can,
    Capability,
    Decision,
    OptionalUser,
    PermissionGroup,
    Policy,
    Principal,
    Public,
    SignedIn,
)
from locutory.data.cache import Cache
from locutory.data.database import Collection, Database, Raw
from locutory.data.redis import Broadcast
from locutory.errors import (
    BadRequest,
    Forbidden,
    HTTPError,
    Problem,
    ServiceMissing,
    StartupError,
    Unauthorized,
    Veto,
)
from locutory.events import Events, Fact, On, Step
from locutory.http.limiting import Limit, LimitExceeded, by_ip, by_user
from locutory.http.request import Request
from locutory.http.route_group import RouteGroup
from locutory.http.routing import Answer, Route
from locutory.http.validation import (
    Invalid,
    NoBody,
    Once,
    QueryFlag,
    WholeNumber,
    max_entries,
    refusal,
    refused,
    wording,
)
from locutory.keys import Extension, Service
from locutory.plugins.context import ConfigRef, Context, Routes
from locutory.plugins.plugin import Check, Job, NoConfig, PhaseTask, Plugin, hook
from locutory.responses import JSON, Empty, Text, answer, encode, iso, now
from locutory.services import Gathered, Provide, Services
from locutory_configfile import Environment, env, flag, http_address, option
from locutory_credentials import Credentials
from locutory_httpserver.parsing import drop_operators

__version__ = "0.1.0"

__all__ = [
    "ADMIN_ROLE",
    "AUTHENTICATORS",
    "JSON",
    "POLICY",
    "Access",
    "Action",
    "Answer",
    "ApiKey",
    "Authenticator",
    "BadRequest",
    "Broadcast",
    "Cache",
    "Can",
    "Capability",
    "Check",
    "Collection",
    "ConfigRef",
    "Context",
    "Credentials",
    "Database",
    "Decision",
    "Empty",
    "Environment",
    "Events",
    "Extension",
    "Fact",
    "Forbidden",
    "Gathered",
    "HTTPError",
    "Invalid",
    "Job",
    "Limit",
    "LimitExceeded",
    "NoBody",
    "NoConfig",
    "On",
    "Once",
    "OptionalUser",
    "PermissionGroup",
    "PhaseTask",
    "Plugin",
    "Policy",
    "Principal",
    "Problem",
    "Provide",
    "Public",
    "QueryFlag",
    "Raw",
    "Request",
    "Route",
    "RouteGroup",
    "Routes",
    "Service",
    "ServiceMissing",
    "Services",
    "SignedIn",
    "StartupError",
    "Step",
    "Text",
    "Unauthorized",
    "Veto",
    "WholeNumber",
    "answer",
    "by_ip",
    "by_user",
    "drop_operators",
    "encode",
    "env",
    "flag",
    "hook",
    "http_address",
    "iso",
    "max_entries",
    "now",
    "option",
    "refusal",
    "refused",
    "wording",
]
