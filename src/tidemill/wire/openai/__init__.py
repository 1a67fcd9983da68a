"""OpenAI chat completions, translated: requests, answers, streams and errors, both ways."""
