"""Review of generated rows: list, mend, confirm, accept or reject, export."""
