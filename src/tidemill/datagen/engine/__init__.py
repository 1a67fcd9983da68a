"""The generation engine: many model services, durable items, one group commit."""
