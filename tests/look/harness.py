"""A small application that shows the design with canned data: the styleguide, sample pages, every error page.

It stands in for the product's pages only while the look is tested; it keeps nothing and knows no ledger.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel import dates, numbers
from flask import Flask, Response, flash, jsonify, render_template, request
from flask_babel import Babel
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFProtect
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
from wtforms import BooleanField, EmailField, PasswordField
from wtforms.validators import DataRequired

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
ERROR_STATUSES = (400, 403, 404, 405, 409, 413, 422, 429, 500, 503)


@dataclass(frozen=True)
class CreditType:
    """What the credits filter needs of a credit type."""

    code: str = "credits"
    name: str = "credits"
    scale: int = 0
    is_money: bool = False
    currency: str | None = None


CREDITS = CreditType()
WALLET = CreditType("sms", "SMS wallet", 4, True, "usd")


@dataclass
class Shell:
    """The contract of layouts/app.html, filled in."""

    brand_name: str = "Coffer"
    brand_href: str = "/samples/overview"
    nav: list[dict[str, Any]] = field(default_factory=list)
    account: dict[str, str] | None = field(
        default_factory=lambda: {"slug": "northwind", "name": "Northwind Studio", "note": "Professional"}
    )
    accounts: list[dict[str, Any]] = field(default_factory=list)
    balances: list[dict[str, str]] = field(default_factory=list)
    overview_href: str | None = "/samples/overview"
    buy_href: str | None = "/samples/billing?buy-credits=1"
    buy_label: str | None = "Buy credits"
    usage: dict[str, Any] | None = None
    notices_href: str | None = "/notices"
    unread: int = 2
    user_name: str = "Mara Lindqvist"
    user_email: str = "mara@northwind.example"
    is_operator: bool = True
    user_links: list[dict[str, str]] = field(default_factory=list)
    sign_out_href: str = "/sign-out"
    banners: list[dict[str, Any]] = field(default_factory=list)


def shell_for(active: str, **changes: Any) -> Shell:
    """The shell with one entry of its navigation current."""
    entries = [
        ("Overview", "layout-dashboard", "/samples/overview"),
        ("Usage", "chart-bar", "/samples/usage"),
        ("Billing", "credit-card", "/samples/billing"),
        ("Console", "terminal-2", "/styleguide"),
    ]
    names = [("northwind", "Northwind Studio"), ("fabrikam", "Fabrikam"), ("contoso", "Contoso Agency")]
    shell = Shell(
        nav=[{"label": a, "icon": b, "href": c, "active": a == active} for a, b, c in entries],
        accounts=[
            {"slug": slug, "name": name, "href": f"/home/{slug}/overview", "active": slug == "northwind"}
            for slug, name in names
        ],
        balances=[
            {"type": "credits", "name": "credits", "formatted": "6,340"},
            {"type": "sms", "name": "SMS wallet", "formatted": "$52.88"},
        ],
        user_links=[
            {"label": "Settings", "icon": "settings", "href": "/settings"},
            {"label": "Styleguide", "icon": "palette", "href": "/styleguide"},
        ],
    )
    for name, value in changes.items():
        setattr(shell, name, value)
    return shell


class SignInForm(FlaskForm):
    """A form as the pages have them."""

    email = EmailField("E-mail", [DataRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [DataRequired("Enter your password.")])
    remember = BooleanField("Keep me signed in on this device", description="For 30 days.")


def credits_text(units: int, type: CreditType) -> str:
    """Units of a credit type in words."""
    number = Decimal(units).scaleb(-type.scale)
    if type.is_money:
        return numbers.format_currency(number, (type.currency or "usd").upper(), locale="en_US")
    return numbers.format_decimal(number, locale="en_US")


def relative_date(value: datetime) -> str:
    """How far away a time is."""
    return dates.format_timedelta(value - NOW, add_direction=True, granularity="day", locale="en_US")


FILTERS = {
    "credits": credits_text,
    "money": lambda cents, currency: numbers.format_currency(
        Decimal(cents) / 100, currency.upper(), locale="en_US"
    ),
    "date": lambda value: dates.format_date(value, "medium", locale="en_US"),
    "datetime": lambda value: dates.format_datetime(value, "long", locale="en_US"),
    "relative_date": relative_date,
}
LOTS = [
    {
        "source": "subscription",
        "is_subscription": True,
        "amount": 1000,
        "remaining": 840,
        "held": 40,
        "expires_at": NOW + timedelta(days=6),
        "created_at": NOW,
    },
    {
        "source": "bonus",
        "is_subscription": False,
        "amount": 500,
        "remaining": 500,
        "held": 0,
        "expires_at": NOW + timedelta(days=40),
        "created_at": NOW,
    },
    {
        "source": "purchase",
        "is_subscription": False,
        "amount": 5000,
        "remaining": 1240,
        "held": 0,
        "expires_at": None,
        "created_at": NOW,
    },
    {
        "source": "purchase",
        "is_subscription": False,
        "amount": 5000,
        "remaining": 3760,
        "held": 0,
        "expires_at": None,
        "created_at": NOW,
    },
]
PLAN = {"name": "Professional", "price": "$29.99", "credits": "1,000", "renews_at": NOW + timedelta(days=11)}
PACKAGES = [
    {
        "code": "p500",
        "credits": "500",
        "price": "$5.00",
        "per_unit": "$1.00 per 100",
        "popular": False,
        "saving": 0,
    },
    {
        "code": "p1000",
        "credits": "1,000",
        "price": "$9.00",
        "per_unit": "$0.90 per 100",
        "popular": True,
        "saving": 10,
    },
    {
        "code": "p2500",
        "credits": "2,500",
        "price": "$20.00",
        "per_unit": "$0.80 per 100",
        "popular": False,
        "saving": 20,
    },
    {
        "code": "p5000",
        "credits": "5,000",
        "price": "$35.00",
        "per_unit": "$0.70 per 100",
        "popular": False,
        "saving": 30,
    },
]
_STORY = [
    ("purchase", "Package 5,000 credits", 5000, None),
    ("usage", "Image generation ×40", -160, "render-20398"),
    ("usage", "Video render, 6 min", -240, "render-20391"),
    ("refund", "Video render failed", 240, "render-20391"),
    ("subscription", "Professional, monthly credits", 1000, None),
    ("expiry", "Plan credits expired", -310, None),
    ("usage", "Chat completions ×512", -96, "chat-118220"),
    ("adjustment", "Goodwill, ticket 4821", 500, None),
    ("bonus", "Welcome", 100, None),
    ("transfer", "To Fabrikam", -200, None),
    ("revocation", "Payment refunded", -500, None),
    ("usage", "Image generation ×120", -480, "render-20377"),
]


def lines() -> list[dict[str, Any]]:
    """A few weeks of history, newest first, with its running balance."""
    balance, found = 6340, []
    for number, (kind, description, amount, task_id) in enumerate(_STORY):
        found.append(
            {
                "id": 900 - number,
                "type": kind,
                "description": description,
                "amount": amount,
                "task_id": task_id,
                "balance_after": balance,
                "created_at": NOW - timedelta(days=number, hours=number),
            }
        )
        balance -= amount
    return found


PAYMENTS = [
    {
        "created_at": NOW - timedelta(days=3 * n),
        "description": what,
        "status": status,
        "amount_cents": cents,
        "currency": "usd",
        "invoice_url": "/receipt" if status != "pending" else None,
    }
    for n, (what, status, cents) in enumerate(
        [
            ("5,000 credits", "paid", 3500),
            ("1,000 credits", "pending", 900),
            ("Professional, November", "paid", 2999),
            ("2,500 credits", "failed", 2000),
            ("500 credits", "refunded", 500),
            ("5,000 credits", "partially_refunded", 3500),
            ("1,000 credits", "disputed", 900),
        ]
    )
]


def points(days: int) -> Iterator[dict[str, Any]]:
    """A chart's days, oldest first."""
    balance = 2900
    for back in range(days - 1, -1, -1):
        day = NOW - timedelta(days=back)
        used = (day.toordinal() * 7919) % 437 + (0 if day.weekday() > 4 else 60)
        used = 0 if day.day == 1 else used
        balance = max(balance - used, 0) + (5000 if day.day in (6, 17) else 0)
        yield {
            "label": FILTERS["date"](day),
            "tick": dates.format_date(day, "MMM d", locale="en_US"),
            "bar": used,
            "line": balance,
        }


