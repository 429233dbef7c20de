"""What an account's people are told about: the one table of kinds. Source: docs/notices.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice. ``is_about_money_owed``: its mails cannot be turned off."""

    code: str
    is_about_money_owed: bool = False
    in_app: bool = True
    by_mail: bool = True


KINDS = {
    kind.code: kind
    for kind in (
        Kind("limit_warning"),
        Kind("low_balance"),
        Kind("spending_cap"),
        Kind("credits_expiring"),
        Kind("purchase_receipt", in_app=False),
        Kind("overage_charged"),
        Kind("plan_changed"),
        Kind("webhook_disabled"),
        Kind("payment_failed", is_about_money_owed=True),
        Kind("card_needs_confirmation", is_about_money_owed=True),
    )
}
