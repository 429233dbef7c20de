"""The blueprint that the billing routes are on."""

from flask import Blueprint

blueprint = Blueprint("billing", __name__)
