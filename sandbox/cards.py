"""Stripe's published test cards, and what paying with each brings."""

from dataclasses import dataclass

GOOD_CARD = "4242424242424242"


@dataclass(frozen=True, slots=True)
class Card:
    """A test card.

    ``needs_action``: 3-D Secure comes first. ``always_asks``: also when the card was set up before.
    ``can_be_kept``: saving it for later works, paying with it does not.
    ``is_delayed``: a bank debit, whose outcome comes days later.
    """

    number: str
    label: str
    brand: str = "visa"
    decline_code: str | None = None
    code: str = "card_declined"
    message: str = "Your card was declined."
    needs_action: bool = False
    always_asks: bool = False
    can_be_kept: bool = False
    is_delayed: bool = False


CARDS = {
    card.number: card
    for card in (
        Card(GOOD_CARD, "Succeeds"),
        Card("5555555555554444", "Succeeds (Mastercard)", brand="mastercard"),
        Card("4000002500003155", "Asks for 3-D Secure unless set up before", needs_action=True),
        Card("4000002760003184", "Asks for 3-D Secure each time", needs_action=True, always_asks=True),
        Card("4000008400001629", "Asks for 3-D Secure, then declined", needs_action=True, always_asks=True,
             decline_code="generic_decline"),
        Card("4000008260003178", "Asks for 3-D Secure, then insufficient funds", needs_action=True,
             always_asks=True, decline_code="insufficient_funds",
             message="Your card has insufficient funds."),
        Card("4000000000000341", "Can be saved, then declined", decline_code="generic_decline", can_be_kept=True),
        Card("4000000000000002", "Declined", decline_code="generic_decline"),
        Card("4000000000009995", "Insufficient funds", decline_code="insufficient_funds",
             message="Your card has insufficient funds."),
        Card("4000000000009987", "Lost card", decline_code="lost_card"),
        Card("4000000000009979", "Stolen card", decline_code="stolen_card"),
        Card("4000000000000069", "Expired card", decline_code="expired_card", code="expired_card",
             message="Your card has expired."),
        Card("4000000000000127", "Wrong CVC", decline_code="incorrect_cvc", code="incorrect_cvc",
             message="Your card's security code is incorrect."),
        Card("4000000000000119", "Processing error", decline_code="processing_error",
             code="processing_error",
             message="An error occurred while processing your card. Try again in a little bit."),
        Card("4100000000000019", "Blocked as fraud", decline_code="fraudulent"),
        Card("000123456789", "Bank debit, paid later", brand="bank", is_delayed=True),
    )
}  # fmt: skip
# The names under which Stripe offers the same cards to programs.
PAYMENT_METHODS = {
    "pm_card_visa": GOOD_CARD,
    "pm_card_mastercard": "5555555555554444",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_radarBlock": "4100000000000019",
    "pm_usBankAccount_success": "000123456789",
    "pm_usBankAccount": "000123456789",
}


def card_of(number: str) -> Card | None:
    """The test card of a number, spaces ignored."""
    return CARDS.get("".join(number.split()))
