"""Sample files and the chunks that hold their rows.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_files",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("file_content", sa.LargeBinary, nullable=False),
        sa.Column("file_size", sa.BigInteger, nullable=False),
        sa.Column("content_type", sa.String(100), nullable=False, server_default="application/x-jsonlines"),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("format", sa.String(10), nullable=False),
        sa.Column("encoding", sa.String(20), nullable=False),
        sa.Column("columns", JsonText, nullable=False),
        sa.Column("problems", JsonText, nullable=False),
        sa.Column("problem_count", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("next_slot", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("language_hint", sa.String(10)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_data_files_user_id_id", "data_files", ["user_id", "id"])
    op.create_table(
        "data_file_chunk",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("file_id", sa.Integer, sa.ForeignKey("data_files.id", ondelete="CASCADE"), nullable=False),
        sa.Column("ord", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("born_version", sa.Integer, nullable=False),
        sa.Column("dead_version", sa.Integer),
        sa.Column("dead_at", UtcTime),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
    )
    op.create_index(
        "ix_data_file_chunk_file_id_dead_version_ord_rows",
        "data_file_chunk",
        ["file_id", "dead_version", "ord", "rows"],
    )
    op.create_index("ix_data_file_chunk_object_key", "data_file_chunk", ["object_key"])
    op.create_table(
        "data_file_shelf",
        sa.Column("file_id", sa.Integer, sa.ForeignKey("data_files.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("shelf", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("data_file_shelf")
    op.drop_index("ix_data_file_chunk_object_key", table_name="data_file_chunk")
    op.drop_index("ix_data_file_chunk_file_id_dead_version_ord_rows", table_name="data_file_chunk")
    op.drop_table("data_file_chunk")
    op.drop_index("ix_data_files_user_id_id", table_name="data_files")
    op.drop_table("data_files")
