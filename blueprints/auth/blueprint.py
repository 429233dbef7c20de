"""The blueprint that the routes of this folder hang on."""

from flask import Blueprint

blueprint = Blueprint("auth", __name__)
