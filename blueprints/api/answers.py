"""What each call answers: models for the description; tests hold every answer against them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema

from models.accounts import ACCOUNT_KINDS, ACCOUNT_STATUSES
from models.billing import PAYMENT_STATUSES
from models.ledger import GRANT_SOURCES, TRANSACTION_TYPES

Number = Annotated[float, WithJsonSchema({"type": "number"})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Answer(BaseModel):
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Account(Answer):
    id: str = Field(description="Random; never changes.")
    account: str = Field(description="The slug, as other calls name the account.")
    slug: str
    external_id: str | None
    name: str
    email: str | None
    kind: Literal[ACCOUNT_KINDS]
    agency: str | None
    catalogue: str | None
    currency: str
    time_zone: str
    locale: str
    status: Literal[ACCOUNT_STATUSES]
    created_at: Time


class CursorPages(Answer):
    limit: int
    has_more: bool
    next_cursor: int | None


class Accounts(Answer):
    accounts: list[Account]
    pagination: CursorPages


class BalanceOfType(Answer):
    type: str
    balance: Number
    held: Number
    available: Number
    formatted: str


class SpendingCap(Answer):
    cap: Number
    used: Number
    reserved: Number = Field(description="What open holds may still capture; it counts against the cap.")
    left: Number
    resets_at: Time = Field(description="When the next calendar month of the account's zone begins.")


class Balance(BalanceOfType):
    account: str
    total_purchased: Number
    total_used: Number
    subscription_credits: Number
    permanent_credits: Number
    subscription_expire_at: Time | None
    spending_cap: SpendingCap | None
    balances: list[BalanceOfType]


class Grant(Answer):
    id: int
    type: str
    source: Literal[GRANT_SOURCES]
    amount: Number
    remaining: Number
    held: Number
    priority: int
    expires_at: Time | None
    created_at: Time


class Grants(Answer):
    grants: list[Grant]


class Checked(Answer):
    allowed: bool
    required: Number
    available: Number


class Allocation(Answer):
    grant_id: int
    amount: Number


class Deducted(Answer):
    success: Literal[True]
    transaction_id: int
    deducted: Number
    from_subscription: Number
    from_permanent: Number
    balance_before: Number
    balance_after: Number
    allocations: list[Allocation]


class Refunded(Answer):
    transaction_id: int
    refunded: Number
    balance_after: Number
    allocations: list[Allocation]


class HoldOpened(Answer):
    id: int
    status: Literal["open"]
    amount: Number
    available: Number
    expires_at: Time


class HoldCaptured(Answer):
    id: int
    status: Literal["captured"]
    captured: Number
    released: Number
    transaction_id: int
    balance_after: Number


class HoldReleased(Answer):
    id: int
    status: Literal["released"]


class Granted(Answer):
    grant_id: int | None = Field(description="null for an adjustment down, which makes no lot.")
    transaction_id: int
    balance_after: Number


class Transferred(Answer):
    transaction_id: int
    from_balance: Number
    to_balance: Number


class Transaction(Answer):
    id: int
    sequence: int
    type: Literal[TRANSACTION_TYPES]
    credit_type: str
    amount: Number
    balance_before: Number
    balance_after: Number
    task_id: str | None
    description: str
    quantity: Number | None
    unit_cost: Number | None
    payment_method: str | None
    metadata: dict[str, Any] | None
    created_at: Time


class Pages(Answer):
    total: int | None = Field(description="null where it was not counted to the end (past 10,000).")
    limit: int
    offset: int
    has_more: bool
    next_cursor: int | None


class History(Answer):
    transactions: list[Transaction]
    pagination: Pages


class Package(Answer):
    code: str
    name: str
    credits: Number
    credit_type: str
    price_cents: int
    currency: str
    price_id: str
    popular: bool
    locked: bool
    locked_reason: str | None


class Packages(Answer):
    packages: list[Package]


class Plan(Answer):
    code: str
    name: str
    description: str
    monthly_price_cents: int | None = Field(description="null: by contact.")
    annual_price_cents: int | None
    currency: str
    credits: Number = Field(description="Each month.")
    credit_type: str
    features: list[str]
    is_default: bool
    is_current: bool
    limits: list["PlanLimit"]
    offer: "PlanOffer | None"
    contact_url: str | None


class Plans(Answer):
    plans: list[Plan]


class Subscription(Answer):
    has_active_subscription: bool
    plan: str | None
    plan_name: str | None
    features: list[str]
    status: str | None
    interval: Literal["month", "year"] | None
    price: Number | None = Field(description="An interval, in the currency's main unit.")
    price_cents: int | None
    currency: str | None
    current_period_end: Time | None
    cancel_at_period_end: bool
    pending_plan: str | None


class Payment(Answer):
    id: str
    description: str
    plan: str | None
    amount: Number = Field(description="In the currency's main unit, tax included.")
    amount_cents: int
    refunded_cents: int
    currency: str
    status: Literal[PAYMENT_STATUSES]
    invoice_url: str | None
    created_at: Time


class OffsetPages(Answer):
    total: int
    limit: int
    offset: int
    has_more: bool


class Payments(Answer):
    payments: list[Payment]
    pagination: OffsetPages


class PurchaseStarted(Answer):
    session_id: str
    url: str = Field(description="Send the customer's browser there.")
    credits: Number


class WalletBalance(Answer):
    account: str
    type: str
    currency: str
    balance: Number
    available: Number
    formatted: str = Field(description="Of what may be spent, such as $52.88.")


class FundsAdded(Answer):
    message: str
    transaction_id: int
    balance: Number
    formatted: str


class FundingStarted(Answer):
    session_id: str
    url: str = Field(description="Send the customer's browser there.")


class Funded(RootModel[FundsAdded | FundingStarted]):
    """The money that was added, or the Checkout in which it is paid."""


class WalletTransaction(Transaction):
    label: str = Field(description="sms_send for messages that were paid for, else the line's type.")
    sms_count: Number | None = Field(description="How many segments; null where it was no message.")
    cost_per_sms: Number | None


class WalletHistory(Answer):
    transactions: list[WalletTransaction]
    pagination: Pages


class PaymentRefunded(Answer):
    refund_id: str
    amount_cents: int = Field(description="Of this refund.")
    refunded_cents: int = Field(description="Of the payment, in all.")
    status: Literal[PAYMENT_STATUSES]
    currency: str


class UsageRecorded(Answer):
    allowed: Literal[True]
    meter: str
    used: int
    limit: int | None = Field(description="null: without limit.")
    remaining: int | None
    credits_used: Number = Field(description="Taken by this call, for what lies beyond the limit.")


class UsagePeriod(Answer):
    model_config = ConfigDict(populate_by_name=True)

    days: int
    since: str = Field(alias="from", description="First day, in the account's time zone.")
    until: str = Field(alias="to", description="Today.")
    starts_at: Time = Field(description="Since when counters count.")
    ends_at: Time = Field(description="When they start anew.")


class MeterUsage(Answer):
    code: str
    name: str
    kind: Literal["counter", "gauge"]
    used: int
    limit: int | None
    remaining: int | None
    percent: int | None
    warning: Literal[80, 90, 100] | None
    credits_used: Number
    resets_at: Time | None


class Ratio(Answer):
    code: str
    name: str
    percent: int | None
    numerator: int
    denominator: int


class DailyUsage(Answer):
    """The date, and how much of each meter by its code."""

    model_config = ConfigDict(extra="allow")

    date: str


class Usage(Answer):
    period: UsagePeriod
    meters: list[MeterUsage]
    ratios: list[Ratio]
    daily: list[DailyUsage]


class EstimateLine(Answer):
    price: str
    name: str
    quantity: int
    amount: Number


class Estimated(Answer):
    amount: Number
    type: str
    available: Number
    sufficient: bool
    lines: list[EstimateLine]


class PlanLimit(Answer):
    meter: str
    name: str
    kind: Literal["counter", "gauge"]
    included: int | None = Field(description="null: without limit.")
    over: Literal["block", "credits"]
    credits_per_unit: Number | None


class PlanOffer(Answer):
    percent: int
    months: int
