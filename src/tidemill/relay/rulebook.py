"""The rules in force, as the relay looks them up: which strategy, which region, what users and models are held to."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from tidemill.relay.contracts import RuleKind, RuleWish, Strategy
from tidemill.relay.limits.contracts import Bound

DEFAULT: Strategy = "weighted"


class Rulebook(Struct, frozen=True):
    """All rules, by kind and name. A narrower rule wins over a wider one, field by field."""

    by_kind: Mapping[RuleKind, Mapping[str, RuleWish]] = field(default_factory=dict[RuleKind, Mapping[str, RuleWish]])

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ruled."""
        return not self.by_kind

    def strategy(self, model: str, user_id: int, group: str) -> Strategy:
        """Return how a channel is chosen."""
        if not self.by_kind:
            return DEFAULT
        for rule in self._narrowest_first(model, user_id, group):
            if rule.strategy is not None:
                return rule.strategy
        return DEFAULT

    def strategy_from(self, model: str, user_id: int, group: str) -> str:
        """Return which rule says so, as ``kind:name``; ``default`` where none does."""
        rules = self._narrowest_first(model, user_id, group)
        return next((f"{rule.kind}:{rule.name}" for rule in rules if rule.strategy is not None), "default")

    def region(self, model: str, user_id: int, group: str) -> str | None:
        """Return where calls must be served; None: anywhere."""
        if not self.by_kind:
            return None
        rules = self._narrowest_first(model, user_id, group)
        return next((rule.region for rule in rules if rule.region is not None), None)

    def continues(self, model: str, user_id: int, group: str) -> bool | None:
        """Return whether streams that break go on elsewhere; None: no rule says."""
        if not self.by_kind:
            return None
        rules = self._narrowest_first(model, user_id, group)
        return next((rule.continues for rule in rules if rule.continues is not None), None)

    def user_bound(self, user_id: int, group: str) -> Bound | None:
        """Return what a user is held to, all keys together."""
        if not self.by_kind:
            return None
        kinds: tuple[tuple[RuleKind, str], ...] = (("user", str(user_id)), ("group", group), ("global", ""))
        rules = [rule for kind, name in kinds if (rule := self.by_kind.get(kind, {}).get(name)) is not None]
        bound = Bound(
            f"user:{user_id}",
            next((rule.rpm for rule in rules if rule.rpm is not None), None),
            next((rule.tpm for rule in rules if rule.tpm is not None), None),
            next((rule.max_concurrent for rule in rules if rule.max_concurrent is not None), None),
        )
        return None if bound.is_open else bound

    def model_bound(self, model: str) -> Bound | None:
        """Return what a model is held to, all callers together."""
        rule = self.by_kind.get("model", {}).get(model)
        if rule is None:
            return None
        bound = Bound(f"model:{model}", rule.rpm, rule.tpm, rule.max_concurrent)
        return None if bound.is_open else bound

    def _narrowest_first(self, model: str, user_id: int, group: str) -> Iterable[RuleWish]:
        kinds: tuple[tuple[RuleKind, str], ...] = (
            ("model", model),
            ("user", str(user_id)),
            ("group", group),
            ("global", ""),
        )
        return [rule for kind, name in kinds if (rule := self.by_kind.get(kind, {}).get(name)) is not None]


NO_RULES = Rulebook()


def rulebook(rules: Iterable[RuleWish]) -> Rulebook:
    """Make the book of ``rules``."""
    by_kind: dict[RuleKind, dict[str, RuleWish]] = {}
    for rule in rules:
        by_kind.setdefault(rule.kind, {})[rule.name] = rule
    return Rulebook(by_kind)
