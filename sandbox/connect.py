"""Connected accounts, and what a payment may send to one."""

import secrets
from typing import Any

from sandbox.changes import merged_metadata, updated
from sandbox.lists import page, whole
from sandbox.parameters import (
    EXPAND,
    Shape,
    address,
    boolean,
    currency,
    email,
    identifier,
    list_shape,
    metadata,
    one_of,
    positive,
    string,
)
from sandbox.problems import StripeProblem, invalid, missing
from sandbox.routing import Call, route
from sandbox.store import Object, Store

# Accounts that exist from the start, as Stripe's test cards do: one can take money, one cannot yet.
READY_ACCOUNT = "acct_sandboxready"
UNFINISHED_ACCOUNT = "acct_sandboxunfinished"
LINK_SECONDS = 5 * 60
TRANSFER_DATA = Shape(("destination",), destination=identifier, amount=positive)
_REQUESTED = Shape(requested=boolean)
_ACCOUNT = {
    "business_profile": Shape(name=string, product_description=string, support_email=email, url=address),
    "business_type": one_of("company", "government_entity", "individual", "non_profit"),
    "capabilities": Shape(card_payments=_REQUESTED, transfers=_REQUESTED),
    "default_currency": currency, "email": email, "expand": EXPAND, "metadata": metadata,
}  # fmt: skip
_CONTROLLER = Shape(
    fees=Shape(payer=one_of("account", "application")), losses=Shape(payments=one_of("application", "stripe")),
    requirement_collection=one_of("application", "stripe"),
    stripe_dashboard=Shape(type=one_of("express", "full", "none")),
)  # fmt: skip
_PROFILE = dict.fromkeys(("mcc", "name", "product_description", "support_email", "support_phone",
                          "support_url", "url"))  # fmt: skip
_STILL_DUE = ["business_profile.url", "external_account", "tos_acceptance.date"]


@route(
    "POST", "/v1/accounts",
    Shape(type=one_of("custom", "express", "standard"), controller=_CONTROLLER, country=identifier, **_ACCOUNT),
)  # fmt: skip
def create_account(call: Call) -> Object:
    """It can take nothing until ``finish_onboarding``."""
    if "type" in call.given and "controller" in call.given:
        raise invalid("You may only specify one of these parameters: type, controller.", "type")
    return _new_account(call.store, call.given)


def _new_account(store: Store, given: dict[str, Any]) -> Object:
    controller = given.get("controller", {})
    account = store.new(
        "account", "acct", business_profile=_PROFILE | given.get("business_profile", {}),
        business_type=given.get("business_type"), country=given.get("country", "US"), charges_enabled=False,
        capabilities={name: "inactive" for name, wish in given.get("capabilities", {}).items()
                      if wish.get("requested")},
        controller={"type": "application", "is_controller": True, "fees": {"payer": "account"},
                    "losses": {"payments": "stripe"}, "requirement_collection": "stripe",
                    "stripe_dashboard": {"type": "full"}} | controller,
        default_currency=given.get("default_currency", "usd"), details_submitted=False,
        email=given.get("email"), metadata=merged_metadata({}, given.get("metadata", {})),
        payouts_enabled=False, requirements=_requirements(_STILL_DUE),
        type="none" if controller else given.get("type", "standard"),
    )  # fmt: skip
    del account["livemode"]
    account["external_accounts"] = whole([], f"/v1/accounts/{account['id']}/external_accounts")
    return store.put(account)


def _requirements(due: list[str]) -> Object:
    return {
        "alternatives": [], "current_deadline": None, "currently_due": due, "errors": [],
        "disabled_reason": "requirements.past_due" if due else None, "eventually_due": due,
        "past_due": due, "pending_verification": [],
    }  # fmt: skip


def finish_onboarding(store: Store, account_id: str) -> Object:
    """What the owner of an account does at Stripe: whatever was asked for works from now on."""
    with store.change():
        account = account_of(store, account_id, "account")
        wanted = account["capabilities"] or {"transfers": "inactive"}
        account |= {
            "capabilities": dict.fromkeys(wanted, "active"), "charges_enabled": True, "details_submitted": True,
            "payouts_enabled": True, "requirements": _requirements([]),
        }  # fmt: skip
        return _told(store, account, {"charges_enabled": False})


def restrict_account(store: Store, account_id: str) -> Object:
    """Stripe takes back what an account may do."""
    with store.change():
        account = account_of(store, account_id, "account")
        account |= {
            "capabilities": dict.fromkeys(account["capabilities"], "inactive"), "charges_enabled": False,
            "payouts_enabled": False, "requirements": _requirements(_STILL_DUE),
        }  # fmt: skip
        return _told(store, account, {"charges_enabled": True})


def _told(store: Store, account: Object, before: dict[str, Any]) -> Object:
    store.put(account)
    store.tell("account.updated", account, before=before, account=account["id"])
    return account


def account_of(store: Store, account_id: str, param: str) -> Object:
    """A connected account. Raises StripeProblem."""
    found = store.find("account", account_id)
    if found is None and account_id in (READY_ACCOUNT, UNFINISHED_ACCOUNT):
        found = _known_from_the_start(store, account_id)
    if found is None or found.get("deleted"):
        raise missing("account", account_id, param)
    return found


