"""The whole of the settings, and the addresses that derive from the data directory."""

from pathlib import Path

from msgspec import Struct, field

from tidemill.platform.settings.groups.admin import AdminSettings
from tidemill.platform.settings.groups.alerts import AlertSettings
from tidemill.platform.settings.groups.auth import AuthSettings
from tidemill.platform.settings.groups.datagen import DatagenSettings
from tidemill.platform.settings.groups.edge import CorsSettings, LimitSettings, LogSettings, TelemetrySettings
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.platform.settings.groups.local_models import LocalModels
from tidemill.platform.settings.groups.mail import MailSettings
from tidemill.platform.settings.groups.server import ServerSettings
from tidemill.platform.settings.groups.storage import (
    CacheSettings,
    DatabaseSettings,
    ObjectSettings,
    QueueSettings,
    VectorSettings,
)


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting, by group."""

    server: ServerSettings = field(default_factory=ServerSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    objects: ObjectSettings = field(default_factory=ObjectSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    cors: CorsSettings = field(default_factory=CorsSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    local_models: LocalModels = field(default_factory=LocalModels)
    datagen: DatagenSettings = field(default_factory=DatagenSettings)
    log: LogSettings = field(default_factory=LogSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    mail: MailSettings = field(default_factory=MailSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self.server.data_dir

    @property
    def database_url(self) -> str:
        """The database in force; unset it is a file in the data directory."""
        return self.database.url or f"sqlite:///{self.data_dir / 'tidemill.db'}"

    @property
    def objects_url(self) -> str:
        """The object store in force; unset it is a folder in the data directory."""
        return self.objects.url or f"file://{(self.data_dir / 'objects').absolute()}"

    @property
    def models_dir(self) -> Path:
        """The folder of local model files."""
        return self.data_dir / "models"
