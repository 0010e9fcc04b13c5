"""The HTTP routes of chat turns (chat-stream §2)."""

from locutory import Answer, Route, RouteGroup, SignedIn
from locutory_agents.routes.bodies import (
    AbortBody,
    ChatBody,
    ResumeBody,
    SteerBody,
    SteerChangeBody,
)
from locutory_agents.routes.control import Abort, Resume
from locutory_agents.routes.deps import RouteDeps
from locutory_agents.routes.start import Start
from locutory_agents.routes.status import ActiveJobs, Status
from locutory_agents.routes.steering import Steering
from locutory_agents.routes.stream import Stream

BASE = "/api/agents/chat"

_STARTED = {
    200: {
        "streamId": "uuid",
        "conversationId": "uuid",
        "generationCreatedAt": 1764547200000,
        "status": "started",
        "generationProtocolVersion": 2,
    },
    400: "A field is wrong, or the text holds a secret",
    403: "The role lacks AGENTS.USE or MULTI_CONVO.USE",
    409: "The parent is not saved yet, the predecessor differs, or the thread is read-only",
    429: "Too many turns at once",
    503: "Starting; retried by the client",
}
_STEERED = {202: {"status": "queued", "steerId": "uuid", "position": 1}, 404: "Nothing runs"}


def routes(deps: RouteDeps) -> list[Route]:
    """Every route, most specific first."""
    start, steering = Start(deps), Steering(deps)
    chat = RouteGroup(BASE, access=SignedIn())
    gated = chat.but(gates=(deps.ready,))
    return [
        chat.get(
            "/stream/{stream_id}",
            Stream(deps),
            "Events of a turn, from the start or from a snapshot",
            contract="chat-stream §6",
            responses={
                200: Answer("The events, server-sent", {"text/event-stream": None}),
                403: "Not the owner",
                404: "No such turn",
                409: "Replaced",
            },
        ),
        chat.get(
            "/status/{conversation_id}",
            Status(deps),
            "Whether a turn runs, and what it has said so far",
            contract="chat-stream §7",
            responses={200: {"active": False}, 403: "Not the owner", 503: "Being saved"},
        ),
        chat.get(
            "/active",
            ActiveJobs(deps),
            "Conversations in which a turn of the caller runs",
            contract="chat-stream §7",
            responses={200: {"activeJobIds": ["uuid"]}},
        ),
        chat.post(
            "/abort",
            Abort(deps),
            "Stop a turn; what it said stays",
            contract="chat-stream §7",
            body_schema=AbortBody,
            responses={
                200: {"success": True, "aborted": "uuid"},
                400: "Invalid target",
                403: "Not the owner",
                404: "No such turn",
                409: "Replaced, ambiguous, or not stopped yet",
            },
        ),
        gated.post(
            "/resume",
            Resume(deps),
            "Answer a turn that waits for its user",
            contract="chat-stream §8",
            body_schema=ResumeBody,
            responses={
                200: {
                    "streamId": "uuid",
                    "conversationId": "uuid",
                    "status": "resuming",
                    "generationProtocolVersion": 2,
                },
                404: "No turn waits",
                409: "The turn does not wait for this",
            },
            failure={"error": "Failed to resume"},
        ),
        gated.post(
            "/steer",
            steering.steer,
            "Add words to a running turn",
            contract="chat-stream §9",
            body_schema=SteerBody,
            responses=_STEERED,
        ),
        gated.post(
            "/steer/cancel",
            steering.cancel,
            "Take added words back",
            contract="chat-stream §9",
            body_schema=SteerChangeBody,
            responses={200: {"removed": True}},
        ),
        gated.post(
            "/steer/arm",
            steering.arm,
            "Interrupt the model for the sake of added words",
            contract="chat-stream §9",
            body_schema=SteerChangeBody,
            responses={200: {"armed": True}},
        ),
        gated.post(
            "/steer/deliver",
            steering.deliver,
            "Add words, repeatable until known to have arrived",
            contract="chat-stream §9",
            body_schema=SteerBody,
            responses=_STEERED,
        ),
        gated.post(
            "",
            start,
            "Start a turn of the endpoint in the body",
            contract="chat-stream §4",
            body_schema=ChatBody,
            responses=_STARTED,
        ),
        gated.post(
            "/{endpoint}",
            start,
            "Start a turn",
            contract="chat-stream §4",
            body_schema=ChatBody,
            responses=_STARTED,
        ),
    ]
