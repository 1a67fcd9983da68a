"""An append-only file between a call's end and the database, so that neither waits for the other."""
