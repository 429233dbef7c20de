"""What stands around every page: brand, navigation, switcher, balances, the person's menu."""

from dataclasses import dataclass, field

from flask import Flask, current_app, g, request, session
from flask_babel import gettext as _
from flask_login import current_user
from jinja2 import StrictUndefined

from blueprints import filters
from blueprints.access import LAST_ACCOUNT
from blueprints.localization import html_lang
from blueprints.viewing import viewed_role
from services.accounts.access import OpenAccount, first_account_slug, open_account
from services.accounts.memberships import belongings_of
from services.accounts.sessions import SignedIn
from services.clock import business_now, moved_by
from services.ledger.balances import Position, positions
from services.notices.notices import unread_count
from services.usage.report import meters_of

CONSOLE = "/operator"
# Pages about the instance: what the operator's own account has does not belong there.
CONSOLE_PATHS = ("/operator/", "/styleguide")


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of a menu, of the navigation or of a banner."""

    label: str
    href: str
    icon: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account of the switcher."""

    slug: str
    name: str
    href: str
    active: bool


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """The account that the page is about."""

    slug: str
    name: str
    note: str


@dataclass(frozen=True, slots=True)
class ShownBalance:
    """What an account may spend of one credit type."""

    type: str
    name: str
    formatted: str


@dataclass(frozen=True, slots=True)
class ShownUsage:
    """The meter nearest to its limit."""

    name: str
    percent: int
    href: str


@dataclass(frozen=True, slots=True)
class Banner:
    """A message above the page: ``kind`` is info, success, warning or danger."""

    kind: str
    title: str
    text: str
    actions: list[Link] = field(default_factory=list)
    posts: list[Link] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shell:
    """The context of ``layouts/app.html``; its first comment says what each is for."""

    brand_name: str
    brand_href: str
    nav: list[Link]
    account: ShownAccount | None
    accounts: list[AccountEntry]
    balances: list[ShownBalance]
    usage: ShownUsage | None
    notices_href: str | None
    unread: int
    overview_href: str | None
    buy_href: str | None
    buy_label: str | None
    user_name: str
    user_email: str
    is_operator: bool
    user_links: list[Link]
    sign_out_href: str
    banners: list[Banner]


def register(app: Flask) -> None:
    """Give every template ``shell`` (made when asked for), ``brand_name`` and ``html_lang``."""
    app.jinja_env.undefined = StrictUndefined

    @app.context_processor
    def around() -> dict[str, object]:
        return {"shell": _LazyShell(), "brand_name": _brand_name(), "html_lang": html_lang()}


class _LazyShell:
    """Pages without the shell, error pages above all, must not ask the database for it."""

    def __getattr__(self, name: str) -> object:
        if "shell" not in g:
            g.shell = shell_for(current_user._get_current_object())
        return getattr(g.shell, name)


def shell_for(visitor: SignedIn) -> Shell:
    """The shell of the present request, for whoever is signed in."""
    account = _account_of(visitor)
    home = f"/home/{account.slug}" if account else None
    viewed_as = viewed_role(account.slug) if account else None
    shows_money = account is not None and not request.path.startswith(CONSOLE_PATHS)
    may_buy = shows_money and viewed_as is None and account.allows("member") and account.status != "frozen"
    shown = _positions(account if shows_money else None)
    is_wallet = bool(shown) and shown[0].is_money
    return Shell(
        brand_name=_brand_name(),
        brand_href=f"{home}/overview" if home else "/",
        nav=_navigation(account, is_operator=visitor.is_operator and viewed_as is None),
        account=ShownAccount(account.slug, account.name, _note_of(account)) if account else None,
        accounts=_switcher(visitor, account),
        balances=[
            ShownBalance(p.credit_type, p.name, filters.format_credits(p.available, p)) for p in shown
        ],
        notices_href=f"{home}/notices" if shows_money else None,
        unread=unread_count(account.id, visitor.user_id) if shows_money and account else 0,
        usage=_tightest(account if shows_money else None),
        overview_href=f"{home}/overview" if home else None,
        buy_href=_buy_href(account, home, is_wallet=is_wallet) if may_buy else None,
        buy_label=(_("Add funds") if is_wallet else _("Buy credits")) if may_buy else None,
        user_name=visitor.name or visitor.email,
        user_email=visitor.email,
        is_operator=visitor.is_operator,
        user_links=_user_links(visitor),
        sign_out_href="/sign-out",
        banners=[
            *_moved_clock(visitor), *_viewing(account, viewed_as), *_banners(account if shows_money else None)
        ],
    )


def _brand_name() -> str:
    return current_app.extensions["settings"].seller_name


