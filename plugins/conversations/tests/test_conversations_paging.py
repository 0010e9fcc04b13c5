"""Paging over ties, nulls and gaps, against a plain model (contract convos §2.1)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MISSING = object()
DAYS = (-1.0, 0.001, 0.002, 1.0, 6.9, 8.0, 300.0, 4000.0)
PROJECT = "c" * 24


def sometimes(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from((MISSING, None, *values))


DATES = st.sampled_from(DAYS)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "title": sometimes("a", "b", "B", ""),
            "createdAt": DATES,
            "updatedAt": st.one_of(DATES, DATES, st.just(MISSING)),
            "archivedAt": st.one_of(sometimes(), DATES),
            "isArchived": st.sampled_from((MISSING, None, False, False, True)),
            "pinned": st.sampled_from((MISSING, False, True)),
            "chatProjectId": sometimes(PROJECT),
            "tags": st.sampled_from((MISSING, [], ["x"], ["x", "y"])),
            "isTemporary": st.sampled_from((MISSING, None, False, False, False, True)),
            "expiredAt": st.sampled_from((MISSING, None, None, -30.0, 30.0)),
        }
    ),
    max_size=14,
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "sortBy": st.sampled_from(("title", "createdAt", "updatedAt", "archivedAt")),
        "sortDirection": st.sampled_from(("asc", "desc")),
        "isArchived": st.just("true"),
        "pinned": st.just("true"),
        "projectId": st.sampled_from((PROJECT, "unassigned")),
        "tags": st.sampled_from(("x", "y")),
    },
)


def visible(row: dict[str, Any], moment: datetime) -> bool:
    temporary, expires = row.get("isTemporary"), row.get("expiredAt")
    if temporary is None:
        return expires is None
    return temporary is False and (expires is None or expires > moment)


def selected(row: dict[str, Any], query: dict[str, str]) -> bool:
    if (row.get("isArchived") is True) != ("isArchived" in query):
        return False
    if "pinned" in query and row.get("pinned") is not True:
        return False
    if "tags" in query and query["tags"] not in (row.get("tags") or ()):
        return False
    project = query.get("projectId")
    if project == "unassigned":
        return row.get("chatProjectId") is None
    return project is None or row.get("chatProjectId") == project


def sort_key(query: dict[str, str]) -> Callable[[dict[str, Any]], Any]:
    field = query.get("sortBy", "updatedAt")
    second = "createdAt" if field == "archivedAt" else "updatedAt"

    def key(row: dict[str, Any]) -> Any:
        parts = []
        for name in (field, second):
            value = row.get(name)
            parts.append((0,) if value is None else (1, value))
        return (*parts, row["_id"])

    return key


@given(rows=ROWS, query=QUERIES, limit=st.integers(1, 4))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_pages_join_to_the_sorted_list(
    world: Any,
    rows: list[dict[str, Any]],
    query: dict[str, str],
    limit: int,
) -> None:
    """Every page is full but the last, nothing is shown twice, nothing is left out."""
    moment = datetime.now(UTC).replace(microsecond=0, second=0)
    person = world.person()
    documents = []
    for row in rows:
        document: dict[str, Any] = {"_id": ObjectId(), "conversationId": str(ObjectId())}
        for name, value in row.items():
            if value is not MISSING:
                dated = isinstance(value, float)
                document[name] = moment - timedelta(days=value) if dated else value
        documents.append({**document, "user": person.id})
    if documents:
        await world.collection("conversations").insert_many(documents)
    wanted = [row for row in documents if visible(row, datetime.now(UTC)) and selected(row, query)]
    wanted.sort(key=sort_key(query), reverse=query.get("sortDirection") != "asc")
    expected = [str(row["_id"]) for row in wanted]
    found: list[str] = []
    cursor: str | None = None
    while True:
        extra = {} if cursor is None else {"cursor": cursor}
        answer = await person.get("/api/convos", **query, limit=str(limit), **extra)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += [row["_id"] for row in body["conversations"]]
        assert "nextCursor" in body
        cursor = body["nextCursor"]
        if cursor is None:
            break
        assert len(body["conversations"]) == limit
        assert len(found) <= len(expected)
    assert found == expected
