"""``tidemill serve``: the product itself."""

from pathlib import Path

import click

from tidemill.cli.output import load_settings


@click.command("serve")
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (8080); 0 takes any free one.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder that holds everything the product keeps.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (tidemill.yaml).")
@click.option("--roles", help="Comma-separated: api, worker, scheduler.")
def command(host: str | None, port: int | None, data_dir: Path | None, config: Path | None, roles: str | None) -> None:
    """Start the server with the console."""
    loaded = load_settings(
        config,
        data_dir,
        **{
            "server.host": host,
            "server.port": port,
            "server.roles": roles.split(",") if roles else None,
        },
    )
    from tidemill.server.process import serve  # noqa: PLC0415 - after the settings were found good

    serve(loaded.settings)