def page_context(period: int = 30) -> dict[str, Any]:
    """What the sample pages and the styleguide are drawn from."""
    return {
        "type": CREDITS,
        "wallet": WALLET,
        "now": NOW,
        "lots": LOTS,
        "plan": PLAN,
        "packages": PACKAGES,
        "position": {"subscription": 840, "permanent": 5500, "total": 6340},
        "expiring": 840,
        "expiring_at": NOW + timedelta(days=6),
        "subscription_expires_at": NOW + timedelta(days=6),
        "packages_locked": False,
        "lines": lines(),
        "open_line": 899,
        "points": list(points(period)),
        "period": period,
        "payments": PAYMENTS,
        "line_types": [("usage", "Usage"), ("purchases", "Purchases")],
        "allocations": [
            {
                "source": "subscription",
                "is_subscription": True,
                "amount": -100,
                "expires_at": NOW + timedelta(days=6),
            },
            {"source": "purchase", "is_subscription": False, "amount": -60, "expires_at": None},
        ],
        "filters": {"type": "", "credit_type": "", "since": "", "until": "", "text": ""},
        "page": {
            "first": 1,
            "last": 12,
            "total": 214,
            "previous_href": None,
            "next_href": "/samples/usage?cursor=889",
        },
    }


def create_harness() -> Flask:
    """The application of the look's tests."""
    app = Flask(__name__, static_folder=str(ROOT / "static"), template_folder=str(ROOT / "templates"))
    app.config.update(SECRET_KEY="only-for-the-look", TESTING=True)
    samples = FileSystemLoader(Path(__file__).with_name("samples"))
    app.jinja_loader = ChoiceLoader([app.jinja_loader, samples])
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals["asset"] = lambda path: f"/static/{path}"
    Babel(app)
    CSRFProtect(app)
    app.after_request(_with_policy)
    _add_pages(app)
    _add_answers(app)
    return app


