"""Access tokens of our own, for sessions whose provider gives none that can serve.

A provider may renew a session without a new id token (OpenID Connect Core §12.2), and its
access tokens are its own affair: often they are unreadable, or meant for another audience.
"""

import hashlib
import time

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey

from locutory_contracts.sign_in import OutsideSession
from locutory_oauth.openid.verification import TokenExpired

_ALGORITHM = "HS256"


class OwnTokens:
    """Issues and recognises them. One is good for a session, in the browser that has its
    signed cookie.

    Args:
        secret: the keys come from it.
        seconds: their life at most.
    """

    def __init__(self, secret: str, seconds: float) -> None:
        # A key of its own: what it signs must not pass for any other token.
        derived = hashlib.sha256(b"locutory oauth access\0" + secret.encode()).digest()
        self._key = OctKey.import_key(derived)
        self.seconds = seconds

    def issue(self, session: OutsideSession, until: float) -> str:
        """A token for a session that has an id, valid at most until a time in seconds since
        1970."""
        moment = time.time()
        claims = {
            "id": session.user_id,
            "session": session.id,
            "iat": int(moment),
            "exp": int(min(until, moment + self.seconds)),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key)

    def is_for(self, token: str, session: OutsideSession) -> bool:
        """``True`` for one of our own tokens of the session; `TokenExpired` for an expired one."""
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            if session.id is None:
                return False
            if (claims.get("id"), claims.get("session")) != (session.user_id, session.id):
                return False
            jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
        except ExpiredTokenError:
            raise TokenExpired from None
        except (JoseError, ValueError):
            return False
        return True
