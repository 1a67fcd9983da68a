"""Who did what: entries written in the caller's own transaction, never changed afterwards."""
