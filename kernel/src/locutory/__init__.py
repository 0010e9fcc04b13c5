"""Locutory's kernel: what plugins import."""

from locutory.access import (
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
from locutory.cache import Cache
from locutory.ciphers import Credentials
from locutory.database import Database
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
from locutory.keys import Extension, Service
from locutory.limiting import Limit, LimitExceeded, by_ip, by_user
from locutory.plugin import Check, Context, Job, NoConfig, PhaseTask, Plugin, hook
from locutory.request import Request
from locutory.responses import JSON, Empty, Text, answer, encode, iso, now
from locutory.route_group import RouteGroup
from locutory.routing import Answer, Route
from locutory.services import Gathered, Provide, Services
from locutory.settings import env, flag, option
from locutory.validation import (
    Invalid,
    NoBody,
    Once,
    QueryFlag,
    WholeNumber,
    max_entries,
    refusal,
    wording,
)

__version__ = "0.1.0"

__all__ = [
    "AUTHENTICATORS",
    "JSON",
    "POLICY",
    "Access",
    "Action",
    "Answer",
    "ApiKey",
    "Authenticator",
    "BadRequest",
    "Cache",
    "Can",
    "Capability",
    "Check",
    "Context",
    "Credentials",
    "Database",
    "Decision",
    "Empty",
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
    "Request",
    "Route",
    "RouteGroup",
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
    "encode",
    "env",
    "flag",
    "hook",
    "iso",
    "max_entries",
    "now",
    "option",
    "refusal",
    "wording",
]
