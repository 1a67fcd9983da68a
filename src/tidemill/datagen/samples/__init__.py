"""Sample files: what a user uploads, kept as rows that can be paged, edited and read by a task at one fixed version."""
