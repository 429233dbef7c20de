"""The ledger's rules once more, in plain Python over plain lists: slow, obvious, and written apart."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

DAY = 24 * 3600 * 10**6


class Refused(Exception):
    """The operation is refused with this code of the API."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


@dataclass
class ModelLot:
    number: int
    source: str
    amount: int
    priority: int
    expires_at: int | None
    created_at: int
    in_subscription: bool = False
    remaining: int = 0
    revoked: int = 0
    unrecovered: int = 0
    payment: int | None = None

    def burn_key(self) -> tuple:
        never = self.expires_at is None
        return self.priority, never, self.expires_at or 0, self.created_at, self.number


@dataclass
class ModelHold:
    parts: list[list]  # [lot, units]
    expires_at: int
    is_open: bool = True


@dataclass
class ModelSpend:
    parts: list[tuple]  # (lot, units)
    spent_at: int
    refunded: int = 0


@dataclass
class ModelAccount:
    lots: list[ModelLot] = field(default_factory=list)
    holds: list[ModelHold] = field(default_factory=list)
    spends: list[ModelSpend] = field(default_factory=list)
    cap: int | None = None

    def held_of(self, lot: ModelLot) -> int:
        return sum(units for hold in self.holds if hold.is_open for part, units in hold.parts if part is lot)

    @property
    def held(self) -> int:
        return sum(self.held_of(lot) for lot in self.lots)

    @property
    def balance(self) -> int:
        return sum(lot.remaining for lot in self.lots)

    @property
    def subscription(self) -> int:
        return sum(lot.remaining for lot in self.lots if lot.in_subscription)

    def open_lots(self) -> list[tuple[int, int, int]]:
        """Number, remaining and held of what is left, in burn order."""
        ordered = sorted(self.lots, key=ModelLot.burn_key)
        return [(lot.number, lot.remaining, self.held_of(lot)) for lot in ordered if lot.remaining]


