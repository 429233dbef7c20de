"""JSON Web Tokens that the team's own program signs: for the API, and for signing a person in.

The algorithm is the instance's setting, never the token's word. The two kinds are told apart by their
audience, so that neither can be used in the other's place. Source: docs/security.md, signed tokens.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from errors import Forbidden, InvalidRequest, Unauthorized
from extensions import db
from models.accounts import ROLES, SCOPES, Membership, OneTimeToken, User
from services import audit
from services.accounts import memberships, sessions, users
from services.accounts.accounts import account_by_name
from services.accounts.callers import Caller
from services.accounts.sign_in import Browser
from services.clock import wall_now
from services.unit_of_work import atomic

SIGN_IN_AUDIENCE = "coffer-sso"
LONGEST_SIGN_IN = timedelta(minutes=5)
LONGEST_TOKEN = 4096
ACTOR = "sso"


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """How tokens are signed: HS256 with the shared secret, RS256 or ES256 checked with the public key."""

    algorithm: str
    key: str

    @property
    def is_set(self) -> bool:
        """Whether this instance takes signed tokens at all."""
        return bool(self.key)


@dataclass(frozen=True, slots=True)
class SignInClaims:
    """Whom a sign-in token lets in, and where."""

    token_id: str
    account: str
    email: str
    role: str | None
    gone_at: datetime


def caller_of_token(token: str, terms: TokenTerms) -> Caller:
    """Who a signed token speaks for: the account that ``sub`` names, with scope ``read`` unless it says more.

    Raises Unauthorized in the same words whatever is wrong, NotFound where there is no such account.
    """
    claims = _claims(token, terms, audience=None)
    account_id = account_by_name(_text(claims, "sub"))
    return Caller(f"jwt:{account_id}", account_id, _scopes(claims.get("scope")))


def sign_in_with_token(token: str, terms: TokenTerms, browser: Browser) -> tuple[str, str]:
    """Let in the person a sign-in token names: a new session's token, and the account's slug-or-id.

    The person is made where there is none, and joins the account. The token is good once. Raises
    Unauthorized, NotFound (account), InvalidRequest (email, role), Forbidden for operators.
    """
    claims = _claims(token, terms, audience=SIGN_IN_AUDIENCE)
    wanted = _sign_in_claims(claims)
    return _let_in(wanted, browser), wanted.account


def _claims(token: str, terms: TokenTerms, audience: str | None) -> dict[str, Any]:
    import jwt  # with its cryptography it takes memory that an instance without signed tokens does not owe

    if not terms.is_set or len(token) > LONGEST_TOKEN:
        raise _refusal()
    try:
        claims = jwt.decode(
            token,
            terms.key,
            algorithms=[terms.algorithm],
            audience=audience,
            options={"require": ["exp", "sub"], "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        raise _refusal() from None
    return claims


def _refusal() -> Unauthorized:
    return Unauthorized("The token is not valid: unknown, expired, or signed otherwise.")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or "\x00" in value or len(value) > 320:
        raise _refusal()
    return value


def _scopes(value: object) -> frozenset[str]:
    """Scopes by space or comma, as text or as a list; what is no scope of ours gives nothing."""
    words = value if isinstance(value, list) else str(value or "").replace(",", " ").split()
    return frozenset(word for word in words if word in SCOPES) | {"read"}


def _sign_in_claims(claims: dict[str, Any]) -> SignInClaims:
    now = wall_now()
    if claims["exp"] > (now + LONGEST_SIGN_IN).timestamp():
        raise Unauthorized("A sign-in token may last five minutes at most.")
    role = claims.get("role")
    if role is not None and role not in ROLES:
        raise InvalidRequest.of("role", f"must be one of {', '.join(ROLES)}")
    email = users.normalised_email(_text(claims, "email"))
    return SignInClaims(_text(claims, "jti"), _text(claims, "sub"), email, role, now + LONGEST_SIGN_IN)


@atomic
def _let_in(wanted: SignInClaims, browser: Browser) -> str:
    _use_up(wanted)
    account_id = account_by_name(wanted.account)
    user_id = _person(wanted.email)
    _belong(user_id, account_id, wanted.role)
    audit.record("user.signed_in", ACTOR, account_id, user_id=user_id)
    return sessions.open_session(user_id, browser.address, browser.user_agent)


def _use_up(wanted: SignInClaims) -> None:
    """Note the token's id, which is unique: whoever comes second finds it taken. Raises Unauthorized."""
    now = wall_now()
    row = OneTimeToken(
        token_hash=hashlib.sha256(f"sso {wanted.token_id}".encode()).hexdigest(),
        purpose="sign_in", created_at=now, expires_at=wanted.gone_at, used_at=now,
    )  # fmt: skip
    db.session.add(row)
    try:
        db.session.flush()
    except IntegrityError:
        raise Unauthorized("This sign-in token was used already.") from None


def _person(email: str) -> int:
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        return users.insert_user(email, None, actor=ACTOR)
    if user.disabled_at is not None:
        raise _refusal()
    if user.is_operator:
        # The team's program may speak for its customers, not for whoever runs the instance.
        raise Forbidden("Operators sign in with their password.")
    user.last_login_at = wall_now()
    return user.id


def _belong(user_id: int, account_id: int, role: str | None) -> None:
    """A member as the token says; without a word of it a newcomer views, and others stay what they are."""
    row = db.session.scalar(
        select(Membership).where(Membership.user_id == user_id, Membership.account_id == account_id)
    )
    if row is None:
        memberships.add_member(user_id, account_id, role or "viewer", actor=ACTOR)
    elif role is not None and role != row.role:
        memberships.change_role(account_id, row.id, role, actor=ACTOR)
