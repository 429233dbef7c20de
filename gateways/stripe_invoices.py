"""Single invoices at Stripe: the part of the gateway that ``invoices.py`` asks for.

An invoice can be paid once, so what must never happen is a second invoice for one charge: it is made under a
key of the charge's, and looked for by its metadata where the key is of no use any more.
"""

from collections.abc import Callable, Iterator
from typing import Any

import stripe

from errors import PaymentDeclined, PaymentProviderUnavailable
from gateways.invoices import Collection, InvoiceRequest
from gateways.stripe_facts import plain, text
from gateways.stripe_subscription_facts import intent_of_invoice, invoice_facts
from gateways.subscriptions import InvoiceFacts

# Stripe, "Decline codes": another try with the same card will not help.
FINAL_DECLINES = (
    "lost_card", "stolen_card", "expired_card", "pickup_card", "restricted_card", "revocation_of_authorization",
    "revocation_of_all_authorizations", "invalid_account", "card_not_supported", "incorrect_number",
)  # fmt: skip
# A key under which Stripe keeps an error of its own is of no more use; so many are tried.
MOST_KEYS = 3
RETRY_AFTER_SECONDS = 5
WITH_PAYMENT = {"expand": ["payments.data.payment.payment_intent"]}
MOST_ITEMS = 100


class ServerTrouble(Exception):
    """Stripe failed with an error of its own, so the effect is unknown.

    ``is_kept``: the answer is the one kept under the key; asking again gives it again.
    """

    def __init__(self, is_kept: bool):
        super().__init__()
        self.is_kept = is_kept

    @classmethod
    def of(cls, error: stripe.StripeError) -> "ServerTrouble | None":
        """The trouble that an error tells of; None of any other error."""
        if error.http_status is None or error.http_status < 500:
            return None
        headers = {name.lower(): value for name, value in dict(error.headers or {}).items()}
        return cls(str(headers.get("idempotent-replayed", "")).lower() == "true")


