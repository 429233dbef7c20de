"""What Coffer asks of a payment provider's single invoices: one demand for money, in lines, collected once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from gateways.subscriptions import InvoiceFacts

Collected = Literal["paid", "declined", "requires_action"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRequest:
    """An invoice to make for a charge. Units: minor units.

    ``charge_id`` is stored before. ``made_since``: its invoice cannot be older. ``destination``: the connected
    account that the money goes to, less the fee.
    """

    charge_id: str
    instance: str
    account_id: str
    customer_id: str
    currency: str
    description: str
    lines: tuple[tuple[str, int], ...]
    made_since: datetime
    destination: str | None = None
    application_fee_cents: int = 0

    @property
    def total_cents(self) -> int:
        """What it comes to, before tax."""
        return sum(cents for _, cents in self.lines)


@dataclass(frozen=True, slots=True)
class Collection:
    """How an attempt to collect went. ``is_final``: the same card will be refused again.

    ``code`` is the provider's word, ``message`` is in words for the customer.
    """

    status: Collected
    invoice: InvoiceFacts
    code: str = ""
    message: str = ""
    is_final: bool = False


class Invoices(Protocol):
    """The part of a payment provider that collects what was bought before."""

    def have_invoice(self, request: InvoiceRequest) -> InvoiceFacts:
        """The invoice of a charge: looked for, made where there is none. Raises UnknownToProvider (customer)."""

    def invoice_of_charge(self, request: InvoiceRequest) -> InvoiceFacts | None:
        """The invoice that was made for a charge, looked up by what it says of itself."""

    def complete_invoice(self, invoice_id: str, request: InvoiceRequest) -> InvoiceFacts:
        """Give a draft the lines it lacks and finalise it; nobody is charged by that."""

    def collect_invoice(self, invoice_id: str, key: str, payment_method_id: str) -> Collection:
        """Try to collect an open invoice with a kept card, nobody being there."""

    def mark_paid_outside(self, invoice_id: str) -> InvoiceFacts:
        """Note that an open invoice was paid elsewhere."""
