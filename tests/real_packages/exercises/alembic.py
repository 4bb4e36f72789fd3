"""Migrate a SQLite database up and down with a script written on the spot."""

import io
import tempfile
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, inspect

ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine
engine = create_engine(context.config.get_main_option("url"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
SCRIPT = """
revision, down_revision = "one", None
import sqlalchemy as sa
from alembic import op

def upgrade():
    op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True))

def downgrade():
    op.drop_table("thing")
"""


def exercise():
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "versions").mkdir()
        (folder / "env.py").write_text(ENVIRONMENT)
        (folder / "versions" / "one.py").write_text(SCRIPT)
        url = f"sqlite:///{folder}/x.db"
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", directory)
        config.set_main_option("path_separator", "os")
        config.set_main_option("url", url)
        engine, found = create_engine(url), []
        for step, target in ((command.upgrade, "head"), (command.downgrade, "base")):
            step(config, target)
            found.append(sorted(inspect(engine).get_table_names()))
        wanted = MetaData()
        Table("other", wanted, Column("id", Integer))
        with engine.connect() as connection:
            found.append([kind[0] for kind in compare_metadata(MigrationContext.configure(connection), wanted)])
        engine.dispose()
    return found
