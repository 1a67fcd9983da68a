"""Settings of the generation engine."""

from typing import Annotated

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class DatagenSettings(Struct, frozen=True, kw_only=True):
    """How training data is generated."""

    default_model: Annotated[
        str | None, Doc(zh="任务未指定模型时使用的模型", en="Model of a task that names none.")
    ] = None