def _with_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _add_pages(app: Flask) -> None:
    @app.get("/samples/overview")
    def overview() -> str:
        context = page_context()
        if request.args.get("state") == "locked":
            context |= {"packages_locked": True, "plan": None, "lots": [], "expiring": 0}
            context["position"] = {"subscription": 0, "permanent": 0, "total": 0}
        shell = shell_for("Overview", balances=shell_for("").balances[: 1 if "state" in request.args else 2])
        return render_template("overview.html", shell=shell, **context)

    @app.get("/samples/usage")
    def usage() -> str:
        context = page_context(request.args.get("days", 30, int))
        if request.args.get("text"):
            context["lines"] = []
        return render_template("usage.html", shell=shell_for("Usage"), **context)

    @app.get("/samples/billing")
    def billing() -> str:
        flash("Payment received. 5,000 credits added.", "success")
        return render_template(
            "billing.html",
            shell=shell_for("Billing"),
            buy_open="buy-credits" in request.args,
            **page_context(),
        )

    @app.route("/samples/sign-in", methods=["GET", "POST"])
    def sign_in() -> str:
        form = SignInForm()
        form.validate_on_submit()
        return render_template("sign_in.html", form=form)

    @app.get("/styleguide")
    def styleguide() -> str:
        return render_template("styleguide/index.html", shell=shell_for("Console"), type=CREDITS, now=NOW)


def _add_answers(app: Flask) -> None:
    @app.get("/errors/<int:status>")
    def error(status: int) -> tuple[str, int]:
        return render_template("errors/error.html", status=status), 200

    @app.get("/api/credits/balance")
    def balance() -> Response:
        response = jsonify(balances=[{"type": "credits", "formatted": "6,180"}])
        response.set_etag("6180")
        return response.make_conditional(request)

    @app.post("/buy")
    def buy() -> tuple[str, int]:
        return "", 204


if __name__ == "__main__":
    create_harness().run(port=5987)