class StripeInvoices:
    """Mixed into ``StripeGateway``, which brings the client and the translation of errors."""

    _client: stripe.StripeClient
    _ask: Callable[..., Any]
    _listed: Callable[..., Iterator[dict[str, Any]]]

    def have_invoice(self, request: InvoiceRequest) -> InvoiceFacts:
        """The invoice of a charge: looked for, made where there is none. Raises UnknownToProvider (customer).

        It is always looked for: keys are forgotten after a day, and a restored database does not know what it
        has asked.
        """
        found = self.invoice_of_charge(request)
        if found is not None:
            return found
        params = _parameters(request)
        key = f"coffer-invoice-{request.charge_id}-{request.customer_id}"
        made = self._sure(
            key,
            lambda options: self._client.v1.invoices.create(params, options),
            lambda: self.invoice_of_charge(request),
        )
        return made if isinstance(made, InvoiceFacts) else invoice_facts(made)

    def invoice_of_charge(self, request: InvoiceRequest) -> InvoiceFacts | None:
        """The invoice that was made for a charge, looked up by what it says of itself."""
        for item in self._listed(
            self._client.v1.invoices.list, request.made_since, customer=request.customer_id
        ):
            metadata = item.get("metadata") or {}
            is_its = metadata.get("charge") == request.charge_id
            if is_its and metadata.get("coffer_instance") == request.instance:
                return invoice_facts(item)
        return None

    def complete_invoice(self, invoice_id: str, request: InvoiceRequest) -> InvoiceFacts:
        """Give a draft the lines it lacks and finalise it; nobody is charged by that."""
        present = self._lines_present(invoice_id)
        for number, line in enumerate(request.lines):
            if str(number) not in present:
                self._add_line(invoice_id, number, line, request)
        done = self._sure(
            f"coffer-finalize-{invoice_id}",
            lambda options: self._client.v1.invoices.finalize_invoice(
                invoice_id, {"auto_advance": False}, options
            ),
            lambda: self._finalized(invoice_id),
        )
        facts = done if isinstance(done, InvoiceFacts) else invoice_facts(done)
        if facts.total_cents != request.total_cents:
            raise PaymentProviderUnavailable(
                f"Invoice {invoice_id} comes to {facts.total_cents}, not to {request.total_cents}."
            )
        return facts

    def collect_invoice(self, invoice_id: str, key: str, payment_method_id: str) -> Collection:
        """Try to collect an open invoice with a kept card, nobody being there."""
        params: dict[str, Any] = {"off_session": True, "payment_method": payment_method_id}
        try:
            self._sure(
                f"coffer-collect-{key}",
                lambda options: self._client.v1.invoices.pay(invoice_id, params, options),
                lambda: self._paid(invoice_id),
            )
        except PaymentDeclined as refusal:
            return self._refused(invoice_id, refusal)
        paid = self._paid(invoice_id)  # with its payment, by which it can be refunded
        if paid is None:
            raise PaymentProviderUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS)
        return Collection("paid", paid)

    def mark_paid_outside(self, invoice_id: str) -> InvoiceFacts:
        """Note that an open invoice was paid elsewhere."""
        options = {"idempotency_key": f"coffer-outside-{invoice_id}"}
        params: Any = {"paid_out_of_band": True}
        return invoice_facts(self._ask(lambda: self._client.v1.invoices.pay(invoice_id, params, options)))

    def _sure(
        self, key: str, call: Callable[[Any], Any], look: Callable[[], InvoiceFacts | set[str] | None]
    ) -> Any:
        """Make a call once, whatever Stripe says of itself: after an error of its own, look whether it was done."""
        for number in range(1, MOST_KEYS + 1):
            options = {"idempotency_key": f"{key}-{number}"}
            try:
                return self._ask(lambda options=options: call(options), tell_trouble=True)
            except ServerTrouble as trouble:
                found = look()
                if found is not None:
                    return found
                if not trouble.is_kept:
                    break
        raise PaymentProviderUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS)

    def _add_line(self, invoice_id: str, number: int, line: tuple[str, int], request: InvoiceRequest) -> None:
        description, cents = line
        params: Any = {
            "customer": request.customer_id, "invoice": invoice_id, "amount": cents,
            "currency": request.currency, "description": description, "metadata": {"line": str(number)},
        }  # fmt: skip

        def is_there() -> set[str] | None:
            present = self._lines_present(invoice_id)
            return present if str(number) in present else None

        self._sure(
            f"coffer-item-{invoice_id}-{number}",
            lambda options: self._client.v1.invoice_items.create(params, options),
            is_there,
        )

    def _lines_present(self, invoice_id: str) -> set[str]:
        params: Any = {"invoice": invoice_id, "limit": MOST_ITEMS}
        listed = self._ask(lambda: self._client.v1.invoice_items.list(params))
        return {str((plain(item).get("metadata") or {}).get("line")) for item in listed.data}

    def _invoice_now(self, invoice_id: str) -> dict[str, Any]:
        return plain(self._ask(lambda: self._client.v1.invoices.retrieve(invoice_id, WITH_PAYMENT)))  # type: ignore[arg-type]

    def _finalized(self, invoice_id: str) -> InvoiceFacts | None:
        invoice = self._invoice_now(invoice_id)
        return invoice_facts(invoice) if invoice.get("status") != "draft" else None

    def _paid(self, invoice_id: str) -> InvoiceFacts | None:
        facts = self._facts_now(invoice_id)
        return facts if facts.status == "paid" else None

    def _facts_now(self, invoice_id: str) -> InvoiceFacts:
        invoice = self._invoice_now(invoice_id)
        intent = intent_of_invoice(invoice)
        return invoice_facts(invoice, {"id": intent} if isinstance(intent, str) else intent)

    def _refused(self, invoice_id: str, refusal: PaymentDeclined) -> Collection:
        error = refusal.__cause__
        code = str(getattr(error, "code", None) or "")
        details = getattr(error, "error", None)
        decline = text(plain(details), "decline_code") if details is not None else None
        facts = self._facts_now(invoice_id)
        if facts.status == "paid":  # by another attempt, meanwhile
            return Collection("paid", facts)
        needs = (
            code == "authentication_required" or decline == "authentication_required" or facts.needs_action
        )
        return Collection(
            "requires_action" if needs else "declined", facts, decline or code, refusal.detail,
            is_final=(decline or code) in FINAL_DECLINES,
        )  # fmt: skip


def _parameters(request: InvoiceRequest) -> dict[str, Any]:
    """What is sent to make an invoice. The same request gives the same parameters, as its key demands."""
    params: dict[str, Any] = {
        "customer": request.customer_id, "currency": request.currency, "auto_advance": False,
        "collection_method": "charge_automatically", "description": request.description,
        "pending_invoice_items_behavior": "exclude",
        "metadata": {"coffer_instance": request.instance, "account": request.account_id,
                     "charge": request.charge_id},
    }  # fmt: skip
    if request.destination is not None:
        params["transfer_data"] = {"destination": request.destination}
        if request.application_fee_cents > 0:
            params["application_fee_amount"] = request.application_fee_cents
    return params
