"""Anthropic's protocol: messages, token counts, models."""
