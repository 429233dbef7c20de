"""How updates change an object: metadata is merged, an empty value unsets, an event tells what was before."""

from typing import Any

from sandbox.routing import Call
from sandbox.store import Object

NOT_FIELDS = ("expand", "transfer_lookup_key", "validate", "tax")


def merged_metadata(before: dict[str, str], change: dict[str, str]) -> dict[str, str]:
    """Keys are added and replaced; an empty value unsets one, no keys at all unset every one."""
    if not change:
        return {}
    return {key: value for key, value in (before | change).items() if value != ""}


def updated(call: Call, item: Object, event_type: str | None) -> Object:
    """Apply an update's parameters, store the object and tell of it where something changed."""
    before: dict[str, Any] = {}
    for name, value in call.given.items():
        if name in NOT_FIELDS:
            continue
        if name == "metadata":
            value = merged_metadata(item["metadata"], value)
        elif isinstance(item.get(name), dict) and isinstance(value, dict) and value:
            value = item[name] | value
        value = None if value in ("", {}) and name != "metadata" else value
        if item.get(name) != value:
            before[name] = item.get(name)
            item[name] = value
    if before and "updated" in item:
        before["updated"], item["updated"] = item["updated"], call.store.now()
    call.store.put(item)
    if before and event_type:
        call.store.tell(event_type, item, before=before)
    return item
