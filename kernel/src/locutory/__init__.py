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
from locutory.http.failures import UNKNOWN_ERROR
from locutory.http.fallback import NEXT_STEPS, PAGES
from locutory.http.limiting import Limit, LimitExceeded, RateLimits, by_ip, by_user
from locutory.http.request import SYSTEM_TENANT, Request, check_caller_waits
from locutory.http.route_group import RouteGroup
from locutory.http.routing import Answer, Route
from locutory.http.validation import (
    Invalid,
    NoBody,
    Once,
    QueryFlag,
    WholeNumber,
    max_entries,
    read_query,
    refusal,
    refused,
    wording,
)
from locutory.keys import Extension, Service
from locutory.plugins.context import ConfigRef, Context, Routes
from locutory.plugins.plugin import Check, Job, NoConfig, PhaseTask, Plugin, hook
from locutory.responses import JSON, Empty, Text, answer, encode, iso, now
from locutory.services import Gathered, Provide, Services
from locutory.settings import KernelConfig
from locutory_configfile import Environment, env, flag, http_address, option
from locutory_credentials import Credentials
from locutory_httpserver.parsing import drop_operators

__version__ = "0.1.0"

__all__ = [
    "ADMIN_ROLE",
    "AUTHENTICATORS",
    "JSON",
    "NEXT_STEPS",
    "PAGES",
    "POLICY",
    "SYSTEM_TENANT",
    "UNKNOWN_ERROR",
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
    "KernelConfig",
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
    "RateLimits",
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
    "check_caller_waits",
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
    "read_query",
    "refusal",
    "refused",
    "wording",
]
