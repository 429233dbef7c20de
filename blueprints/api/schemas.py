"""What each call takes: one pydantic model per body or query. Unknown members are ignored."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from blueprints.api.fields import (
    Amount,
    CreditTypeCode,
    DaysOfUsage,
    GaugeValue,
    Moment,
    Name,
    Offset,
    OutsideId,
    PageSize,
    Priority,
    Quantity,
    QuantityOrNone,
    RowNumber,
    Seconds,
    Text255,
    Text500,
    Text2000,
    YesOrNo,
)
from services.ledger.history import TYPE_GROUPS

ACCOUNT = Field(None, description="Slug or external id. A platform key must name it; other keys need not.")
CREDIT_TYPE = Field(None, description="Code of the credit type; the main one, `credits`, where left out.")


class Request(BaseModel):
    """Base of every request; ``account`` may stand in the query too."""

    model_config = ConfigDict(extra="ignore")


class OnAccount(Request):
    account: Name | None = ACCOUNT


class OnCreditType(OnAccount):
    credit_type: CreditTypeCode | None = CREDIT_TYPE


class AccountBody(Request):
    name: Text255 = Field(examples=["Acme"])
    external_id: Text255 | None = Field(None, description="Your own id; again: the same account.")
    slug: Text255 | None = Field(None, description="Made from the name where left out.")
    email: Text500 | None = Field(None, examples=["billing@acme.example"])
    kind: Literal["client", "agency"] | None = None
    agency: Name | None = Field(None, description="Name of the agency that a client belongs to.")
    catalogue: Name | None = Field(None, description="Code; the default catalogue where left out.")
    currency: Text255 | None = Field(None, description="ISO 4217; by default the catalogue's.")
    time_zone: Text255 | None = Field(None, examples=["Europe/Zurich"])
    locale: Text255 | None = Field(None, examples=["en_US"])


class AccountChanges(Request):
    name: Text255 | None = None
    email: Text500 | None = Field(None, description="null takes it away.")
    slug: Text255 | None = Field(None, description="Platform keys only.")
    external_id: Text255 | None = Field(None, description="null takes it away. Platform keys only.")
    time_zone: Text255 | None = None
    locale: Text255 | None = None
    status: Literal["active", "past_due", "frozen"] | None = Field(None, description="Platform keys only.")


class AccountsQuery(Request):
    limit: PageSize = 50
    cursor: RowNumber | None = None


class GrantsQuery(OnCreditType):
    open: YesOrNo = Field(True, description="false: lots that are used up or expired too.")


class CheckBody(OnCreditType):
    amount: Amount = Field(examples=[200])


class DeductBody(OnCreditType):
    amount: Amount | None = Field(
        None, description="May be left out beside quantity and unit_cost.", examples=[7]
    )
    task_id: Text255 | None = Field(
        None, description="Your reference; no key: a task may spend twice.", examples=["task-17"]
    )
    description: Text500 | None = Field(None, examples=["Rendered a scene"])
    quantity: Amount | None = None
    unit_cost: Amount | None = Field(None, description="Up to four digits more than the credit type has.")
    message_id: OutsideId | None = Field(None, description="Kept in metadata.")
    campaign_id: OutsideId | None = Field(None, description="Kept in metadata.")
    metadata: dict[str, Any] | None = Field(None, description="At most 8 kB; keep personal data out of it.")


class RefundBody(OnAccount):
    transaction_id: RowNumber = Field(description="The line that spent.")
    amount: Amount | None = Field(None, description="All that is left to refund where left out.")
    description: Text500 | None = None


class HoldBody(OnCreditType):
    amount: Amount = Field(examples=[50])
    task_id: Text255 | None = None
    description: Text500 | None = None
    expires_in: Seconds = Field(900, description="Seconds until it gives the credits back by itself.")


class CaptureBody(OnAccount):
    amount: Amount | None = Field(None, description="All that is held where left out.")


class GrantBody(OnCreditType):
    amount: Amount = Field(description="An adjustment may be negative.", examples=[100])
    source: Literal["bonus", "adjustment"] = "bonus"
    expires_at: Moment | None = Field(None, description="Exclusive; never where left out.")
    priority: Priority | None = Field(None, description="Lower goes first: 100 for what expires, else 200.")
    description: Text500 | None = None


class TransferBody(Request):
    from_account: Name | None = Field(None, alias="from", description="Slug or external id of the giver.")
    to_account: Name = Field(alias="to", description="Slug or external id of the taker.")
    amount: Amount = Field(examples=[10])
    credit_type: CreditTypeCode | None = CREDIT_TYPE
    description: Text500 | None = None


class PurchaseBody(OnAccount):
    package: Name | None = Field(None, description="Code of the package.", examples=["starter"])
    price_id: Name | None = Field(None, description="In place of the code.")
    email: Text500 | None = Field(None, description="Where the receipt goes.")
    success_url: Text2000 | None = Field(None, description="On this instance or an allowed origin.")
    cancel_url: Text2000 | None = Field(None, description="On this instance or an allowed origin.")


class PageQuery(OnAccount):
    limit: PageSize = 50
    offset: Offset = 0


class HistoryQueryString(PageQuery):
    type: Text255 = Field("transactions", description=f"{', '.join(TYPE_GROUPS)}, or a line type.")
    credit_type: CreditTypeCode | None = Field(None, description="All types where left out.")
    cursor: RowNumber | None = Field(None, description="next_cursor of the page before.")
    since: Moment | None = Field(None, alias="from", description="Inclusive.")
    until: Moment | None = Field(None, alias="to", description="Exclusive.")
    task_id: Text255 | None = None


class SubscriptionBody(OnAccount):
    plan: Name = Field(description="Code of the plan.", examples=["basic"])
    interval: Literal["month", "year"] | None = Field(None, description="month where left out.")


class WalletQuery(OnAccount):
    credit_type: CreditTypeCode | None = Field(None, description="The account's money wallet where left out.")


class AddFundsBody(OnAccount):
    amount: Amount = Field(description="In the wallet's currency, whole cents.", examples=["52.88"])
    payment_method: Literal["manual", "stripe"] = Field(
        "stripe", description="`manual`: money that came in elsewhere, with a platform key alone."
    )
    payment_intent_id: Text255 | None = Field(
        None,
        description="`stripe`: a payment intent that has succeeded, in place of a Checkout. `manual`: your "
        "reference of the payment, taken once.",
    )
    description: Text500 | None = None
    email: Text500 | None = Field(None, description="Where the receipt of a Checkout goes.")
    success_url: Text2000 | None = Field(None, description="On this instance or an allowed origin.")
    cancel_url: Text2000 | None = Field(None, description="On this instance or an allowed origin.")


class WalletHistoryQuery(PageQuery):
    credit_type: CreditTypeCode | None = Field(None, description="The account's money wallet where left out.")
    type: Text255 = Field("transactions", description=f"{', '.join(TYPE_GROUPS)}, sms_send, or a line type.")
    cursor: RowNumber | None = Field(None, description="next_cursor of the page before.")
    since: Moment | None = Field(None, alias="from", description="Inclusive.")
    until: Moment | None = Field(None, alias="to", description="Exclusive.")


class PaymentRefundBody(OnAccount):
    amount_cents: int | None = Field(
        None, gt=0, le=10**15, strict=True, description="Minor units; all that is left where left out."
    )
    reason: Text255 | None = None


class OveragePurchaseBody(OnAccount):
    quantities: Annotated[dict[CreditTypeCode, QuantityOrNone], Field(min_length=1, max_length=100)] = Field(
        description="Whole credits by the code of their type; zeros are left out.",
        examples=[{"enrichment": 400, "audience": 2}],
    )
    quote: Text255 = Field(description="Of the prices seen, from `GET /api/overage/prices`.")


class IncrementBody(OnAccount):
    meter: Name = Field(description="Code of the meter.", examples=["predictions"])
    quantity: Quantity = 1
    task_id: Text255 | None = Field(None, description="Your reference, on the line of the credits taken.")


class GaugeBody(OnAccount):
    meter: Name = Field(description="Code of a gauge.", examples=["repositories"])
    value: GaugeValue = Field(description="What it shows from now on.", examples=[3])


class UsageQuery(OnAccount):
    days: DaysOfUsage = Field(30, description="7, 30 or 90: how far back the days go.")


class EstimateItem(Request):
    price: Name = Field(description="Code of a priced action of the catalogue.", examples=["poster"])
    quantity: Quantity = 1


class EstimateBody(OnAccount):
    items: list[EstimateItem] = Field(
        min_length=1, max_length=100, examples=[[{"price": "poster", "quantity": 4}]]
    )
