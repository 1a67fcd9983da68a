"""Live events: what happens to a user's jobs, tasks and usage, told to browsers and scripts as it happens.

One hub a process listens to the event bus and gives each event to the watchers whom it concerns: event streams (SSE)
and WebSockets. Truth stays in the database; who was away asks what was missed by the id of the last event seen.
"""
