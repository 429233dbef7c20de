"""The words of each kind of notice, for the page and for the mail."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from flask_babel import gettext as _

from blueprints.filters import format_credits, format_date, format_money
from services.notices.notices import NoticeView


@dataclass(frozen=True, slots=True)
class Words:
    """A notice in words. ``path``: where to go on, under the account's pages, or a whole address."""

    title: str
    text: str
    path: str
    action: str
    icon: str


def kind_name(kind: str) -> str:
    """What a kind is called where it is configured."""
    return {
        "limit_warning": _("80, 90 and 100 % of a limit"),
        "low_balance": _("A balance below its threshold"),
        "spending_cap": _("80 and 100 % of a spending cap"),
        "credits_expiring": _("Credits that expire within a week"),
        "purchase_receipt": _("Receipts"),
        "overage_charged": _("Extra credits that were charged"),
        "plan_changed": _("Changes of the plan"),
        "webhook_disabled": _("Webhooks that reach nobody"),
        "payment_failed": _("Payments that failed"),
        "card_needs_confirmation": _("Payments to confirm"),
    }[kind]


def words_of(notice: NoticeView) -> Words:
    """A notice in the language of the request or mail."""
    return _WORDS[notice.kind](notice.facts)


def _limit_warning(facts: dict) -> Words:
    title = _("%(name)s: %(step)s %% of your limit", name=facts["name"], step=facts["step"])
    used, limit = format_credits(facts["used"]), format_credits(facts["limit"])
    text = _("%(used)s of %(limit)s are used.", used=used, limit=limit)
    if facts["step"] == 100:
        text += " " + (
            _("Nothing more is counted before the limit starts anew.")
            if facts["blocks"]
            else _("What is used beyond it takes credits.")
        )
    return Words(title, text, "usage", _("See usage"), "chart-bar")


def _spending_cap(facts: dict) -> Words:
    scale = facts["scale"]
    text = _("%(used)s of %(cap)s are spent; the month ends on %(date)s.",
             used=format_credits(facts["used"], scale), cap=format_credits(facts["cap"], scale),
             date=format_date(datetime.fromisoformat(facts["resets_at"])))  # fmt: skip
    if facts["step"] == 100:
        title = _("The spending cap of %(name)s is reached", name=facts["name"])
        text += " " + _("Nothing more is spent before, unless you raise the cap.")
    else:
        title = _("80 %% of the spending cap of %(name)s is spent", name=facts["name"])
    return Words(title, text, "billing/spending", _("See the cap"), "chart-bar")


def _low_balance(facts: dict) -> Words:
    scale = facts["scale"]
    return Words(
        _("%(name)s are running low", name=facts["name"]),
        _("%(available)s are left; you asked to be told below %(threshold)s.",
          available=format_credits(facts["available"], scale), threshold=format_credits(facts["threshold"], scale)),
        "billing?buy-credits=1", _("Buy credits"), "coins",
    )  # fmt: skip


def _credits_expiring(facts: dict) -> Words:
    day = format_date(datetime.fromisoformat(facts["expires_at"]))
    amount = format_credits(facts["amount"], facts["scale"])
    return Words(
        _("%(amount)s %(name)s expire on %(day)s", amount=amount, name=facts["name"], day=day),
        _("They are spent first, so use them before."), "overview", _("See credits"), "clock",
    )  # fmt: skip


def _purchase_receipt(facts: dict) -> Words:
    amount = format_money(facts["amount_cents"], facts["currency"])
    return Words(
        _("Receipt: %(what)s", what=facts["what"]), _("You paid %(amount)s. Thank you.", amount=amount),
        "billing", _("See the receipt"), "receipt",
    )  # fmt: skip


def _overage_charged(facts: dict) -> Words:
    amount = format_money(facts["amount_cents"], facts["currency"])
    return Words(
        _("%(amount)s paid for extra credits", amount=amount),
        _("What you bought in the last cycle is paid. Thank you."), "billing", _("See the invoice"), "receipt",
    )  # fmt: skip


def _plan_changed(facts: dict) -> Words:
    if not facts["now"]:
        title = _("%(plan)s has ended", plan=facts["before"])
        text = _("Credits that you bought stay.")
    elif not facts["before"]:
        title, text = _("Welcome to %(plan)s", plan=facts["now"]), _("Your subscription is active.")
    else:
        title = _("You are on %(plan)s now", plan=facts["now"])
        text = _("It was %(plan)s before.", plan=facts["before"])
    return Words(title, text, "billing", _("See Billing"), "repeat")


def _webhook_disabled(facts: dict) -> Words:
    host = urlsplit(facts["url"]).hostname or ""
    return Words(
        _("Events are no longer sent to %(host)s", host=host),
        _("%(reason)s An operator can enable the webhook again; what it missed can be read from the API.",
          reason=facts["reason"]),
        "notices", _("See notices"), "bolt",
    )  # fmt: skip


def _payment_failed(facts: dict) -> Words:
    amount = format_money(facts["amount_cents"], facts["currency"])
    return Words(
        _("A payment of %(amount)s failed", amount=amount),
        _("%(what)s: %(reason)s Your credits are kept. Pay the invoice or replace the card.",
          what=facts["what"], reason=facts["reason"]),
        facts.get("url") or "billing", _("Pay the invoice"), "alert-triangle",
    )  # fmt: skip


def _needs_confirmation(facts: dict) -> Words:
    amount = format_money(facts["amount_cents"], facts["currency"])
    return Words(
        _("Your bank asks you to confirm %(amount)s", amount=amount),
        _("%(what)s is paid once you have confirmed it.", what=facts["what"]),
        facts.get("url") or "billing", _("Confirm the payment"), "credit-card",
    )  # fmt: skip


_WORDS = {
    "limit_warning": _limit_warning,
    "low_balance": _low_balance,
    "spending_cap": _spending_cap,
    "credits_expiring": _credits_expiring,
    "purchase_receipt": _purchase_receipt,
    "overage_charged": _overage_charged,
    "plan_changed": _plan_changed,
    "webhook_disabled": _webhook_disabled,
    "payment_failed": _payment_failed,
    "card_needs_confirmation": _needs_confirmation,
}
