"""OpenAI's protocol: chat completions and what stands beside them under ``/v1``."""
