"""Who is calling and what they may do: users, sessions, API keys."""
