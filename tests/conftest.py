"""Fixtures for every test; each module of tests.fixtures says what it gives."""

pytest_plugins = [
    "tests.fixtures.needs",
    "tests.fixtures.browser",
    "tests.fixtures.databases",
    "tests.fixtures.demo_model",
    "tests.fixtures.objects",
    "tests.fixtures.processes",
    "tests.fixtures.rabbitmq",
    "tests.fixtures.valkey",
    # Reads the two brokers' fixtures, so it comes after them.
    "tests.fixtures.transports",
]
