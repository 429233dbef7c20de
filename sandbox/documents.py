"""An invoice as a PDF, and amounts as people write them."""

from datetime import UTC, datetime

from sandbox.pdf import Text, document
from sandbox.store import Object

ZERO_DECIMAL = ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv",
                "xaf", "xof", "xpf")  # fmt: skip
THREE_DECIMAL = ("bhd", "jod", "kwd", "omr", "tnd")
SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}
FIRST_LINE_Y = 270
LINE_HEIGHT = 22
LINES_SHOWN = 18  # more would run off the page


STANDING = {"draft": "not final yet", "open": "due", "paid": "paid", "uncollectible": "due", "void": "void"}


def sums_of(invoice: Object) -> list[tuple[str, int]]:
    """What stands below an invoice's lines: name and amount, in the smallest unit."""
    off = sum(part["amount"] for part in invoice["total_discount_amounts"])
    taxes = sum(part["amount"] for part in invoice["total_taxes"])
    sums = [
        ("Subtotal", invoice["subtotal"]),
        ("Discount", -off),
        ("Tax", taxes),
        ("Total", invoice["total"]),
    ]
    if invoice["amount_due"] != invoice["total"]:
        sums += [("From or to your balance", invoice["amount_due"] - invoice["total"]),
                 ("Due", invoice["amount_due"])]  # fmt: skip
    return [(name, amount) for name, amount in sums if amount or name not in ("Discount", "Tax")]


def money(amount: int, currency: str) -> str:
    """An amount in the currency's smallest unit: $1,234.50, JPY 500."""
    digits = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    whole, part = divmod(abs(amount), 10**digits)
    text = f"{whole:,}" + (f".{part:0{digits}d}" if digits else "")
    return ("-" if amount < 0 else "") + SIGNS.get(currency, f"{currency.upper()} ") + text


def day(at: int) -> str:
    """The day of a moment, in UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%B} {moment.day}, {moment.year}"


def invoice_pdf(invoice: Object) -> bytes:
    """The file that ``invoice_pdf`` leads to."""
    currency, y = invoice["currency"], FIRST_LINE_Y
    texts = [
        Text(56, 80, "Invoice", 22, bold=True),
        Text(539, 80, invoice["account_name"], 12, bold=True, right=True),
        Text(56, 120, f"Invoice number  {invoice['number']}"),
        Text(56, 138, f"Date  {day(invoice['created'])}"),
        Text(56, 156, f"Bill to  {invoice['customer_name'] or ''}  {invoice['customer_email'] or ''}"),
        Text(56, 200, f"{money(invoice['total'], currency)} {STANDING[invoice['status']]}", 16, bold=True),
        Text(56, 240, "Description", bold=True),
        Text(539, 240, "Amount", bold=True, right=True),
    ]
    lines = invoice["lines"]["data"]
    for line in lines[:LINES_SHOWN]:
        texts.append(Text(56, y, f"{line['description']}  x {line['quantity']}"))
        texts.append(Text(539, y, money(line["amount"], currency), right=True))
        y += LINE_HEIGHT
    if len(lines) > LINES_SHOWN:
        texts.append(Text(56, y, f"and {len(lines) - LINES_SHOWN} more"))
        y += LINE_HEIGHT
    sums = sums_of(invoice)
    for name, amount in sums:
        texts.append(Text(340, y + 12, name, bold=name == "Total"))
        texts.append(Text(539, y + 12, money(amount, currency), bold=name == "Total", right=True))
        y += LINE_HEIGHT
    texts.append(Text(56, 800, "Made by the sandbox: no real money has moved.", 9))
    return document(texts, rules=(250, y - LINE_HEIGHT * len(sums) - 12))
