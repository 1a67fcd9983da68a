"""``tidemill worker`` and ``tidemill scheduler``: the same program in one role."""

from pathlib import Path

import click

from tidemill.cli.output import load_settings


def _in_role(role: str, text: str) -> click.Command:
    @click.command(role, help=text)
    @click.option("--health-port", type=click.IntRange(0, 65535), help="Answer /readyz and /metrics on this port.")
    @click.option("--host", help="Address of --health-port (127.0.0.1).")
    @click.option("--data-dir", type=click.Path(path_type=Path), help="Folder that holds what the product keeps.")
    @click.option("--config", type=click.Path(path_type=Path), help="Settings file (tidemill.yaml).")
    def command(health_port: int | None, host: str | None, data_dir: Path | None, config: Path | None) -> None:
        settings = {"server.roles": [role], "server.host": host, "server.health_port": health_port}
        loaded = load_settings(config, data_dir, **settings)
        from tidemill.server.process import serve  # noqa: PLC0415 - after the settings were found good

        serve(loaded.settings)

    return command


worker = _in_role("worker", "Run jobs until stopped; takes what any server on the same database enqueues.")
scheduler = _in_role("scheduler", "Fire schedules and look after queues; several may run, each firing happens once.")
