"""Answers for features that are off that depend on the request."""

from starlette.responses import Response

from locutory import Request, answer

_WEB_SEARCH_AUTH = {
    "authenticated": False,
    "authTypes": [
        ["providers", "user_provided"],
        ["scrapers", "user_provided"],
        ["rerankers", "system_defined"],
    ],
}
_CODE_AUTH = {"authenticated": True, "message": "system_defined"}


async def tool_auth(request: Request) -> Response:
    """The holder of the keys of a tool: nobody for web search; code needs none."""
    known = {"web_search": _WEB_SEARCH_AUTH, "execute_code": _CODE_AUTH}
    found = known.get(request.path_params["tool_id"])
    return answer(404, {"message": "Tool not found"}) if found is None else answer(200, found)


def _page_size(request: Request) -> int:
    """``limit`` (or ``pageSize``) as LibreChat reads it: 1 to 100, 20 for anything but a number."""
    text = request.query_text("limit") or request.query_text("pageSize")
    if text is None:
        return 10
    try:
        return min(100, max(1, int(text[:9])))
    except ValueError:
        return 20


async def prompt_groups(request: Request) -> Response:
    """An empty page of prompts that repeats the page size asked for."""
    body = {
        "promptGroups": [],
        "pageNumber": "1",
        "pageSize": str(_page_size(request)),
        "pages": "1",
        "has_more": False,
        "after": None,
    }
    return answer(200, body)


async def share_link(request: Request) -> Response:
    """A conversation that is not shared."""
    conversation = request.path_params["conversation_id"]
    return answer(200, {"success": False, "shareId": None, "conversationId": conversation})


async def resource_permissions(request: Request) -> Response:
    """A resource that nobody was given."""
    body = {
        "resourceType": request.path_params["resource_type"],
        "resourceId": request.path_params["resource_id"],
        "principals": [],
        "public": False,
    }
    return answer(200, body)


async def principals(request: Request) -> Response:
    """A search that finds nobody."""
    query = (request.query_text("q") or "").strip()
    if not query:
        return answer(400, {"error": 'Query parameter "q" is required and must not be empty'})
    body = {
        "query": query,
        "limit": 20,
        "types": None,
        "results": [],
        "count": 0,
        "sources": {"local": 0, "entra": 0},
    }
    return answer(200, body)
