"""Answers and embeddings that were given before: kept for a while, found by what was asked, off unless it is set."""
