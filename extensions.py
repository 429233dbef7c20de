"""Flask extensions, unbound: ``create_app`` binds them."""

from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
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
limiter = Limiter(key_func=get_remote_address, headers_enabled=True, storage_uri="memory://")
