"""What other programs can be told: the one table of event types. Source: docs/webhooks.md."""

EVENT_TYPES = {
    "credits.granted": "Credits came in: bought, from a plan, a bonus, an adjustment or a transfer.",
    "credits.spent": "Credits that went out since the last such event of the account, added up.",
    "credits.low": "A balance fell below the account's threshold.",
    "credits.expiring": "Credits expire within a week.",
    "limit.warning": "Usage of a meter reached 80, 90 or 100 % of what the plan includes.",
    "payment.succeeded": "A payment went through.",
    "payment.failed": "A payment was refused, or needs its payer.",
    "subscription.changed": "A subscription began, changed or ended.",
    "overage.purchased": "Credits were bought beyond the plan, to be charged later.",
}
TEST_TYPE = "webhook.test"
