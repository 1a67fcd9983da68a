"""Schema changes, applied in the order of their numbers; written by hand."""
