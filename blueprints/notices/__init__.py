"""What an account's people are told: the list, what they want to hear, mails and leaving them."""

from blueprints.notices import mails, routes  # noqa: F401  (they put their routes on the blueprint)
from blueprints.notices.blueprint import blueprint
from blueprints.notices.mails import send_queued_mails

__all__ = ["blueprint", "send_queued_mails"]
