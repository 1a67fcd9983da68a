"""Google Gemini, translated: requests, answers, streams and errors, both ways."""
