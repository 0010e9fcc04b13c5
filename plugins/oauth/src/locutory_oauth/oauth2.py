"""The parts that every flow of OAuth 2.0 needs: authorization request and token endpoint."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus

import httpx2
from authlib.common.urls import add_params_to_uri  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import (  # type: ignore[import-untyped]
    AsyncOAuth2Client,
    OAuth2ClientAuth,
)
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]

from locutory_oauth.http_client import HttpClient, Unreachable, json_object, reachable
from locutory_oauth.identity import Denied, Refused

POST = "client_secret_post"
BASIC = "client_secret_basic"
_BARE = "client_secret_basic, not form-encoded"
_PUBLIC = "none"
_WORD = 64
_SENTENCE = 200
_NO_SUCH_CLIENT = frozenset({"invalid_client", "unauthorized_client"})
_SECRETS = ("code", "code_verifier", "refresh_token", "assertion")


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
    """The address at which a browser requests a code. ``verifier``: of PKCE, whose challenge is
    sent."""
    client = OAuth2Client(
        None,
        client_id=client_id,
        redirect_uri=redirect_uri,
        scope=scope,
        code_challenge_method="S256",
    )
    url, _ = client.create_authorization_url(endpoint, state=state, code_verifier=verifier)
    found: str = add_params_to_uri(url, dict(more or {}))  # any names, those of Authlib's too
    return found


def code_of(answer: Mapping[str, str]) -> str:
    """The code of an authorization answer; `Denied` or `Refused` without one."""
    if "error" in answer:
        reason = error_text(answer["error"], answer.get("error_description"))
        raise Denied("denied", f"the provider did not agree: {reason}")
    code = answer.get("code")
    if not code:
        raise Refused("answer", "the answer holds no code")
    return code


def error_text(error: Any, description: Any = None, hidden: Iterable[str] = ()) -> str:
    """An error as a provider words it, for the log: short, on one line, and nothing of it that
    repeats one of ``hidden``."""
    word = error if isinstance(error, str) else type(error).__name__
    text = _printable(word, _WORD) or "an error"
    more = _printable(description, _SENTENCE) if isinstance(description, str) else ""
    if more and not any(secret and secret in str(description) for secret in hidden):
        text += f" ({more})"
    return text


def _printable(text: str, max_length: int) -> str:
    return "".join(each for each in text if each.isprintable())[:max_length].strip()


class _Client(AsyncOAuth2Client):  # type: ignore[misc]
    """Gives the answers of the token endpoint as they are: Authlib's errors hold no status, and
    know no errors but the standard's."""

    def parse_response_token(self, resp: httpx2.Response) -> httpx2.Response:
        return resp


class TokenEndpoint:
    """Requests tokens from a provider. When a provider does not accept the secret in one way, the
    next one that it offers is tried; the way that it accepted last is tried first.

    Args:
        secret: called at each use; ``None`` makes a public client.
        method: the only way of sending the secret; ``None`` for those that the provider offers.
    """

    def __init__(
        self,
        http: HttpClient,
        client_id: str,
        secret: Callable[[], str] | None,
        method: str | None = None,
    ) -> None:
        self._http = http
        self._client_id = client_id
        self._secret = secret
        self._method = method
        self._taken = ""

    def _ways(self, offered: Sequence[str], secret: str) -> list[str]:
        """Ways of showing the secret, in the order in which they are tried."""
        if self._secret is None:
            return [_PUBLIC]
        if self._method is not None:
            ways = [self._method]
        else:
            # The standard's default is basic; of two that are offered LibreChat takes post.
            ways = [each for each in (POST, BASIC) if each in offered] or [BASIC, POST]
        text = self._client_id + secret
        if BASIC in ways and quote_plus(text) != text:
            ways.append(_BARE)
        return sorted(ways, key=lambda way: way != self._taken)

    def _auth(self, way: str, secret: str) -> httpx2.Auth:
        # Authlib's own header is not form-encoded, as RFC 6749 §2.3.1 has it; that of `_BARE`
        # is for servers that take what stands there as it is.
        if way == BASIC:
            return httpx2.BasicAuth(quote_plus(self._client_id), quote_plus(secret))
        if way == _BARE:
            return httpx2.BasicAuth(self._client_id, secret)
        auth: httpx2.Auth = OAuth2ClientAuth(self._client_id, secret, way)
        return auth

    async def ask(
        self, url: str, form: Mapping[str, str], offered: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        """The answer with an access token. `Refused` with the provider's reason, `Unreachable`
        for an answer that is none.

        Args:
            offered: ways of showing the secret that the provider announces.
        """
        what = "the token endpoint"
        response = await self._send(
            offered, what, lambda client, auth: client.fetch_token(url, auth=auth, **form)
        )
        answer, status = json_object(response.content), response.status_code
        if status >= 500 or answer is None:
            form_of = "" if answer is not None else ", and not with JSON"
            raise Unreachable(f"{what} answers with status {status}{form_of}", status=status)
        if status >= 400 or "error" in answer:
            hidden = [form[name] for name in _SECRETS if name in form]
            hidden += [] if self._secret is None else [self._secret()]
            reason = _reason(answer, hidden)
            raise Refused("grant", f"the provider refuses: {reason}, status {status}")
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise Refused("tokens", "the provider gave no access token")
        return answer

    async def revoke(self, url: str, token: str, offered: Sequence[str] = ()) -> None:
        """Revoke a refresh token at the revocation endpoint (RFC 7009); raises `Unreachable` when
        that fails."""
        what, hint = "the revocation endpoint", "refresh_token"
        response = await self._send(
            offered,
            what,
            lambda client, auth: client.revoke_token(url, token, token_type_hint=hint, auth=auth),
        )
        if response.status_code >= 400:
            raise Unreachable(f"{what} answers {response.status_code}")

    async def _send(
        self,
        offered: Sequence[str],
        what: str,
        request: Callable[[AsyncOAuth2Client, httpx2.Auth], Awaitable[httpx2.Response]],
    ) -> httpx2.Response:
        """The answer to a request of this client; the last one, if it takes none."""
        secret = "" if self._secret is None else self._secret()
        async with _Client(self._client_id, **self._http.options()) as client:
            for way in self._ways(offered, secret):
                async with reachable(what):
                    response = await request(client, self._auth(way, secret))
                if not _no_such_client(response):
                    self._taken = way
                    break
        return response


def _no_such_client(response: httpx2.Response) -> bool:
    if not 400 <= response.status_code < 500:
        return False
    error = (json_object(response.content) or {}).get("error")
    return error in _NO_SUCH_CLIENT if isinstance(error, str) else response.status_code == 401


def _reason(answer: Mapping[str, Any], hidden: Iterable[str]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):  # Facebook
        return error_text(error.get("type"), error.get("message"), hidden)
    return error_text(error, answer.get("error_description"), hidden)
