"""Build the relay of one process and run it: board, pipeline, door and administration, all on one memory."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.cache import Cache
from tidemill.platform.db import Database
from tidemill.platform.secrets import SecretBox
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger
from tidemill.relay import figures, repository
from tidemill.relay.asgi import RelayApp, no_facts
from tidemill.relay.breaker import Breaker
from tidemill.relay.caching.engines import open_caching
from tidemill.relay.channels_file import ChannelsFile
from tidemill.relay.config_service import ModelConfigService
from tidemill.relay.contracts import ChannelView, ChannelWish
from tidemill.relay.facade import Relay
from tidemill.relay.figures import CountingMeter
from tidemill.relay.house import House
from tidemill.relay.imports import ChannelImports
from tidemill.relay.limits.engines import open_limits
from tidemill.relay.pipeline.draining import Drains
from tidemill.relay.pipeline.exchange import Patience
from tidemill.relay.pipeline.run import Ground, Pipeline
from tidemill.relay.pipeline.watch import TICK_S, Watch
from tidemill.relay.ports import CallerLimits, FactsOf, Identify, LimitsOf, LocalLeases, Meter
from tidemill.relay.rule_service import RuleService
from tidemill.relay.service import ChannelService
from tidemill.relay.switchboard import Switchboard
from tidemill.relay.sync import Sync
from tidemill.relay.upstreams.engines import open_upstreams
from tidemill.relay.upstreams.media import MediaFetcher
from tidemill.relay.vault import Vault

_BOOT = SystemScope(SystemReason.BOOT)
_OPENAI_URL = "https://api.openai.com/v1"
_OPENAI_MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
)
_log = get_logger("tidemill.relay")


class RelayContext:
    """The relay of one process.

    ``relay`` serves calls from inside, ``asgi`` those of ``/v1``, ``channels`` and ``model_configs`` administrators.
    """

    def __init__(  # noqa: PLR0913 - each is a port or a bound of the process
        self,
        *,
        db: Database,
        secrets: SecretBox,
        meter: Meter,
        settings: GatewaySettings,
        leases: LocalLeases | None = None,
        local_slots: int = 4,
        local_timeout_s: float = 600.0,
        cache_url: str = "memory://",
        tick_s: float = TICK_S,
        cache: Cache | None = None,
        limits_of: LimitsOf | None = None,
    ) -> None:
        """Build everything, start nothing. ``cache``: one that several processes share.

        ``limits_of``: what a caller is held to; absent: the settings' limits hold for everybody.
        """
        self._db = db
        self._settings = settings
        self._tasks = TaskOwner()
        meter = CountingMeter(meter)
        make_breaker = partial(
            Breaker, settings.breaker_failures, settings.breaker_pause_s, settings.breaker_max_pause_s
        )
        self.limits = open_limits(cache_url)
        self.board = Switchboard(make_breaker, max_waiting=settings.max_waiting, limits=self.limits)
        self._upstreams = open_upstreams(settings)
        self.watch = Watch(heartbeat_s=settings.heartbeat_s, tick_s=tick_s)
        self.drains = Drains(settings.drain_s, settings.max_drains)
        patience = Patience(
            settings.first_token_timeout_s,
            settings.idle_timeout_s,
            settings.max_answer_bytes,
            self.drains,
        )
        self._media = MediaFetcher()
        caching = open_caching(settings, cache, secrets.hmac_hash, lambda: self.board.snapshot)
        self.pipeline = Pipeline(
            Ground(self.board, self._upstreams, meter, self.watch, patience, leases, self._media, caching)
        )
        self._limits_of = limits_of or _everybodys(settings)
        self.relay = Relay(
            self.pipeline, self.board, self._tasks, limits_of=self._limits_of, max_wait_s=settings.max_wait_s
        )
        self.house = house = House(
            db=db,
            vault=Vault(secrets),
            board=self.board,
            upstreams=self._upstreams,
            meter=meter,
            leases=leases,
            allow_private=settings.allow_private_upstreams,
            default_max_concurrent=settings.default_max_concurrent,
            local_slots=local_slots,
            local_timeout_s=local_timeout_s,
        )
        self.sync = Sync(house, self._tasks)
        self.channels = ChannelService(house, self.sync)
        self.model_configs = ModelConfigService(house, self.sync)
        self.rules = RuleService(db, self.sync, self.board)
        self.imports = ChannelImports(house, self.channels, self.sync)

    def asgi(self, identify: Identify, facts_of: FactsOf = no_facts) -> RelayApp:
        """Build the application for ``/v1``."""
        settings = self._settings
        return RelayApp(
            identify=identify,
            pipeline=self.pipeline,
            board=self.board,
            watch=self.watch,
            tasks=self._tasks,
            limits_of=self._limits_of,
            facts_of=facts_of,
            wait_s=settings.relay_wait_s,
            retries=settings.retries,
            max_body_bytes=settings.max_body_bytes,
            body_timeout_s=settings.body_timeout_s,
            started_at=int(clock.now().timestamp()),
            continues=settings.continue_streams,
        )

    async def load(self) -> None:
        """Read the channels once (a command's start)."""
        await self.sync.load()

    async def start(self) -> None:
        """Read the channels and follow every change (a server's start)."""
        await self.limits.start()
        await self.sync.start()
        if self._settings.channels_file:
            file = ChannelsFile(Path(self._settings.channels_file), self.imports)
            await file.take()
            self._tasks.spawn("channels file", file.follow())
        figures.channels.boards.append(self.board)

    async def adopt_environment(self, environment: Mapping[str, str]) -> ChannelView | None:
        """Make a channel of ``OPENAI_API_KEY`` at the first start: while no channel was ever made or changed.

        ``OPENAI_BASE_URL`` says where it leads, ``OPENAI_MODELS`` (names with commas between) what it carries.
        """
        key = environment.get("OPENAI_API_KEY", "").strip()
        if not key:
            return None
        async with self._db.read() as r:
            if await repository.channels_ever_changed(r, _BOOT):
                return None
        named = environment.get("OPENAI_MODELS", "")
        models = [name.strip() for name in named.split(",") if name.strip()] or list(_OPENAI_MODELS)
        base_url = environment.get("OPENAI_BASE_URL", "").strip() or _OPENAI_URL
        wish = ChannelWish(name="openai", base_url=base_url, models=models, keys=[key], tags=["environment"])
        view = await self.channels.create(_BOOT, wish, None)
        _log.info("channel.from_environment", channel=view.name, base_url=view.base_url)
        return view

    async def close(self) -> None:
        """End what runs in the background and close every connection."""
        if self.board in figures.channels.boards:
            figures.channels.boards.remove(self.board)
        await self._tasks.cancel()
        await self.limits.close()
        await self._upstreams.close()
        await self._media.close()


def _everybodys(settings: GatewaySettings) -> LimitsOf:
    limits = CallerLimits(
        settings.caller_rpm or None, settings.caller_max_concurrent or None, settings.caller_tpm or None
    )
    return lambda _actor: limits
