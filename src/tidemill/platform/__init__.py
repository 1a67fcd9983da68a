"""The ground: one port per folder, its engines, and a memory engine for tests."""
