"""RabbitMQ as carrier of tickets. ``transport`` is what wiring constructs; the client library loads when it connects."""
