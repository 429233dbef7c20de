"""The blueprint that the routes of notices are on."""

from flask import Blueprint

blueprint = Blueprint("notices", __name__)
