"""Write the next migration, empty: ``create_migration.py what_it_adds``."""

import re
import sys
from pathlib import Path

VERSIONS = Path(__file__).parents[1] / "src" / "tidemill" / "platform" / "db" / "migrations" / "versions"
TEMPLATE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))


def downgrade() -> None:
    op.drop_table("{name}")
'''


def create(name: str, folder: Path = VERSIONS) -> Path:
    """Write the file that follows the newest one and return its path."""
    before = max(path.name.split("_")[0] for path in folder.glob("[0-9]*.py"))
    revision = f"{int(before) + 1:04}"
    path = folder / f"{revision}_{name}.py"
    title = name.replace("_", " ").capitalize()
    path.write_text(TEMPLATE.format(title=title, revision=revision, before=before, name=name), encoding="utf-8")
    return path


def main(arguments: list[str]) -> int:
    """Make the file and print where; 2 for a missing or odd name."""
    if len(arguments) != 1 or not re.fullmatch(r"[a-z][a-z0-9_]*", arguments[0]):
        print("Say what the migration adds, in snake case: make migrate-create name=knowledge_bases", file=sys.stderr)
        return 2
    print(create(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
