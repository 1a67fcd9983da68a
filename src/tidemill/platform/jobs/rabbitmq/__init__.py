"""RabbitMQ as carrier of tickets. Importing it is cheap: the client library loads when the first connection opens."""

from tidemill.platform.jobs.rabbitmq.transport import RabbitMqTransport

__all__ = ["RabbitMqTransport"]