class Model:
    """Two clocks are not needed here: ``now`` is the business time in microseconds."""

    def __init__(self, now: int, accounts: int):
        self.now = now
        self.accounts = [ModelAccount() for _ in range(accounts)]
        self.last_number = 0

    def advance(self, microseconds: int) -> None:
        self.now += microseconds
        for account in self.accounts:
            self.settle(account)

    def settle(self, account: ModelAccount) -> None:
        for hold in account.holds:
            if hold.is_open and hold.expires_at <= self.now:
                self.end_hold(account, hold, 0)
        for lot in account.lots:
            if lot.expires_at is not None and lot.expires_at <= self.now:
                lot.remaining = account.held_of(lot)

    def end_hold(self, account: ModelAccount, hold: ModelHold, capture: int) -> list[tuple]:
        hold.is_open = False
        taken_parts = []
        for lot, units in hold.parts:
            taken = min(units, capture)
            capture -= taken
            lot.remaining -= taken
            if taken:
                taken_parts.append((lot, taken))
            self.pay_debt(lot, units - taken)
        return taken_parts

    def pay_debt(self, lot: ModelLot, returned: int) -> None:
        paid = min(returned, lot.unrecovered)
        lot.unrecovered -= paid
        lot.revoked += paid
        lot.remaining -= paid

    def make(self, account: ModelAccount, source: str, amount: int, **values: object) -> ModelLot:
        self.last_number += 1
        values.setdefault("priority", 200 if values.get("expires_at") is None else 100)
        lot = ModelLot(self.last_number, source, amount, created_at=self.now, remaining=amount, **values)  # type: ignore[arg-type]
        account.lots.append(lot)
        return lot

    def check_cap(self, account: ModelAccount, amount: int) -> None:
        """A calendar month of UTC, net of what was refunded of its spends; open holds count."""
        spent = sum(
            sum(units for _, units in spend.parts) - spend.refunded
            for spend in account.spends
            if _month(spend.spent_at) == _month(self.now)
        )
        if account.cap is not None and spent + account.held + amount > account.cap:
            raise Refused("spending_cap_reached")

    def draw(
        self,
        account: ModelAccount,
        amount: int,
        *,
        reserve: bool,
        permanent: bool = False,
        capped: bool = False,
    ) -> list:
        free = [
            (lot, lot.remaining - account.held_of(lot))
            for lot in sorted(account.lots, key=ModelLot.burn_key)
            if not permanent or lot.expires_at is None
        ]
        if amount > sum(units for _, units in free):
            raise Refused("insufficient_credits")
        if capped:
            self.check_cap(account, amount)
        parts = []
        for lot, units in free:
            part = min(units, amount)
            amount -= part
            if part:
                parts.append([lot, part])
                if not reserve:
                    lot.remaining -= part
        return parts

    def grant(self, account: ModelAccount, source: str, amount: int, **values: object) -> None:
        self.make(account, source, amount, in_subscription=source == "subscription", **values)

    def spend(self, account: ModelAccount, amount: int) -> None:
        account.spends.append(
            ModelSpend(
                [tuple(part) for part in self.draw(account, amount, reserve=False, capped=True)], self.now
            )
        )

    def adjust_down(self, account: ModelAccount, amount: int) -> None:
        self.draw(account, amount, reserve=False)

    def hold(self, account: ModelAccount, amount: int, microseconds: int) -> None:
        parts = self.draw(account, amount, reserve=True, capped=True)
        account.holds.append(ModelHold(parts, self.now + microseconds))

    def capture(self, account: ModelAccount, number: int, amount: int) -> None:
        hold = self.open_hold(account, number)
        if amount > sum(units for _, units in hold.parts):
            raise Refused("invalid_request")
        account.spends.append(ModelSpend(self.end_hold(account, hold, amount), self.now))
        self.settle(account)

    def release(self, account: ModelAccount, number: int) -> None:
        self.end_hold(account, self.open_hold(account, number), 0)
        self.settle(account)

    def open_hold(self, account: ModelAccount, number: int) -> ModelHold:
        hold = account.holds[number]
        if not hold.is_open:
            raise Refused("hold_not_open")
        return hold

    def refund(self, account: ModelAccount, number: int, amount: int) -> None:
        spend = account.spends[number]
        if amount > sum(units for _, units in spend.parts) - spend.refunded:
            raise Refused("conflict")
        units = [lot for lot, part in reversed(spend.parts) for _ in range(part)]  # one by one, last first
        back = units[spend.refunded : spend.refunded + amount]
        spend.refunded += amount
        for lot in dict.fromkeys(map(id, back)):
            of_lot = [each for each in back if id(each) == lot]
            self.give_back(account, of_lot[0], len(of_lot), spend.spent_at)
        self.settle(account)

    def give_back(self, account: ModelAccount, lot: ModelLot, part: int, spent_at: int) -> None:
        if lot.expires_at is None or self.now < lot.expires_at:
            lot.remaining += part
            self.pay_debt(lot, part)
            return
        owed = min(part, lot.unrecovered)
        lot.remaining += owed
        self.pay_debt(lot, owed)
        if part > owed:
            lasts = max(lot.expires_at - spent_at, DAY)
            self.make(
                account, "refund", part - owed, priority=lot.priority, expires_at=self.now + lasts,
                in_subscription=lot.in_subscription,
            )  # fmt: skip

    def transfer(self, giver: ModelAccount, taker: ModelAccount, amount: int) -> None:
        for _, part in self.draw(giver, amount, reserve=False, permanent=True):
            self.make(taker, "transfer", part, priority=200, expires_at=None)

    def revoke(self, account: ModelAccount, payment: int, refunded_cents: int, paid_cents: int) -> None:
        for lot in account.lots:
            if lot.payment == payment:
                due = refunded_cents * lot.amount // paid_cents - lot.revoked - lot.unrecovered
                if due > 0:
                    part = min(due, lot.remaining - account.held_of(lot))
                    lot.remaining -= part
                    lot.revoked += part
                    lot.unrecovered += due - part


def _month(microseconds: int) -> tuple[int, int]:
    moment = datetime.fromtimestamp(microseconds // 10**6, UTC)
    return moment.year, moment.month
