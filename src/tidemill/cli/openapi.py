"""``tidemill openapi``: the OpenAPI document of this version, as the console's client is generated from it."""

import click

from tidemill.cli.output import print_json


@click.command("openapi")
def command() -> None:
    """Print the OpenAPI 3.1 document; needs neither a database nor a server."""
    from tidemill.server.wiring import openapi_document  # noqa: PLC0415 - loads every context's routes

    print_json(openapi_document())
