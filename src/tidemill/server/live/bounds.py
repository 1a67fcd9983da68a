"""Figures of the WebSocket that the listening server and the socket share; alone, so that a start loads no more."""

# A larger message ends the socket with 1009.
MAX_FRAME_BYTES = 64 * 1024
# The protocol's pings; a peer that answers none for as long again is dead.
PING_S = 20.0
