"""What can go wrong between a caller and a model."""

from typing import ClassVar, Literal

from tidemill.kernel.errors import BadInput, FieldProblem, TidemillError

_OVERLOADED = frozenset({503, 529})
FailureKind = Literal["transport", "timeout", "server", "rate", "auth", "balance", "client"]


class RelayError(TidemillError):
    """Root of this context's errors."""

    code = "relay_failed"
    status = 500


class ModelNotFound(RelayError):
    """No channel carries this model."""

    code = "model_not_found"
    status = 404
    zh = "模型 {model} 不存在或没有可用渠道；请查看 /v1/models 中的可用模型。"
    en = "The model {model} does not exist here or no channel carries it. See /v1/models for those that can be called."


class ModelNotAllowed(RelayError):
    """The caller's key is limited to other models."""

    code = "model_not_allowed"
    status = 403
    zh = "此密钥无权调用模型 {model}；请换用允许该模型的密钥。"
    en = "This key may not call the model {model}. Use a key that allows it."


class NoChannelAvailable(RelayError):
    """Every channel that carries the model is out of service for now."""

    code = "no_channel_available"
    status = 503
    zh = "模型 {model} 的所有渠道暂时不可用，请稍后重试。"
    en = "Every channel of the model {model} is out of service at the moment. Try again shortly."


class RateLimited(RelayError):
    """A limit of ours; ``retry_after_s`` says when to come back."""

    code = "rate_limit_exceeded"
    status = 429
    zh = "已达到限制（{limit}），请稍后重试。"
    en = "A limit is reached ({limit}). Wait, then try again."


class UpstreamFailed(RelayError):
    """The model service failed.

    ``kind`` says how; ``status`` is what the caller is answered, ``upstream_status`` what the service said (None when
    it said nothing). ``detail`` is the service's own message with anything secret taken out.
    """

    default_kind: ClassVar[FailureKind] = "server"
    code = "upstream_failed"
    status = 502
    zh = "模型服务调用失败，请稍后重试或更换模型。"
    en = "The model service failed. Try again, or use another model."

    def __init__(
        self,
        detail: str = "",
        *,
        kind: FailureKind | None = None,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        upstream_code: str | None = None,
        param: str | None = None,
        counts: bool = True,
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.kind: FailureKind = kind or self.default_kind
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code
        self.param = param
        self.counts = counts

    @property
    def answer_status(self) -> int:
        """What a caller of the model's own protocol is answered: overload as such, to be tried again later."""
        return 503 if self.overloaded else self.status

    @property
    def overloaded(self) -> bool:
        """Whether the service said that it has too much to do for anybody."""
        return self.kind == "server" and self.upstream_status in _OVERLOADED


class UpstreamTimedOut(UpstreamFailed):
    """The model service did not answer in time."""

    default_kind = "timeout"
    code = "upstream_timeout"
    status = 504
    zh = "模型服务响应超时，请稍后重试。"
    en = "The model service took too long. Try again, or raise the channel's time-out."


class UpstreamBusy(UpstreamFailed):
    """The model service says it has too much to do."""

    default_kind = "rate"
    code = "upstream_rate_limited"
    status = 429
    zh = "模型服务繁忙，请稍后重试。"
    en = "The model service has too much to do. Wait, then try again."


class UpstreamRefused(UpstreamFailed):
    """The model service finds the request itself at fault; ``status`` repeats its own."""

    default_kind = "client"
    code = "upstream_refused"
    status = 400
    zh = "模型服务拒绝了该请求，请按提示修改。"
    en = "The model service refused the request. Mend it as it says."

    def __init__(
        self, detail: str, *, upstream_status: int, upstream_code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(detail, upstream_status=upstream_status, upstream_code=upstream_code, param=param)

    @property
    def answer_status(self) -> int:
        """Repeat the model service's own status."""
        return self.upstream_status or self.status


class RequestUnreadable(BadInput):
    """The request is none of its protocol, or asks for what the channel's protocol cannot express."""

    @classmethod
    def because(cls, message: str, param: str | None = None) -> "RequestUnreadable":
        """Say what is wrong, and with which field where that is known."""
        return cls(message, fields=[FieldProblem(param, message)] if param else ())


class SceneNotServed(ModelNotFound):
    """The model has channels, but none of their providers serves this kind of call."""

    code = "scene_not_served"
    zh = "模型 {model} 的渠道不支持此类调用（{scene}）；请换用支持它的模型。"
    en = "No channel of the model {model} serves calls of this kind ({scene}). Use a model that does."


class BodyTooSlow(RelayError):
    """The request's body did not come in time."""

    code = "body_too_slow"
    status = 408
    zh = "请求体未在规定时间内到达，请检查网络后重试。"
    en = "The body of the request did not arrive in time. Check the connection and try again."


class ClientGone(RelayError):
    """The caller hung up; nobody reads this answer, the record of the call does."""

    code = "client_gone"
    status = 499
    zh = "调用方已断开连接。"
    en = "The caller hung up."


class ClientTooSlow(ClientGone):
    """The caller stopped reading its stream for longer than the idle time-out."""

    code = "client_too_slow"
    zh = "调用方读取过慢，连接已关闭。"
    en = "The caller read too slowly and was cut off."


class ChannelNotFound(RelayError):
    """No such channel."""

    code = "channel_not_found"
    status = 404
    zh = "渠道 {id} 不存在，请刷新列表。"
    en = "There is no channel {id}. Reload the list."


class ChannelNameTaken(RelayError):
    """Two channels cannot share a name."""

    code = "channel_name_taken"
    status = 409
    zh = "渠道名称 {name} 已存在，请换一个名称。"
    en = "There is already a channel named {name}. Choose another name."


class ChannelManagedElsewhere(RelayError):
    """The channel belongs to a model configuration or a local model."""

    code = "channel_managed_elsewhere"
    status = 409
    zh = "该渠道由{owner}管理，请在那里修改。"
    en = "This channel belongs to {owner}. Change it there."


class ModelConfigNotFound(RelayError):
    """No such model configuration."""

    code = "model_config_not_found"
    status = 404
    zh = "模型配置 {id} 不存在，请刷新列表。"
    en = "There is no model configuration {id}. Reload the list."


class ModelConfigNameTaken(RelayError):
    """Two model configurations cannot share a name."""

    code = "model_config_name_taken"
    status = 409
    zh = "模型配置名称 {name} 已存在，请换一个名称。"
    en = "There is already a model configuration named {name}. Choose another name."


class RuleNotFound(RelayError):
    """No such routing rule."""

    code = "route_rule_not_found"
    status = 404
    zh = "路由规则 {id} 不存在，请刷新列表。"
    en = "There is no routing rule {id}. Reload the list."


class RuleTaken(RelayError):
    """There is one rule for each group, user and model, and one for everybody."""

    code = "route_rule_taken"
    status = 409
    zh = "该对象（{kind} {name}）已有路由规则，请修改原有规则。"
    en = "There is already a routing rule for {kind} {name}. Change that one."


class ChannelKeyNotFound(RelayError):
    """The channel has no such key."""

    code = "channel_key_not_found"
    status = 404
    zh = "该渠道没有密钥 {id}，请刷新列表。"
    en = "The channel has no key {id}. Reload the list."


class ChannelsFileWrong(RelayError):
    """The file of channels cannot be read or used; nothing was changed."""

    code = "channels_file_wrong"
    status = 400
    zh = "渠道文件 {path} 无法使用：{reason}。请修改该文件；现有渠道保持不变。"
    en = "The file of channels {path} cannot be used: {reason}. Mend it; the channels stay as they were."
