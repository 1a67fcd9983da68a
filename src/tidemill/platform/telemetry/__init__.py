"""What operators see: logs, metrics, and the id that ties them to a request."""

from tidemill.platform.telemetry.logs import configure_logs, get_logger, request_id, user_id

__all__ = ["configure_logs", "get_logger", "request_id", "user_id"]
