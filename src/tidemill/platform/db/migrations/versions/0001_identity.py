"""Users, sessions taken back, API keys and the audit log; change notices and the server's own small facts.

``users`` keeps the seven columns of the earlier system under their names and in their order. Audit entries are
append-only by trigger: a row is never deleted, and the only change allowed is the one-time erasure of personal
data when an account is deleted (``erased_at`` set; name, address and agent emptied).
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_KEPT = (
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "key_id",
    "action",
    "object_type",
    "object_id",
    "result",
    "reason",
    "count",
    "request_id",
)
_SAME = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in _KEPT)
_ERASURE = (
    f"OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND {_SAME}"
    " AND NEW.actor_name IN ('', OLD.actor_name) AND NEW.details IN ('{}', OLD.details)"
    " AND (NEW.address IS NULL OR NEW.address = OLD.address)"
    " AND (NEW.user_agent IS NULL OR NEW.user_agent = OLD.user_agent)"
)


def upgrade() -> None:
    _change_notices()
    _users()
    _api_keys()
    _audit_log()
    _audit_triggers()


def _change_notices() -> None:
    op.create_table(
        "change_seq",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_change_seq"),
    )
    op.create_table(
        "server_state",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_server_state"),
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("username", sa.String(50), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.func.current_timestamp(), nullable=False),
        sa.Column("updated_at", _MOMENT, server_default=sa.func.current_timestamp(), nullable=False),
        sa.Column("username_key", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("group", sa.String(50), server_default="default", nullable=False),
        sa.Column("token_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("password_is_initial", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_login_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username", name="uq_users_username"),
        sa.UniqueConstraint("username_key", name="uq_users_username_key"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        # An id is never given out twice: tokens, bills and audit entries outlive their user.
        sqlite_autoincrement=True,
    )
    op.create_table(
        "revoked_sessions",
        sa.Column("jti", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("revoked_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_revoked_sessions"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_revoked_sessions_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_revoked_sessions_user_id", "revoked_sessions", ["user_id"])
    op.create_index("ix_revoked_sessions_expires_at", "revoked_sessions", ["expires_at"])


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("type", sa.String(20), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("key_hash", sa.String(80), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=True),
        sa.Column("networks", sa.Text(), nullable=True),
        sa.Column("budget_nano", sa.BigInteger(), nullable=True),
        sa.Column("rpm", sa.Integer(), nullable=True),
        sa.Column("tpm", sa.Integer(), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("rotated_from", sa.String(36), nullable=True),
        sa.Column("overlap_until", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.Column("last_used_address", sa.String(64), nullable=True),
        sa.Column("use_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_api_keys_user_id_id", "api_keys", ["user_id", "id"])
    op.create_index("ix_api_keys_status", "api_keys", ["status"])


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", _BIG_ID, autoincrement=True, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        # No foreign key: an entry outlives the account it speaks of.
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(100), nullable=False),
        sa.Column("key_id", sa.String(36), nullable=True),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("object_type", sa.String(32), nullable=False),
        sa.Column("object_id", sa.String(100), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("user_agent", sa.String(255), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("erased_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_log_actor_id_id", "audit_log", ["actor_id", "id"])
    op.create_index("ix_audit_log_action_id", "audit_log", ["action", "id"])
    op.create_index("ix_audit_log_object_type_object_id_id", "audit_log", ["object_type", "object_id", "id"])
    op.create_index("ix_audit_log_at", "audit_log", ["at"])


def _audit_triggers() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log"
            " FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()"
        )
        op.execute(
            "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log"
            f" FOR EACH ROW WHEN (NOT coalesce({_ERASURE}, false)) EXECUTE FUNCTION audit_log_refuse()"
        )
        return
    refuse = "BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END"
    erasure = _ERASURE.replace("IS NOT DISTINCT FROM", "IS")
    op.execute(f"CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log {refuse}")
    op.execute(
        f"CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log WHEN NOT coalesce({erasure}, 0) {refuse}"
    )


def downgrade() -> None:
    op.drop_table("audit_log")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_log_refuse()")
    op.drop_table("api_keys")
    op.drop_table("revoked_sessions")
    op.drop_table("users")
    op.drop_table("server_state")
    op.drop_table("change_seq")
