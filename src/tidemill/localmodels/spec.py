"""One model as the catalogue resolved it: the file, what its header says, and how it is to be run."""

from pathlib import Path

from msgspec import Struct

from tidemill.kernel.errors import TidemillError
from tidemill.localmodels.gguf import GgufFacts
from tidemill.platform.settings.groups.local_models import LocalModel, LocalModels

_LEAST_CONTEXT = 256


class ModelSpec(Struct, frozen=True, kw_only=True):
    """A model and how to run it; ``problem`` says why it cannot be run (then ``facts`` may be None).

    ``context`` is per request, ``slots`` per instance. ``idle_timeout_s`` 0 means never.
    """

    name: str
    path: Path
    size_bytes: int
    facts: GgufFacts | None
    problem: TidemillError | None
    run: LocalModel
    context: int
    slots: int
    replicas: int
    idle_timeout_s: float


def resolve(
    name: str,
    path: Path,
    size_bytes: int,
    found: GgufFacts | TidemillError,
    declared: LocalModel | None,
    settings: LocalModels,
) -> ModelSpec:
    """Join a file, its header (or what was wrong with it), its declaration and the defaults.

    The context never passes what the model was trained for, unless a declaration asks for more.
    """
    run = declared or LocalModel()
    facts = found if isinstance(found, GgufFacts) else None
    trained = facts.context if facts else 0
    context = run.context or min(settings.context, trained or settings.context)
    return ModelSpec(
        name=name,
        path=path,
        size_bytes=size_bytes,
        facts=facts,
        problem=found if isinstance(found, TidemillError) else None,
        run=run,
        context=max(_LEAST_CONTEXT, context),
        slots=max(1, run.slots or settings.slots),
        replicas=max(1, run.replicas),
        idle_timeout_s=settings.idle_timeout_s if run.idle_timeout_s is None else run.idle_timeout_s,
    )
