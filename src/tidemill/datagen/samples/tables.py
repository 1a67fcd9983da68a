"""Sample files and the index of their rows.

``data_files`` keeps the earlier system's columns by name and type; ``file_content`` stays an empty blob, because the
bytes are in the object store under ``object_key`` (what was uploaded) and under the keys of the chunks.

``data_file_chunk`` says where the rows are. A chunk never changes; an edit ends the life of one (``dead_version``) and
brings forth its successor. The rows of version v are, in order of ``ord``, the chunks with born <= v < dead.
Invariant: the chunks alive at one version hold disjoint slot ranges ``[ord, ord + rows)``, and slots are never used
again; so the order survives every edit, and the position of a row is a sum over the chunks before it.

``data_file_shelf`` holds those sums for the living version, by shelves of 65,536 slots: a look-up adds up a few
shelves and the chunks of one, however long the file is.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from tidemill.platform.db import JsonText, UtcTime, metadata

BIG_ID = BigInteger().with_variant(Integer, "sqlite")

data_files = Table(
    "data_files",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("filename", String(255), nullable=False),
    Column("file_content", LargeBinary, nullable=False),
    Column("file_size", BigInteger, nullable=False),
    Column("content_type", String(100), nullable=False, server_default="application/x-jsonlines"),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    # Ours.
    Column("object_key", Text, nullable=False),
    Column("format", String(10), nullable=False),
    Column("encoding", String(20), nullable=False),
    Column("columns", JsonText, nullable=False),
    Column("problems", JsonText, nullable=False),
    Column("problem_count", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("next_slot", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("language_hint", String(10)),
    Index("ix_data_files_user_id_id", "user_id", "id"),
    sqlite_autoincrement=True,
)

data_file_chunk = Table(
    "data_file_chunk",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("file_id", Integer, ForeignKey("data_files.id", ondelete="CASCADE"), nullable=False),
    Column("ord", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("born_version", Integer, nullable=False),
    Column("dead_version", Integer),
    Column("dead_at", UtcTime),
    Column("object_key", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
    # Covers the sum over the living chunks, which every look-up of a position makes.
    Index("ix_data_file_chunk_file_id_dead_version_ord_rows", "file_id", "dead_version", "ord", "rows"),
    Index("ix_data_file_chunk_object_key", "object_key"),
)

data_file_shelf = Table(
    "data_file_shelf",
    metadata,
    Column("file_id", Integer, ForeignKey("data_files.id", ondelete="CASCADE"), primary_key=True),
    # ord // 65536 of the chunks on it
    Column("shelf", Integer, primary_key=True, autoincrement=False),
    Column("rows", Integer, nullable=False),
)
