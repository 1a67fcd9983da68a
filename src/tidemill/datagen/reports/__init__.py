"""Reports: what a task made, how good it was, what it cost and why rows were refused."""
