"""Usage: one event for every model call, kept exactly once; prices, holds and bills stand on it later."""
