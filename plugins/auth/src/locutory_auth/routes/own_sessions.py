"""Routes for the caller's own sessions; LibreChat has none."""

from bson import ObjectId
from starlette.responses import Response

from locutory import JSON, HTTPError, Request, Route, RouteGroup, SignedIn
from locutory_auth.routes.bodies import Ended, SessionsAnswer
from locutory_auth.sessions.rotation import Sessions
from locutory_auth.sign_in.authenticator import SessionAuthenticator


class OwnSessionsRoutes:
    """The routes for the caller's own sessions: listing and ending them."""

    def __init__(self, sessions: Sessions, authenticator: SessionAuthenticator) -> None:
        self._sessions = sessions
        self._authenticator = authenticator

    def all(self) -> list[Route]:
        """The routes."""
        sessions = RouteGroup("/api/auth/sessions", access=SignedIn())
        return [
            sessions.get(
                "", self.show, "Where the caller is signed in", responses={200: SessionsAnswer}
            ),
            sessions.delete(
                "",
                self.end_others,
                "End every session of the caller but this one",
                responses={200: Ended},
            ),
            sessions.delete(
                "/{session_id}",
                self.end,
                "End one session of the caller",
                responses={200: Ended, 404: "The caller has no such session"},
            ),
        ]

    async def show(self, request: Request) -> Response:
        """``{sessions}``, newest first; ``current`` is the one of the access token."""
        current = (await self._authenticator.claims(request)).session
        listed = await self._sessions.of(ObjectId(request.caller.id))
        return JSON({"sessions": [{**each, "current": each["id"] == current} for each in listed]})

    async def end_others(self, request: Request) -> Response:
        """End the caller's other sessions, with their access tokens; respond with their number as
        ``{ended}``."""
        current = (await self._authenticator.claims(request)).session
        user = ObjectId(request.caller.id)
        listed = await self._sessions.of(user)
        others = [ObjectId(each["id"]) for each in listed if each["id"] != current]
        return JSON({"ended": await self._sessions.end_some(user, others)})

    async def end(self, request: Request) -> Response:
        """``{ended}``; 404 for a session that is over or somebody else's."""
        session = request.path_params["session_id"]
        ended = 0
        if ObjectId.is_valid(session):
            user = ObjectId(request.caller.id)
            ended = await self._sessions.end_some(user, [ObjectId(session)])
        if not ended:
            raise HTTPError(404, {"message": "Session not found"})
        return JSON({"ended": ended})
