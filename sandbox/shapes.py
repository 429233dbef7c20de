"""Shapes that several calls share."""

from sandbox.parameters import Shape, boolean, identifier, list_of, one_of, string

_ADDRESS = {
    "city": string, "country": string, "line1": string, "line2": string, "postal_code": string,
    "state": string,
}  # fmt: skip
ADDRESS = Shape(**_ADDRESS)
SHIPPING = Shape(
    ("name", "address"),
    address=Shape(("line1",), **_ADDRESS),
    name=string,
    phone=string,
    carrier=string,
    tracking_number=string,
)
CUSTOMER_SHIPPING = Shape(("name", "address"), address=ADDRESS, name=string, phone=string)
CUSTOM_FIELDS = list_of(Shape(("name", "value"), name=string, value=string))
RENDERING_OPTIONS = Shape(
    amount_tax_display=one_of("", "exclude_tax", "include_inclusive_tax"), template=identifier
)
ISSUER = Shape(("type",), type=one_of("self"))
ENABLED = Shape(("enabled",), enabled=boolean)
MANDATE_DATA = Shape(
    ("customer_acceptance",),
    customer_acceptance=Shape(
        ("type",), type=one_of("online", "offline"), offline=Shape(),
        online=Shape(("ip_address", "user_agent"), ip_address=string, user_agent=string),
    ),
)  # fmt: skip
EMPTY_BILLING_DETAILS = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
TAX_BEHAVIOR = one_of("exclusive", "inclusive", "unspecified")
EMPTY_CUSTOM_TEXT = dict.fromkeys(
    ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
)
CARD_BRANDS = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "bank": "Bank debit"}
EMPTY_TAX = {"enabled": False, "disabled_reason": None, "liability": None, "provider": None, "status": None}
EMPTY_INVOICE_SETTINGS = dict.fromkeys(
    ("custom_fields", "default_payment_method", "footer", "rendering_options")
)
EMPTY_TIMES = dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"))
EMPTY_INVOICE_DATA = dict.fromkeys(
    ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
) | {"metadata": {}}
