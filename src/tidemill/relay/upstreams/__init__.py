"""The way out: how a prepared request reaches a model service."""
