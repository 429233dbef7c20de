"""The calls that a product makes while it works."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

from coffer_client.answers import Amount, Balance, Count, Deduction, Estimate, Refund, picked
from coffer_client.errors import CofferError
from coffer_client.transport import Transport

GivenAmount = int | float | Decimal | str
Function = TypeVar("Function", bound=Callable[..., Any])


class Hold:
    """Credits set aside; open inside ``with coffer.hold(…)``, ended when it is left."""

    def __init__(self, hold_id: int, amount: Amount, expires_at: str):
        self.id = hold_id
        self.amount = amount
        self.expires_at = expires_at
        self.to_capture: Amount | str | float = amount
        self.captured: Amount = 0
        self.transaction_id: int | None = None

    def use(self, amount: GivenAmount) -> None:
        """Capture this much of it in place of all; 0 gives all of it back. The last word counts.

        Raises ValueError for more than is held, or less than 0.
        """
        if not 0 <= Decimal(str(amount)) <= self.amount:
            raise ValueError(f"a hold of {self.amount} cannot capture {amount}")
        self.to_capture = amount


class Coffer:
    """One instance, reached with one key. With a platform key, ``account`` names whose credits are meant."""

    def __init__(
        self,
        base_url: str,
        key: str,
        account: str | None = None,
        timeout: float = 10,
        attempts: int = 4,
        longest_wait: float = 60,
    ):
        self.account = account
        self._transport = Transport(base_url, key, timeout, attempts, longest_wait)

    def check(self, amount: GivenAmount, credit_type: str | None = None, account: str | None = None) -> bool:
        """Whether so much may be spent now. It reserves nothing: a hold does."""
        body = {"amount": amount, "credit_type": credit_type}
        return bool(self._post("/api/credits/check", body, account)["allowed"])

    def balance(self, credit_type: str | None = None, account: str | None = None) -> Balance:
        """What the account has."""
        return picked(Balance, self._get("/api/credits/balance", {"credit_type": credit_type}, account))

    def deduct(
        self,
        amount: GivenAmount,
        *,
        task_id: str | None = None,
        description: str | None = None,
        credit_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> Deduction:
        """Take credits. Raises InsufficientCredits, and nothing is taken."""
        body = {
            "amount": amount, "task_id": task_id, "description": description, "credit_type": credit_type,
            "metadata": metadata,
        }  # fmt: skip
        return picked(Deduction, self._post("/api/credits/deduct", body, account, idempotency_key))

    def refund(
        self,
        transaction_id: int,
        amount: GivenAmount | None = None,
        *,
        description: str | None = None,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> Refund:
        """Give back what a deduction took, all that is left of it where no amount is given."""
        body = {"transaction_id": transaction_id, "amount": amount, "description": description}
        return picked(Refund, self._post("/api/credits/refund", body, account, idempotency_key))

    def estimate(
        self, items: Mapping[str, int] | Iterable[tuple[str, int]], account: str | None = None
    ) -> Estimate:
        """What priced actions would cost: ``{"poster": 3}``, or pairs of code and quantity."""
        pairs = items.items() if isinstance(items, Mapping) else items
        body = {"items": [{"price": code, "quantity": quantity} for code, quantity in pairs]}
        return picked(Estimate, self._post("/api/credits/estimate", body, account))

    def increment(
        self,
        meter: str,
        quantity: int = 1,
        *,
        task_id: str | None = None,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> Count:
        """Count usage. Raises LimitReached, and nothing is counted."""
        body = {"meter": meter, "quantity": quantity, "task_id": task_id}
        return picked(Count, self._post("/api/user/usage/increment", body, account, idempotency_key))

    def usage(self, days: int = 30, account: str | None = None) -> dict[str, Any]:
        """Each meter against its limit, ratios, and the days (7, 30 or 90), as the API answers it."""
        return self._get("/api/user/usage", {"days": days}, account)

    @contextmanager
    def hold(
        self,
        amount: GivenAmount,
        *,
        task_id: str | None = None,
        description: str | None = None,
        credit_type: str | None = None,
        expires_in: int | None = None,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> Iterator[Hold]:
        """Set credits aside for the block: captured where it ends well, released where it raises.

        Units: ``expires_in`` in seconds; a hold that nobody ends gives its credits back then.
        Raises InsufficientCredits, and the block is not entered.
        """
        body = {
            "amount": amount, "task_id": task_id, "description": description, "credit_type": credit_type,
            "expires_in": expires_in,
        }  # fmt: skip
        opened = self._post("/api/credits/holds", body, account, idempotency_key)
        hold = Hold(opened["id"], opened["amount"], opened["expires_at"])
        try:
            yield hold
        except BaseException as error:
            self._release_after(error, hold, account)
            raise
        if Decimal(str(hold.to_capture)) == 0:
            self._release(hold, account)
            return
        answer = self._post(f"/api/credits/holds/{hold.id}/capture", {"amount": hold.to_capture}, account)
        hold.captured, hold.transaction_id = answer["captured"], answer["transaction_id"]

    def metered(
        self, meter: str, quantity: int = 1, account: str | Callable[..., str] | None = None
    ) -> Callable[[Function], Function]:
        """Decorate a function so that each call is counted first; at the limit LimitReached is raised instead.

        Counting comes first so that callers at the same time cannot pass the limit together. ``account`` may
        be a function of the call's arguments. An ``async`` function is counted without stopping its loop.
        """

        def decorate(function: Function) -> Function:
            def count(*args: Any, **named: Any) -> None:
                whose = account(*args, **named) if callable(account) else account
                self.increment(meter, quantity, account=whose)

            @functools.wraps(function)
            def counted(*args: Any, **named: Any) -> Any:
                count(*args, **named)
                return function(*args, **named)

            @functools.wraps(function)
            async def counted_async(*args: Any, **named: Any) -> Any:
                await asyncio.to_thread(count, *args, **named)
                return await function(*args, **named)

            return counted_async if inspect.iscoroutinefunction(function) else counted  # type: ignore[return-value]

        return decorate

    def _release_after(self, error: BaseException, hold: Hold, account: str | None) -> None:
        """Release; a failure to is noted on the error that matters more."""
        try:
            self._release(hold, account)
        except CofferError as refusal:
            error.add_note(f"Hold {hold.id} was not released ({refusal}); it ends at {hold.expires_at}.")

    def _release(self, hold: Hold, account: str | None) -> None:
        self._post(f"/api/credits/holds/{hold.id}/release", {}, account)

    def _get(self, path: str, query: dict[str, Any], account: str | None) -> dict[str, Any]:
        return self._transport.get(path, {**query, "account": account or self.account})

    def _post(
        self, path: str, body: dict[str, Any], account: str | None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        return self._transport.post(path, {**body, "account": account or self.account}, idempotency_key)
