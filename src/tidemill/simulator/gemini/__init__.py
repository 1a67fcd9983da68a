"""Gemini's protocol under ``/v1beta``: generate content, count tokens, embed, models."""
