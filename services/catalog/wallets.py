"""The money wallet of an account: which it is, and how much may be added at once."""

from dataclasses import dataclass

from sqlalchemy import select

from errors import InvalidRequest
from extensions import db
from models.accounts import Account
from models.catalog import CreditType
from services.catalog.catalogs import catalog_of
from services.money import currency_digits, to_number

# Offered on screen, in the currency's main unit.
QUICK_AMOUNTS = (10, 25, 50, 100, 250)
LEAST_FUNDS = 5
MOST_FUNDS = 10_000


@dataclass(frozen=True, slots=True)
class Wallet:
    """A credit type that is money. ``scale``: its decimal digits, often more than the currency has.

    ``is_of_catalogue``: the account's catalogue is about it, rather than its currency fitting by chance.
    """

    credit_type_id: int
    code: str
    name: str
    scale: int
    currency: str
    is_of_catalogue: bool = False
    is_money: bool = True

    def units_of_cents(self, cents: int) -> int:
        """Minor units of the currency in units of the wallet."""
        return cents * 10 ** (self.scale - currency_digits(self.currency))

    def cents_of_units(self, units: int) -> int:
        """Units of the wallet in minor units. Raises InvalidRequest naming ``amount`` where that is not exact."""
        cents, rest = divmod(units, 10 ** (self.scale - currency_digits(self.currency)))
        if rest:
            digits = currency_digits(self.currency)
            raise InvalidRequest.of("amount", f"is paid money: at most {digits} decimal digits")
        return cents


def find_wallet(account_id: int) -> Wallet | None:
    """The money wallet of an account: its catalogue's, else the first of its currency; None where none is.

    Raises NotFound where there is no such account.
    """
    catalog = catalog_of(account_id)
    if catalog is not None and catalog.wallet_type is not None:
        return _wallet(catalog.wallet_type, is_of_catalogue=True)
    account = db.session.get_one(Account, account_id)
    found = db.session.scalar(
        select(CreditType)
        .where(CreditType.is_money, CreditType.currency == account.currency)
        .order_by(CreditType.position, CreditType.id)
        .limit(1)
    )
    return _wallet(found) if found is not None else None


def wallet_of(account_id: int) -> Wallet:
    """The money wallet of an account. Raises InvalidRequest naming ``credit_type`` where it has none."""
    wallet = find_wallet(account_id)
    if wallet is None:
        raise InvalidRequest.of("credit_type", "there is no money wallet for this account")
    return wallet


def wallet_named(account_id: int, code: str | None) -> Wallet:
    """The wallet of a code, or the account's own. Raises InvalidRequest where the type is no money."""
    if code is None:
        return wallet_of(account_id)
    found = db.session.scalar(select(CreditType).where(CreditType.code == code))
    if found is None:
        raise InvalidRequest.of("credit_type", f"there is no credit type {code!r}")
    if not found.is_money:
        raise InvalidRequest.of("credit_type", f"{code!r} is no money wallet")
    return _wallet(found)


def check_funds(cents: int, currency: str) -> None:
    """Raises InvalidRequest naming ``amount`` where so much cannot be added by Checkout at once."""
    digits = currency_digits(currency)
    least, most = LEAST_FUNDS * 10**digits, MOST_FUNDS * 10**digits
    if not least <= cents <= most:
        amount = to_number(cents, digits)
        raise InvalidRequest.of("amount", f"must be between {LEAST_FUNDS} and {MOST_FUNDS:,}, not {amount}")


def _wallet(row: CreditType, *, is_of_catalogue: bool = False) -> Wallet:
    assert row.currency is not None
    return Wallet(row.id, row.code, row.name, row.scale, row.currency, is_of_catalogue)
