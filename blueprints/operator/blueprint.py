"""The blueprint that the console's routes are on."""

from flask import Blueprint

blueprint = Blueprint("operator", __name__)
