"""Settings of the plugin (contract share §7), and the part of ``librechat.yaml`` it reads."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from locutory import env


class ShareConfig(BaseModel):
    """Settings of shared links."""

    model_config = ConfigDict(extra="forbid")

    shared_links: bool = env(
        "ALLOW_SHARED_LINKS",
        True,
        "Shared links may be opened; false: nobody can, but owners still manage theirs",
    )
    public_links: bool = env(
        "ALLOW_SHARED_LINKS_PUBLIC", False, "Public links may be opened without an account"
    )
    snapshot_files: bool | None = env(
        "SHARED_LINKS_SNAPSHOT_FILES",
        None,
        "New links include files, whatever interface.sharedLinks.snapshotFiles says; false also "
        "stops serving the files of every link",
    )
    auto_migrate: bool = env(
        "SHARED_LINKS_AUTO_MIGRATE",
        True,
        "Turn LibreChat's old isPublic links into access entries when they are first seen",
    )
    fork_ip_max: int = env(
        "FORK_IP_MAX", 30, "Forks of shared links and own chats per window and address", ge=1
    )
    fork_ip_window: float = env("FORK_IP_WINDOW", 1.0, "That window in minutes", gt=0)
    fork_user_max: int = env(
        "FORK_USER_MAX", 7, "Forks of shared links and own chats per window and user", ge=1
    )
    fork_user_window: float = env("FORK_USER_WINDOW", 1.0, "That window in minutes", gt=0)
    fork_violation_score: float = env(
        "FORK_VIOLATION_SCORE", 1.0, "Score of a fork that was refused by these limits"
    )
    app_title: str = env("APP_TITLE", "LibreChat", "Name of the site on shared pages")
    analytics_gtm_id: str | None = env(
        "ANALYTICS_GTM_ID", None, "Google Tag Manager container, on shared pages too"
    )
    bundler_url: str | None = env("SANDPACK_BUNDLER_URL", None, "Bundler of shared artifacts")
    static_bundler_url: str | None = env(
        "SANDPACK_STATIC_BUNDLER_URL", None, "Bundler of shared static artifacts"
    )
    custom_footer: str | None = env(
        "CUSTOM_FOOTER", None, "Footer of shared pages; set but empty hides the default one"
    )


class _Section(BaseModel):
    """Other keys of the section belong to other plugins."""

    model_config = ConfigDict(extra="allow")


def _bare(value: Any) -> Any:
    return {} if isinstance(value, bool) else value


class Links(_Section):
    """``interface.sharedLinks``; its permissions belong to roles."""

    snapshotFiles: StrictBool = Field(  # noqa: N815  (the key of the file)
        True, description="New shared links include the files of the chat"
    )


BareLinks = Annotated[Links, BeforeValidator(_bare, json_schema_input_type=bool | Links)]


class InterfaceLinks(_Section):
    """The key of ``interface`` that this plugin reads beside the client's policies."""

    sharedLinks: BareLinks | None = None  # noqa: N815


class Settings:
    """The current configuration; a reload changes it.

    ``files_by_default``: new links include files. ``files_off``: no link serves any.
    """

    def __init__(self, config: ShareConfig, interface: Any, environment: Mapping[str, str]) -> None:
        self.configure(config, interface, environment)

    def configure(
        self, config: ShareConfig, interface: Any, environment: Mapping[str, str]
    ) -> None:
        """Take new values."""
        section = mapping(interface)
        self.enabled = config.shared_links
        self.public = config.public_links
        self.auto_migrate = config.auto_migrate
        chosen = config.snapshot_files
        given = mapping(section.get("sharedLinks")).get("snapshotFiles") is not False
        self.files_by_default = given if chosen is None else chosen
        self.files_off = chosen is False
        footer = config.custom_footer
        if footer is None and "CUSTOM_FOOTER" in environment:
            footer = ""  # set but empty differs from absent
        page = {
            "appTitle": config.app_title,
            "analyticsGtmId": config.analytics_gtm_id,
            "bundlerURL": config.bundler_url,
            "staticBundlerURL": config.static_bundler_url,
            "customFooter": footer,
            "interface": {
                name: section[name]
                for name in ("privacyPolicy", "termsOfService")
                if section.get(name)
            }
            or None,
        }
        self.page = {name: value for name, value in page.items() if value is not None}


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping of the configuration file, or an empty one."""
    return value if isinstance(value, Mapping) else {}
