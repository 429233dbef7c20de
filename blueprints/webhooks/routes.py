"""POST /webhooks/stripe: checked, stored, answered; processed afterwards by a thread, or by the job."""

from flask import Blueprint, current_app, request

from blueprints.access import declared
from extensions import csrf
from services.billing.inbox import store_event

webhooks = Blueprint("webhooks", __name__)


@webhooks.post("/webhooks/stripe")
@csrf.exempt
@declared("signature:stripe")
def stripe() -> dict[str, bool]:
    """200 once the event is stored, again for an event that is here already."""
    body = request.get_data(cache=False)
    event = current_app.extensions["webhook_verifier"](body, request.headers.get("Stripe-Signature"))
    row_id = store_event(body.decode(), event.id, event.type, event.object_id)
    if row_id is not None:
        current_app.extensions["inbox_worker"].submit(row_id)
    return {"received": True}
