"""Work in the background as people see it: jobs, queues, schedules, workers, and how far anything long has got."""
