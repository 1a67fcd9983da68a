"""The data factory: sample files, task types, the generation engine, review, export and reports."""
