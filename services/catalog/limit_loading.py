"""Loading the limits of plans, and which meter is shown as a share of which, from a catalogue file."""

from sqlalchemy import delete, select

from errors import InvalidRequest
from extensions import db
from models.catalog import CreditType, Meter, Plan, PlanLimit
from services.catalog.preset_file import CatalogFile, LimitPart
from services.money import to_units


def load_ratios(file: CatalogFile, catalog_id: int) -> None:
    """Point each meter at the one it is a share of, once all are there."""
    rows = {row.code: row for row in db.session.scalars(select(Meter).where(Meter.catalog_id == catalog_id))}
    for part in file.meters:
        rows[part.code].ratio_of_id = rows[part.ratio_of].id if part.ratio_of else None
    db.session.flush()


def load_limits(file: CatalogFile, catalog_id: int, types: dict[str, CreditType]) -> None:
    """Make the limits of each plan of the file what the file says."""
    meters = {
        row.code: row.id for row in db.session.scalars(select(Meter).where(Meter.catalog_id == catalog_id))
    }
    plans = {
        row.code: row.id for row in db.session.scalars(select(Plan).where(Plan.catalog_id == catalog_id))
    }
    for position, part in enumerate(file.plans):
        plan_id = plans[part.code]
        db.session.execute(delete(PlanLimit).where(PlanLimit.plan_id == plan_id))
        db.session.add_all(
            _limit(plan_id, meters[code], limit, f"plans[{position}].limits.{code}", types)
            for code, limit in part.limits.items()
        )
    db.session.flush()
    db.session.expire_all()


def _limit(
    plan_id: int, meter_id: int, part: LimitPart, place: str, types: dict[str, CreditType]
) -> PlanLimit:
    credit_type = type_named(part.credit_type, place, types) if part.over == "credits" else None
    return PlanLimit(
        plan_id=plan_id,
        meter_id=meter_id,
        included=part.included,
        over_limit=part.over,
        credit_type_id=credit_type.id if credit_type else None,
        credits_per_unit=(
            to_units(part.credits_per_unit, credit_type.scale, f"{place}.credits_per_unit")
            if credit_type and part.credits_per_unit is not None
            else None
        ),
    )


def type_named(code: str, place: str, types: dict[str, CreditType]) -> CreditType:
    """The credit type of a code. Raises InvalidRequest naming the place in the file."""
    if code not in types:
        raise InvalidRequest.of(f"{place}.credit_type", f"there is no credit type {code!r}")
    return types[code]
