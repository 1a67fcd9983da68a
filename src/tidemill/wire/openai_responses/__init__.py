"""OpenAI Responses, translated: requests, answers, streams and errors, both ways."""
