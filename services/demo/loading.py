"""Load the demo into a new database: the `studio` and `devtools` businesses with an account for each case.

Nothing is inserted by hand: the business clock is set back four weeks and moved forward while credits are
bought through Checkout, spent, held and refunded, so the demo passes the proof like any other ledger.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from errors import Conflict
from extensions import db
from gateways.payments import Payments
from models.accounts import Account
from services import clock
from services.accounts.accounts import NewAccount, create_account
from services.accounts.api_keys import mint
from services.accounts.memberships import add_member
from services.accounts.passwords import hash_password
from services.accounts.users import insert_user
from services.billing.fulfilment import fulfil_checkout
from services.billing.purchases import StartedPurchase, start_purchase, start_subscription
from services.catalog.presets import load_preset
from services.demo.history import DAYS, play_messages, play_studio, play_tools
from services.ledger.grants import Incoming, grant_credits
from services.ledger.spending_caps import set_spending_cap

ACTOR = "command"
CATALOGS = Path(__file__).resolve().parents[2] / "catalogs"


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """A person of the demo. The password is random and told once."""

    email: str
    password: str
    about: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What to print after loading."""

    logins: list[DemoLogin]
    api_key: str


def is_new() -> bool:
    """Whether the database holds no account yet."""
    return db.session.scalar(select(Account.id).limit(1)) is None


def load_demo(payments: Payments, pay: Callable[[str], object]) -> Demo:
    """Fill a new database. ``pay`` pays a Checkout Session of the sandbox.

    Raises Conflict where the database has accounts already.
    """
    if not is_new():
        raise Conflict("The demo is loaded into a new database only; this one has accounts.")
    for name in ("studio", "devtools", "messaging"):
        load_preset(CATALOGS / f"{name}.toml", ACTOR)
    offset_before = clock.business_now() - clock.wall_now()
    set_before = clock.set_business_offset(offset_before - timedelta(days=DAYS))
    try:
        return _load(payments, pay, offset_before)
    finally:
        clock.set_business_offset(set_before)


def _load(payments: Payments, pay: Callable[[str], object], present: timedelta) -> Demo:
    studio = _account("northwind", "Northwind Studio", "studio", "America/New_York")
    newcomer = _account("juniper", "Juniper & Co", "studio", "Europe/Berlin")
    tools = _account("byteworks", "Byteworks", "devtools", "America/Los_Angeles")
    for account_id in (studio, newcomer):
        grant_credits(
            Incoming(account_id=account_id, credit_type="credits", amount=200, source="bonus", actor=ACTOR,
                     description="Welcome credits")
        )  # fmt: skip

    def paid(started: StartedPurchase) -> None:
        pay(started.session_id)
        fulfil_checkout(started.session_id, "checkout", payments)

    def buy(account_id: int, package: str) -> None:
        key = secrets.token_urlsafe(18)
        paid(start_purchase(account_id, package, request_key=key, actor=ACTOR, payments=payments))

    def subscribe(account_id: int, plan: str) -> None:
        key = secrets.token_urlsafe(18)
        paid(start_subscription(account_id, plan, "month", request_key=key, actor=ACTOR, payments=payments))

    play_studio(
        studio,
        present,
        lambda: subscribe(studio, "professional"),
        lambda package: buy(studio, package),
    )
    play_tools(
        tools,
        present,
        lambda: subscribe(tools, "pro"),
        lambda package: buy(tools, package),
    )
    texts = _account("signalpost", "Signal Post", "messaging", "Europe/London")
    play_messages(texts, present)
    set_spending_cap(texts, "sms", 1_000_000, ACTOR)
    logins = [
        _person("maria@northwind.example", "Maria Okafor", "owner of Northwind Studio, Byteworks and Signal Post",
                [(studio, "owner"), (tools, "owner"), (texts, "owner")]),
        _person("sam@juniper.example", "Sam Lindqvist", "owner of Juniper & Co, which has no plan",
                [(newcomer, "owner")]),
        _person("operator@coffer.example", "Robin Adeyemi", "operator", [], is_operator=True),
    ]  # fmt: skip
    key = mint(studio, ACTOR, ("read", "spend"), name="Demo program")
    return Demo(logins, key.token)


def _account(slug: str, name: str, catalogue: str, time_zone: str) -> int:
    view, _ = create_account(
        NewAccount(name=name, slug=slug, catalogue=catalogue, time_zone=time_zone,
                   email=f"billing@{slug}.example")
    )  # fmt: skip
    return view.id


def _person(
    email: str, name: str, about: str, memberships: list[tuple[int, str]], *, is_operator: bool = False
) -> DemoLogin:
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    user_id = insert_user(email, hash_password(password), name=name, is_operator=is_operator, actor=ACTOR)
    for account_id, role in memberships:
        add_member(user_id, account_id, role, actor=ACTOR)
    return DemoLogin(email, password, about)
