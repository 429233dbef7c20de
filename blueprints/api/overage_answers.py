"""What the calls about credits paid later give."""

from pydantic import Field

from blueprints.api.answers import Answer, Number, Time


class OveragePrice(Answer):
    type: str
    name: str
    price_cents: int = Field(description="Of one whole credit, in minor units.")


class OveragePrices(Answer):
    quote: str = Field(description="Names these prices; a purchase at them gives it back.")
    currency: str
    prices: list[OveragePrice]
    owed_cents: int = Field(description="Bought and not paid yet.")
    limit_cents: int | None = Field(description="What may be owed; null: no limit.")
    left_cents: int | None = Field(description="What may still be bought; null: no limit.")
    charged_on: Time = Field(description="The end of the cycle.")


class OverageLine(Answer):
    type: str
    quantity: int
    credits: Number
    unit_price_cents: int
    price_cents: int


class OverageBalance(Answer):
    type: str
    available: Number


class OveragePurchased(Answer):
    order_id: str
    total_cents: int
    currency: str
    lines: list[OverageLine]
    balances: list[OverageBalance]
    charged_on: Time
