"""Calls that make, change and read accounts: how a team's sign-up uses Coffer."""

from typing import Any

from flask import Response

from blueprints.api import answers, schemas
from blueprints.api.calls import INSTANCE, Asked, answered, call
from errors import Conflict, Forbidden, NotFound
from services.accounts import accounts as service
from services.accounts.accounts import AccountView, NewAccount
from services.accounts.callers import account_for
from services.clock import iso

ONLY_PLATFORM = ("slug", "external_id", "status")


@call(
    "POST", "/api/accounts", "Make an account, or find the one of an external id", scope="manage",
    platform_only=True, body=schemas.AccountBody, refusals=(Conflict,),
    answers={201: answers.Account, 200: answers.Account},
)  # fmt: skip
def create_account(asked: Asked) -> Response:
    given = asked.body.model_dump(exclude_none=True)

    def operation() -> tuple[int, dict[str, Any]]:
        account, created = service.create_account(NewAccount(**given), actor=asked.caller.actor)
        return 201 if created else 200, account_answer(account)

    return asked.once(INSTANCE, operation)


@call(
    "GET", "/api/accounts", "The accounts of the instance, oldest first", scope="read",
    platform_only=True, query=schemas.AccountsQuery, answers={200: answers.Accounts},
)  # fmt: skip
def list_accounts(asked: Asked) -> Response:
    limit = asked.query.limit
    page = service.list_accounts(limit=limit, cursor=asked.query.cursor)
    return answered(
        {
            "accounts": [account_answer(account) for account in page.accounts],
            "pagination": {
                "limit": limit,
                "has_more": page.next_cursor is not None,
                "next_cursor": page.next_cursor,
            },
        }
    )


@call(
    "GET", "/api/accounts/<path:name>", "One account, by slug or external id", scope="read",
    answers={200: answers.Account}, refusals=(NotFound,),
)  # fmt: skip
def read_account(asked: Asked, name: str) -> Response:
    return answered(account_answer(service.account_view(account_for(asked.caller, name))))


@call(
    "PATCH", "/api/accounts/<path:name>", "Change an account", scope="manage",
    body=schemas.AccountChanges, answers={200: answers.Account}, refusals=(NotFound, Conflict),
)  # fmt: skip
def change_account(asked: Asked, name: str) -> Response:
    account_id = account_for(asked.caller, name)
    changes = asked.body.model_dump(exclude_unset=True)
    if not asked.caller.is_platform and any(field in changes for field in ONLY_PLATFORM):
        raise Forbidden(f"Only a platform key changes {', '.join(ONLY_PLATFORM)}.")
    changed = service.update_account(account_id, changes, actor=asked.caller.actor)
    return answered(account_answer(changed))


def account_answer(account: AccountView) -> dict[str, Any]:
    """An account as the API writes it."""
    return {
        "id": account.public_id,
        "account": account.slug,
        "slug": account.slug,
        "external_id": account.external_id,
        "name": account.name,
        "email": account.email,
        "kind": account.kind,
        "agency": account.agency,
        "catalogue": account.catalogue,
        "currency": account.currency,
        "time_zone": account.time_zone,
        "locale": account.locale,
        "status": account.status,
        "created_at": iso(account.created_at),
    }
