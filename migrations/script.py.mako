<%!
    from sqlalchemy import Column
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.schema import CreateIndex

    from models.base import APPEND_ONLY, Base, append_only_statements

    DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}

    def further_statements(dialect_name):
        """What autogenerate leaves out: indexes over expressions, and the append-only triggers."""
        for table in Base.metadata.sorted_tables:
            for index in sorted(table.indexes, key=lambda index: index.name):
                if not all(isinstance(part, Column) for part in index.expressions):
                    yield str(CreateIndex(index).compile(dialect=DIALECTS[dialect_name]))
        for table_name, keys in APPEND_ONLY.items():
            yield from append_only_statements(table_name, dialect_name, keys)
%>"""${message[:1].upper()}${message[1:]}."""

import sqlalchemy as sa
from alembic import op
% if down_revision is None:

from services.clock import to_microseconds, wall_now
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
% if down_revision is None:
    for statement in FURTHER_STATEMENTS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))
    op.get_bind().execute(DEFAULT_CREDIT_TYPE, {"now": to_microseconds(wall_now()), "no": False})
% endif


def downgrade() -> None:
    raise NotImplementedError("Restore the backup that was made before the upgrade.")
% if down_revision is None:


# Every new instance has whole credits, catalogue or none.
DEFAULT_CREDIT_TYPE = sa.text(
    "INSERT INTO credit_types (code, name, scale, is_money, position, created_at) "
    "VALUES ('credits', 'Credits', 0, :no, 0, :now)"
)
# Indexes over expressions, and the triggers by which the database itself refuses to change the journal.
FURTHER_STATEMENTS = {
% for dialect_name in DIALECTS:
    ${repr(dialect_name)}: [
% for statement in further_statements(dialect_name):
        ${repr(statement)},
% endfor
    ],
% endfor
}
% endif