def _buy_href(account: OpenAccount, home: str | None, *, is_wallet: bool) -> str:
    """Where the header's button leads: an agency's clients buy what they pay for later."""
    if is_wallet:
        return f"{home}/billing?add-funds=1"
    return f"{home}/usage#buy-overage" if account.agency_id is not None else f"{home}/billing?buy-credits=1"


def _account_of(visitor: SignedIn) -> OpenAccount | None:
    if "account" in g:
        return g.account
    slug = first_account_slug(visitor.user_id, session.get(LAST_ACCOUNT))
    if slug is None:
        return None
    return open_account(slug, visitor.user_id, visitor.is_operator, viewed_as=viewed_role(slug))


def _navigation(account: OpenAccount | None, *, is_operator: bool) -> list[Link]:
    """At most six: they are the tab bar of small screens."""
    pages: list[tuple[str, str, str]] = []
    if account is not None:
        home = f"/home/{account.slug}"
        pages = [
            (_("Overview"), "layout-dashboard", f"{home}/overview"),
            (_("Usage"), "chart-bar", f"{home}/usage"),
            (_("Billing"), "credit-card", f"{home}/billing"),
            (_("Members"), "users", f"{home}/members"),
        ]
        if account.allows("owner"):
            pages.append((_("API keys"), "key", f"{home}/keys"))
    if is_operator:
        pages.append((_("Console"), "terminal-2", CONSOLE))
    return [
        Link(label, href, icon, active=_is_within(request.path, "/operator" if href == CONSOLE else href))
        for label, icon, href in pages
    ]


def _is_within(path: str, section: str) -> bool:
    return path == section or path.startswith(section + "/")


def _switcher(visitor: SignedIn, account: OpenAccount | None) -> list[AccountEntry]:
    entries = [
        AccountEntry(
            b.slug, b.name, f"/home/{b.slug}/overview", account is not None and b.slug == account.slug
        )
        for b in belongings_of(visitor.user_id)
    ]
    if account is not None and not any(entry.active for entry in entries):
        entries.insert(0, AccountEntry(account.slug, account.name, f"/home/{account.slug}/overview", True))
    return entries


def _positions(account: OpenAccount | None) -> list[Position]:
    """The first credit type always, the others where anything ever happened in them.

    Where nothing ever happened in the first, but money was moved, the account is about its wallet.
    """
    if account is None:
        return []
    first, *others = positions(account.id)
    used = [position for position in others if position.last_sequence > 0]
    if first.last_sequence == 0 and used and used[0].is_money:
        return used
    return [first, *used]


def _tightest(account: OpenAccount | None) -> ShownUsage | None:
    limited = [meter for meter in meters_of(account.id) if meter.percent is not None] if account else []
    if account is None or not limited:
        return None
    nearest = max(limited, key=lambda meter: meter.percent or 0)
    return ShownUsage(nearest.name, nearest.percent or 0, f"/home/{account.slug}/usage")


def _note_of(account: OpenAccount) -> str:
    return _("Agency") if account.kind == "agency" else ""


def _user_links(visitor: SignedIn) -> list[Link]:
    links = [Link(_("Your profile"), "/profile", "settings")]
    if visitor.is_operator:
        links.append(Link(_("Style guide"), "/styleguide", "palette"))
    return links


def _moved_clock(visitor: SignedIn) -> list[Banner]:
    """On a demo whose clock was moved, every page says what time it is there."""
    ahead = moved_by()
    if not ahead:
        return []
    text = _("Here it is %(moment)s, %(ahead)s ahead of the real time.",
             moment=filters.format_moment(business_now()), ahead=filters.format_span(ahead))  # fmt: skip
    links = [Link(_("Time travel"), "/operator/time-travel")] if visitor.is_operator else []
    return [Banner("info", _("The clock of this demo is moved."), text, links)]


def _viewing(account: OpenAccount | None, viewed_as: str | None) -> list[Banner]:
    if account is None or viewed_as is None:
        return []
    role = {"viewer": _("a viewer"), "member": _("a member"), "owner": _("an owner")}[viewed_as]
    title = _("You see %(account)s as %(role)s of it does.", account=account.name, role=role)
    stop = Link(_("Stop viewing"), "/operator/stop-viewing")
    return [Banner("info", title, _("Nothing can be changed from here."), posts=[stop])]


def _banners(account: OpenAccount | None) -> list[Banner]:
    if account is None:
        return []
    if account.status == "frozen":
        text = _("Credits are kept, but nothing can be spent or bought. Talk to support.")
        return [Banner("warning", _("This account is frozen."), text)]
    if account.status == "parked":
        text = _("Its ledger is being checked. Nothing changes until that is done.")
        return [Banner("danger", _("This account can only be read."), text)]
    if account.status == "past_due":
        text = _("A payment has failed. Credits can still be spent.")
        see = Link(_("See Billing"), f"/home/{account.slug}/billing")
        return [Banner("warning", _("This account is past due."), text, [see])]
    return []
