"""How objects are shown: ids replaced by objects where asked, what is hidden left out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.problems import invalid

if TYPE_CHECKING:
    from sandbox.store import Object, Store

MOST_LEVELS = 4
# Fields that hold an id and can show the object instead: (kind, field) → the kind they lead to.
EXPANDABLE = {
    ("application_fee", "account"): "account",
    ("application_fee", "originating_transaction"): "charge",
    ("charge", "application_fee"): "application_fee",
    ("charge", "customer"): "customer",
    ("charge", "transfer"): "transfer",
    ("charge", "payment_intent"): "payment_intent",
    ("dispute", "charge"): "charge",
    ("dispute", "payment_intent"): "payment_intent",
    ("checkout.session", "customer"): "customer",
    ("checkout.session", "invoice"): "invoice",
    ("checkout.session", "payment_intent"): "payment_intent",
    ("checkout.session", "setup_intent"): "setup_intent",
    ("checkout.session", "subscription"): "subscription",
    ("invoice", "customer"): "customer",
    ("invoice", "default_payment_method"): "payment_method",
    ("invoice_payment", "invoice"): "invoice",
    ("payment", "charge"): "charge",
    ("payment", "payment_intent"): "payment_intent",
    ("payment_intent", "customer"): "customer",
    ("payment_intent", "latest_charge"): "charge",
    ("payment_intent", "payment_method"): "payment_method",
    ("payment_method", "customer"): "customer",
    ("price", "product"): "product",
    ("setup_intent", "customer"): "customer",
    ("setup_intent", "payment_method"): "payment_method",
    ("subscription", "customer"): "customer",
    ("subscription", "default_payment_method"): "payment_method",
    ("subscription", "latest_invoice"): "invoice",
    ("product", "default_price"): "price",
    ("refund", "charge"): "charge",
    ("refund", "payment_intent"): "payment_intent",
    ("invoice_settings", "default_payment_method"): "payment_method",
    ("refund", "transfer_reversal"): "transfer_reversal",
    ("transfer", "destination"): "account",
    ("transfer", "source_transaction"): "charge",
    ("transfer_data", "destination"): "account",
    ("transfer_reversal", "transfer"): "transfer",
}
# Lists that an answer carries only where it is asked to: (kind, field) → how to make one.
INCLUDABLE: dict[tuple[str, str], Callable[["Store", "Object"], "Object"]] = {}


def includable(kind: str, name: str) -> Callable[[Callable], Callable]:
    """Register how a list that is shown only when expanded comes about."""

    def register(make: Callable[["Store", "Object"], "Object"]) -> Callable:
        INCLUDABLE[kind, name] = make
        return make

    return register


def public(item: Any) -> Any:
    """What the outside sees: names with a leading underscore are the sandbox's own notes."""
    if isinstance(item, dict):
        return {name: public(value) for name, value in item.items() if not name.startswith("_")}
    return [public(part) for part in item] if isinstance(item, list) else item


def rendered(store: "Store", item: "Object", paths: list[str]) -> "Object":
    """The answer, expanded where asked. Raises StripeProblem for what cannot be expanded."""
    shown = public(item)
    for path in paths:
        parts = path.split(".")
        if len([part for part in parts if part != "data"]) > MOST_LEVELS:
            raise invalid("You cannot expand more than 4 levels of a property.", "expand")
        _expand(store, shown, parts, shown.get("object", ""), path)
    return shown


def _expand(store: "Store", shown: Any, parts: list[str], kind: str, path: str) -> None:
    """Expand one path in place. ``kind``: the object's, or for a part of one the field's name."""
    if not isinstance(shown, dict):
        return
    name, *rest = parts
    kind = shown.get("object", kind)
    if kind == "list" and name == "data":
        for entry in shown["data"]:
            if rest:
                _expand(store, entry, rest, "", path)
        return
    if (kind, name) in INCLUDABLE:
        if not isinstance(shown.get(name), dict):
            shown[name] = public(INCLUDABLE[kind, name](store, store.find(kind, shown["id"]) or shown))
    elif isinstance(shown.get(name), str):
        if (kind, name) not in EXPANDABLE:
            raise invalid(f"This property cannot be expanded ({path}).", "expand")
        found = store.find(EXPANDABLE[kind, name], shown[name])
        shown[name] = public(found) if found else shown[name]
    elif (kind, name) not in EXPANDABLE and not (rest and isinstance(shown.get(name), dict)):
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    if rest:
        _expand(store, shown[name], rest, name, path)
