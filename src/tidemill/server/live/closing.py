"""How a WebSocket of ours may end (RFC 6455; 4000 and above are our own)."""

from typing import Final

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
POLICY: Final = 1008
TRY_LATER: Final = 1013
BAD_FRAME: Final = 4400
NOT_SIGNED_IN: Final = 4401
FORBIDDEN: Final = 4403
NO_AUTH_IN_TIME: Final = 4408

REASONS: Final = {
    NORMAL: "",
    GOING_AWAY: "the server is stopping; connect again",
    POLICY: "too many frames",
    TRY_LATER: "too slow, or too many watchers; connect again later",
    BAD_FRAME: "not a frame of version 1",
    NOT_SIGNED_IN: "not signed in, or not any more",
    FORBIDDEN: "not allowed",
    NO_AUTH_IN_TIME: "no auth frame came in time",
}
