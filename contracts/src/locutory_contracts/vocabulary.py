"""LibreChat's names, and the plugin that serves each.

With them the kernel distinguishes a key whose plugin is off (a note) from an unknown key (an error
that names the nearest one), without knowing any feature itself.
"""

from typing import Any

from locutory_contracts.librechat_keys import KEYS
from locutory_contracts.librechat_variables import VARIABLES

LIBRECHAT: dict[str, dict[str, Any]] = {
    "sections": {
        "version": "",
        "cache": "",
        "secureImageLinks": "files",
        "imageOutputType": "files",
        "includedTools": "tools",
        "filteredTools": "tools",
        "fileStrategy": "files",
        "fileStrategies": "files",
        "cloudfront": "s3",
        "actions": "actions",
        "mcpServers": "mcp",
        "mcpSettings": "mcp",
        "registration": "auth",
        "turnstile": "auth",
        "balance": "balance",
        "transactions": "balance",
        "speech": "speech",
        "rateLimits": "files",
        "fileConfig": "files",
        "ocr": "files",
        "webSearch": "tools",
        "memory": "memories",
        "summarization": "agents",
        "modelSpecs": "endpoints",
        "messageFilter": "agents",
        "langfuse": "admin",
        "skillSync": "skills",
        "interface": "webclient",
        "endpoints": "endpoints",
    },
    "keys": KEYS,
    "variables": dict.fromkeys(VARIABLES.split(), ""),
    "permissions": {
        "PROMPTS": "prompts",
        "BOOKMARKS": "tags",
        "MEMORIES": "memories",
        "AGENTS": "agents",
        "MULTI_CONVO": "agents",
        "TEMPORARY_CHAT": "agents",
        "RUN_CODE": "tools",
        "WEB_SEARCH": "tools",
        "PEOPLE_PICKER": "roles",
        "MARKETPLACE": "agents",
        "FILE_SEARCH": "rag",
        "FILE_CITATIONS": "rag",
        "MCP_SERVERS": "mcp",
        "REMOTE_AGENTS": "agentsapi",
        "SKILLS": "skills",
        "SHARED_LINKS": "share",
    },
}
