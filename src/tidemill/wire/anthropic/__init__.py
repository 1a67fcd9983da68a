"""Anthropic messages, translated: requests, answers, streams and errors, both ways."""
