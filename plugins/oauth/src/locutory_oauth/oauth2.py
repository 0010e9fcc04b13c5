"""What every flow of OAuth 2.0 needs: the authorization request, and the token endpoint."""

import hashlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from locutory_oauth.identity import Denied, Refused
from locutory_oauth.outbound import Outbound, Unreachable
from locutory_oauth.received import Received, receive

POST = "client_secret_post"
BASIC = "client_secret_basic"
_WORD = 64
_SENTENCE = 200
_NO_SUCH_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_SECRETS = ("code", "code_verifier", "refresh_token", "assertion")


def with_query(url: str, query: Mapping[str, str]) -> str:
    """An address with further members in its query."""
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *query.items()]
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def authorization_url(
    endpoint: str,
    *,
    client_id: str,
    redirect_uri: str,
    scope: str,
    state: str,
    verifier: str | None,
    more: Mapping[str, str] | None = None,
) -> str:
    """Where a browser asks for a code. ``verifier``: of PKCE, whose challenge is sent."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": state,
        **(more or {}),
    }
    if verifier is not None:
        digest = hashlib.sha256(verifier.encode()).digest()
        query["code_challenge"] = urlsafe_b64encode(digest).decode().rstrip("=")
        query["code_challenge_method"] = "S256"
    return with_query(endpoint, query)


def code_of(answer: Mapping[str, str]) -> str:
    """The code of an authorization answer; `Denied` or `Refused` without one."""
    if "error" in answer:
        reason = told(answer["error"], answer.get("error_description"))
        raise Denied("denied", f"the provider did not agree: {reason}")
    code = answer.get("code")
    if not code:
        raise Refused("answer", "the answer holds no code")
    return code


def told(error: Any, description: Any = None, hidden: Iterable[str] = ()) -> str:
    """An error as a provider words it, for the log: short, on one line, and nothing of it that
    repeats one of ``hidden``."""
    word = error if isinstance(error, str) else type(error).__name__
    text = _printable(word, _WORD) or "an error"
    more = _printable(description, _SENTENCE) if isinstance(description, str) else ""
    if more and not any(secret and secret in str(description) for secret in hidden):
        text += f" ({more})"
    return text


def _printable(text: str, longest: int) -> str:
    return "".join(each for each in text if each.isprintable())[:longest].strip()


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of showing the client's secret. ``encoded``: as the standard has it; some
    servers take what stands in the header as it is."""

    method: str
    encoded: bool = True

    def __str__(self) -> str:
        return self.method if self.encoded else f"{self.method}, not form-encoded"


class TokenEndpoint:
    """Asks a provider for tokens.

    A provider that does not take the secret in one way is asked in the next one that it
    offers; what it took last is tried first.

    Args:
        secret: asked for at each use; ``None`` makes a public client.
        method: the only way of showing the secret; ``None`` for what the provider offers.
    """

    def __init__(
        self,
        outbound: Outbound,
        client_id: str,
        secret: Callable[[], str] | None,
        method: str | None = None,
    ) -> None:
        self._outbound = outbound
        self._client_id = client_id
        self._secret = secret
        self._method = method
        self._taken: _Way | None = None

    def _ways(self, offered: Sequence[str], secret: str) -> list[_Way]:
        if self._method is not None:
            methods = [self._method]
        else:
            # The standard's default is basic; of two that are offered LibreChat takes post.
            methods = [each for each in (POST, BASIC) if each in offered] or [BASIC, POST]
        ways = [_Way(method) for method in methods]
        if BASIC in methods and _encoded(self._client_id, secret) != (self._client_id, secret):
            ways.append(_Way(BASIC, encoded=False))
        return sorted(ways, key=lambda way: way != self._taken)

    def _shown(self, way: _Way, secret: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form members that say who asks."""
        if way.method == POST:
            return {}, {"client_id": self._client_id, "client_secret": secret}
        pair = (self._client_id, secret)
        name, password = _encoded(*pair) if way.encoded else pair
        return {"authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}, {}

    async def ask(
        self, url: str, form: Mapping[str, str], offered: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        """The answer with an access token. `Refused` with the provider's reason, `Unreachable`
        for an answer that is none.

        Args:
            offered: ways of showing the secret that the provider announces.
        """
        received = await self.send(url, form, offered, "the token endpoint")
        answer = received.object()
        if received.status >= 500 or answer is None:
            form_of = "" if answer is not None else ", and not with JSON"
            text = f"the token endpoint answers with status {received.status}{form_of}"
            raise Unreachable(text, status=received.status)
        if received.status >= 400 or "error" in answer:
            hidden = [form[name] for name in _SECRETS if name in form]
            hidden += [] if self._secret is None else [self._secret()]
            reason = _reason(received, answer, hidden)
            raise Refused("grant", f"the provider refuses: {reason}")
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise Refused("tokens", "the provider gave no access token")
        return answer

    async def send(
        self, url: str, form: Mapping[str, str], offered: Sequence[str], what: str
    ) -> Received:
        """The answer to a request of this client; the last one, if it takes none."""
        if self._secret is None:
            public = {**form, "client_id": self._client_id}
            return await receive(self._outbound, url, what, headers={}, form=public)
        secret = self._secret()
        for way in self._ways(offered, secret):
            headers, members = self._shown(way, secret)
            received = await receive(
                self._outbound, url, what, headers=headers, form={**form, **members}
            )
            if not _no_such_client(received):
                self._taken = way
                break
        return received


def _encoded(client_id: str, secret: str) -> tuple[str, str]:
    """Client id and secret as they go into the header (RFC 6749 §2.3.1)."""
    return quote_plus(client_id), quote_plus(secret)


def _no_such_client(received: Received) -> bool:
    if not 400 <= received.status < 500:
        return False
    answer = received.object() or {}
    error = answer.get("error")
    return error in _NO_SUCH_CLIENT if isinstance(error, str) else received.status == 401


def _reason(received: Received, answer: Mapping[str, Any], hidden: Iterable[str]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):  # Facebook
        reason = told(error.get("type"), error.get("message"), hidden)
    else:
        reason = told(error, answer.get("error_description"), hidden)
    return f"{reason}, status {received.status}"
