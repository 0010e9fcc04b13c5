"""Settings of the plugin, and the keys of ``interface`` that the client shows."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator

from locutory import env


class WebClientConfig(BaseModel):
    """Settings under ``plugins.webclient``; most come from LibreChat's variables."""

    model_config = ConfigDict(extra="forbid")

    client_dist: Path | None = env(
        "CLIENT_DIST", None, "Folder of the built web client; unset: 'client' in the data folder"
    )
    static_cache_max_age: int = env(
        "STATIC_CACHE_MAX_AGE", 172800, "Seconds a browser may keep a file, in production"
    )
    static_cache_s_max_age: int = env(
        "STATIC_CACHE_S_MAX_AGE", 86400, "Seconds a shared cache may keep a file, in production"
    )
    brotli: bool = env("ENABLE_STATIC_ASSET_BROTLI", False, "Send .br files where they lie beside")
    index_cache_control: str = env(
        "INDEX_CACHE_CONTROL", "no-cache, no-store, must-revalidate", "Cache-Control of index.html"
    )
    index_pragma: str = env("INDEX_PRAGMA", "no-cache", "Pragma of index.html")
    index_expires: str = env("INDEX_EXPIRES", "0", "Expires of index.html")
    app_title: str = env("APP_TITLE", "LibreChat", "Title of the web client")
    custom_footer: str | None = env(
        "CUSTOM_FOOTER", None, "Footer below the chat; set but empty hides the default one"
    )
    help_and_faq_url: str = env(
        "HELP_AND_FAQ_URL", "https://librechat.ai", "Link 'Help & FAQ'; '/' hides it"
    )
    show_birthday_icon: bool = env(
        "SHOW_BIRTHDAY_ICON", False, "Birthday icon on every day, also when set but empty"
    )
    analytics_gtm_id: str | None = env("ANALYTICS_GTM_ID", None, "Google Tag Manager container")
    bundler_url: str | None = env("SANDPACK_BUNDLER_URL", None, "Bundler of artifacts")
    static_bundler_url: str | None = env(
        "SANDPACK_STATIC_BUNDLER_URL", None, "Bundler of static artifacts"
    )
    allow_account_deletion: bool = env(
        "ALLOW_ACCOUNT_DELETION", True, "Users may delete their account; administrators always may"
    )
    file_upload_sse: bool = env("FILE_UPLOAD_SSE_ENABLED", False, "Uploads report their progress")
    sharepoint: bool = env("ENABLE_SHAREPOINT_FILEPICKER", False, "Offer files from SharePoint")
    sharepoint_base_url: str | None = env("SHAREPOINT_BASE_URL", None, "Address of SharePoint")
    sharepoint_graph_scope: str | None = env(
        "SHAREPOINT_PICKER_GRAPH_SCOPE", None, "Scope for Microsoft Graph"
    )
    sharepoint_scope: str | None = env(
        "SHAREPOINT_PICKER_SHAREPOINT_SCOPE", None, "Scope for SharePoint"
    )
    import_max_bytes: int = env(
        "CONVERSATION_IMPORT_MAX_FILE_SIZE_BYTES", 0, "Largest conversation file; 0: no limit"
    )
    insights: bool = env("ENABLE_INSIGHTS", False, "Show the insights dashboard")
    admin_panel_url: str | None = env(
        "ADMIN_PANEL_URL", None, "Address of an admin panel, shown to administrators"
    )
    build_commit: str | None = env("BUILD_COMMIT", None, "Commit shown in the client")
    build_branch: str | None = env("BUILD_BRANCH", None, "Branch shown in the client")
    build_date: str | None = env("BUILD_DATE", None, "Date of the build shown in the client")
    rum_enabled: bool = env("RUM_ENABLED", False, "Browser telemetry (HyperDX)")
    rum_provider: str = env("RUM_PROVIDER", "hyperdx", "Only 'hyperdx'")
    rum_url: str | None = env("RUM_URL", None, "Collector; https, or http on this machine")
    rum_service_name: str = env("RUM_SERVICE_NAME", "librechat-web", "Name of the service")
    rum_environment: str | None = env("RUM_ENVIRONMENT", None, "Name of the environment")
    rum_auth_mode: str = env("RUM_AUTH_MODE", "publicToken", "Only 'publicToken'")
    rum_public_token: str | None = env("RUM_PUBLIC_TOKEN", None, "Ingestion token, public")
    rum_trace_targets: list[str] = env(
        "RUM_TRACE_PROPAGATION_TARGETS", list, "https addresses that receive trace headers"
    )
    rum_disable_replay: bool = env("RUM_DISABLE_REPLAY", True, "No session replay")
    rum_console_capture: bool = env("RUM_CONSOLE_CAPTURE", False, "Collect the browser console")
    rum_network_capture: bool = env(
        "RUM_ADVANCED_NETWORK_CAPTURE", False, "Collect bodies of requests"
    )
    rum_sample_rate: str | None = env("RUM_SAMPLE_RATE", None, "Share of sessions, 0 to 1")

    @field_validator("client_dist")
    @classmethod
    def _holds_a_client(cls, folder: Path | None) -> Path | None:
        if folder is not None and not (folder.expanduser() / "index.html").is_file():
            raise ValueError(
                f"{folder} has no index.html: build the client there, or unset CLIENT_DIST"
            )
        return folder


class _Section(BaseModel):
    """Other keys of the section belong to other plugins."""

    model_config = ConfigDict(extra="allow")


class Policy(_Section):
    """A link to a document."""

    externalUrl: str | None = None  # noqa: N815  (keys of the file)
    openNewTab: StrictBool | None = None  # noqa: N815


class Terms(Policy):
    """The terms of service, which may have to be accepted."""

    modalAcceptance: StrictBool | None = None  # noqa: N815
    modalTitle: str | None = None  # noqa: N815
    modalContent: str | list[str] | None = None  # noqa: N815


class Currency(_Section):
    """The currency in which costs are shown."""

    code: str
    rate: float = Field(gt=0)


class InterfaceDisplay(_Section):
    """The keys of ``interface`` that only the client reads (config-yaml §3)."""

    privacyPolicy: Policy | None = None  # noqa: N815
    termsOfService: Terms | None = None  # noqa: N815
    customWelcome: str | None = None  # noqa: N815
    modelSelect: StrictBool | None = None  # noqa: N815
    parameters: StrictBool | None = None
    presets: StrictBool | None = None
    autoSubmitFromUrl: StrictBool | None = None  # noqa: N815
    buildInfo: StrictBool | None = None  # noqa: N815
    contextUsage: StrictBool | None = None  # noqa: N815
    contextCost: StrictBool | None = None  # noqa: N815
    currency: Currency | None = None
    defaultPinnedTools: list[str] | None = None  # noqa: N815
    temporaryChatRetention: float | None = None  # noqa: N815
    retentionMode: Literal["temporary", "all"] | None = None  # noqa: N815
    retainAgentFiles: StrictBool | None = None  # noqa: N815
