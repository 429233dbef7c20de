"""Where Checkout may send a browser back to: this instance, or an origin that the settings allow."""

from urllib.parse import quote, urlsplit

from errors import InvalidRequest
from gateways.payments import Terms

LONGEST = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}


def return_addresses(
    slug: str, success_url: str | None, cancel_url: str | None, terms: Terms
) -> tuple[str, str]:
    """The success and cancel addresses of a Checkout. Raises InvalidRequest, which names the field."""
    billing = f"{terms.base_url}/home/{quote(slug)}/billing"
    return (
        _checked(success_url, "success_url", terms)
        or f"{billing}/success?session_id={{CHECKOUT_SESSION_ID}}",
        _checked(cancel_url, "cancel_url", terms) or f"{billing}?canceled=1",
    )


def _checked(address: str | None, field: str, terms: Terms) -> str | None:
    if address is None:
        return None
    allowed = {_origin(base) for base in (terms.base_url, *terms.return_origins)}
    if len(address) > LONGEST or _origin(address) not in allowed - {None}:
        raise InvalidRequest.of(
            field, "must be an address of this instance or of an origin in RETURN_ORIGINS"
        )
    return address


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None where a browser might read the address in another way than we do."""
    if any(character <= " " or character == "\\" or ord(character) > 126 for character in address):
        return None
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or port is None:
        return None
    return parts.scheme, parts.hostname, port
