"""What may go wrong between a watcher and the hub."""

from tidemill.kernel.errors import BadInput, Forbidden, TooMany, Unavailable


class UnknownFrame(BadInput):
    """A frame type that nobody here answers to."""

    code = "unknown_frame"
    zh = "服务器不认识这种帧类型，请查看实时事件文档。"
    en = "The server knows no frame of this type. See the page on live events."


class NotWatching(BadInput):
    """A frame that needs topics before it means anything."""

    code = "not_watching"
    zh = "尚未订阅任何主题，请先发送 subscribe。"
    en = "No topic is watched yet. Send subscribe first."


class OriginRefused(Forbidden):
    """A page of another origin that brought our cookie along."""

    code = "origin_refused"
    zh = "该来源的页面不能使用登录 Cookie；请把它加入 cors.origins，或改用令牌。"
    en = "A page of this origin may not use the sign-in cookie. Add it to cors.origins, or send a token."


class TooManyWatchers(TooMany):
    """The bound on open streams and sockets is reached."""

    code = "too_many_watchers"
    zh = "打开的实时连接过多，请关闭一些后再试。"
    en = "Too many live connections are open. Close some, then try again."


class Draining(Unavailable):
    """The process is on its way out."""

    code = "draining"
    zh = "服务器正在停止，请稍后重新连接。"
    en = "The server is stopping. Connect again in a moment."
