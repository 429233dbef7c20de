"""Flask extensions, unbound: ``create_app`` binds them."""

from flask_babel import Babel
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from database_session import DriverSession
from models.base import Base

db = SQLAlchemy(
    model_class=Base, disable_autonaming=True, session_options={"class_": DriverSession}
)
migrate = Migrate()
login_manager = LoginManager()
csrf = CSRFProtect()
babel = Babel()