def _known_from_the_start(store: Store, account_id: str) -> Object:
    wishes = {"card_payments": {"requested": True}, "transfers": {"requested": True}}
    account = _new_account(store, {"capabilities": wishes, "email": "agency@example.com"})
    store.remove(account["id"])
    account |= {"id": account_id}
    if account_id == READY_ACCOUNT:
        account |= {
            "capabilities": dict.fromkeys(wishes, "active"), "charges_enabled": True, "payouts_enabled": True,
            "details_submitted": True, "requirements": _requirements([]),
        }  # fmt: skip
    return store.put(account)


@route("GET", "/v1/accounts/ID", Shape(expand=EXPAND))
def retrieve_account(call: Call) -> Object:
    with call.store.change():
        return account_of(call.store, call.id, "account")


@route("POST", "/v1/accounts/ID", Shape(**_ACCOUNT))
def update_account(call: Call) -> Object:
    account, wishes = account_of(call.store, call.id, "account"), call.given.pop("capabilities", {})
    for name, wish in wishes.items():
        if wish.get("requested"):
            account["capabilities"].setdefault(name, "inactive")
    return updated(call, account, "account.updated")


@route("DELETE", "/v1/accounts/ID", Shape())
def delete_account(call: Call) -> Object:
    account_of(call.store, call.id, "account")
    return call.store.put({"id": call.id, "object": "account", "deleted": True})


@route("GET", "/v1/accounts", list_shape())
def list_accounts(call: Call) -> Object:
    return page(call, "account")


@route(
    "POST", "/v1/account_links",
    Shape(("account", "refresh_url", "return_url", "type"), account=identifier, expand=EXPAND,
          refresh_url=address, return_url=address, type=one_of("account_onboarding", "account_update")),
)  # fmt: skip
def create_account_link(call: Call) -> Object:
    """A page where the owner of an account finishes it; for one visit and a few minutes."""
    given = call.given
    account = account_of(call.store, given["account"], "account")
    if given["type"] == "account_update" and account["controller"]["requirement_collection"] != "application":
        raise invalid("You cannot create `account_update` type Account Links for this account.", "type")
    link = call.store.new(
        "account_link", "alink", expires_at=call.store.now() + LINK_SECONDS, _account=account["id"],
        _refresh_url=given["refresh_url"], _return_url=given["return_url"], _token=secrets.token_urlsafe(18),
    )  # fmt: skip
    del link["livemode"]
    link["url"] = f"{call.store.public_base_url}/sandbox/connect/{link['id']}"
    call.store.put(link)
    return {name: value for name, value in link.items() if name != "id"}


def link_of(store: Store, link_id: str) -> Object | None:
    """A link that still leads somewhere."""
    link = store.get("account_link", link_id)
    return link if link["expires_at"] > store.now() else None


def use_link(store: Store, link_id: str, *, finishes: bool) -> str:
    """What the owner does on the page; the address to go on to."""
    with store.change():
        link = store.get("account_link", link_id)
        if link["expires_at"] <= store.now():
            return link["_refresh_url"]
        store.put(link | {"expires_at": store.now()})
        if finishes:
            finish_onboarding(store, link["_account"])
        return link["_return_url"]


def require_connect(store: Store, given: dict[str, Any], amount: int | None, *inside: str) -> None:
    """Check what a payment is to send to a connected account. Raises StripeProblem.

    ``amount``: of the payment, in minor units, where it is known. ``inside``: where the parameters stand.
    """
    data, fee = given.get("transfer_data") or {}, given.get("application_fee_amount")
    if given.get("on_behalf_of"):
        account_of(store, given["on_behalf_of"], _name_of(*inside, "on_behalf_of"))
    if not data:
        if fee is not None:
            raise invalid("Can only apply an application_fee_amount when the PaymentIntent is attempting a "
                          "direct payment or destination payment.",
                          _name_of(*inside, "application_fee_amount"))  # fmt: skip
        return
    destination = _name_of(*inside, "transfer_data", "destination")
    if account_of(store, data["destination"], destination)["capabilities"].get("transfers") != "active":
        raise StripeProblem(
            400, "invalid_request_error", param=destination, code="insufficient_capabilities_for_transfer",
            message="Your destination account needs to have at least one of the following capabilities "
            "enabled: transfers, crypto_transfers, legacy_payments",
        )  # fmt: skip
    if fee is not None and "amount" in data:
        raise invalid("You may only specify one of these parameters: application_fee_amount, "
                      "transfer_data[amount].", _name_of(*inside, "transfer_data", "amount"))  # fmt: skip
    parts = ((fee, ("application_fee_amount",)), (data.get("amount"), ("transfer_data", "amount")))
    for part, path in parts:
        if part is not None and amount is not None and part > amount:
            raise invalid(f"The {path[-1]} ({part}) must not be greater than the amount of the payment ({amount}).",
                          _name_of(*inside, *path))  # fmt: skip


def _name_of(first: str, *rest: str) -> str:
    return first + "".join(f"[{part}]" for part in rest)
