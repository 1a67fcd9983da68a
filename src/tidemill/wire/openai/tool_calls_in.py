"""Read streamed calls of tools, as OpenAI sends them and as others do.

OpenAI: the first piece of an index has id, type and name, later ones only more arguments; calls follow one another.
Tolerated: no index, no id, several calls in one event, all arguments at once, arguments as an object, pieces that
repeat all that came before, an index used again with a new id, names and ids repeated in every piece.
"""

from collections.abc import Callable

from msgspec import UNSET

from tidemill.kernel.ids import short_id
from tidemill.wire.canonical_events import ArgumentsDelta, Closed, Event, Signed, ToolOpened
from tidemill.wire.canonical_parts import Issuer
from tidemill.wire.canonical_tools import is_object
from tidemill.wire.openai.messages_in import arguments_text, signature_in
from tidemill.wire.openai.shapes import CalledIn, CallIn

_ID_LENGTH = 24


class _Call:
    """One call on its way. ``part`` is negative until its name is known, for nobody can be told of it before."""

    __slots__ = (
        "_known",
        "_pieces",
        "_plain",
        "closed",
        "custom",
        "given_id",
        "id",
        "index",
        "name",
        "part",
        "signature",
    )

    def __init__(self, index: int | None, given_id: str | None) -> None:
        self.index = index
        self.given_id = given_id
        self.id = given_id or f"call_{short_id(_ID_LENGTH)}"
        self.name = ""
        self.custom = False
        self.part = -1
        self.closed = False
        self._known = ""  # the arguments until it is clear that pieces are pieces
        self._plain = False  # one came that did not repeat what was there
        self._pieces: list[str] = []
        self.signature: tuple[str, Issuer] | None = None

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return self._known + "".join(self._pieces)

    def add(self, piece: str) -> str:
        """Take a piece of the arguments; returns what of it is new.

        A piece that begins with all that came before repeats it, unless both together are what completes the object.
        """
        if self._plain:
            self._pieces.append(piece)
            return piece
        known = self._known
        if known.lstrip().startswith("{") and not self.custom:
            if piece.startswith(known) and not is_object(known + piece):
                self._known = piece
                return piece[len(known) :]
            self._plain = True
        self._known = known + piece
        return piece


class CallReader:
    """The calls of one choice. ``number`` gives parts their numbers."""

    __slots__ = ("_by_index", "_calls", "_choice", "_last", "_number")

    def __init__(self, choice: int, number: Callable[[], int]) -> None:
        self._choice = choice
        self._number = number
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None

    @property
    def any(self) -> bool:
        """Whether a call has come."""
        return bool(self._calls)

    def take(self, piece: CallIn, out: list[Event]) -> None:
        """Read one entry of ``tool_calls``."""
        function, custom = piece.function, piece.custom
        name = function.name if function is not None else custom.name if custom is not None else None
        call = self._last
        if call is None or piece.index is None or piece.index != call.index or piece.id is not None:
            call = self._find(piece, name, out)
        if custom is not None:
            call.custom = True
            arguments = custom.input or ""
        else:
            arguments = "" if function is None else function.arguments or ""
            if isinstance(arguments, dict):
                arguments = arguments_text(arguments)
        if piece.extra_content is not None:
            signature, issuer = signature_in(piece.extra_content)
            if signature is not UNSET and issuer is not UNSET:
                call.signature = (signature, issuer)
        self._grow(call, name, arguments, out)

    def take_legacy(self, piece: CalledIn, out: list[Event]) -> None:
        """Read a ``function_call``: there is one, without index or id."""
        call = self._last or self._begin(None, None, out)
        self._grow(call, piece.name, arguments_text(piece.arguments), out)

    def _find(self, piece: CallIn, name: str | None, out: list[Event]) -> _Call:
        known = self._known(piece, name)
        if known is None:
            return self._begin(piece.index, piece.id, out)
        if known.given_id is None and piece.id and known.part < 0:
            known.id = known.given_id = piece.id
        self._last = known
        return known

    def _known(self, piece: CallIn, name: str | None) -> _Call | None:
        if piece.index is not None:
            call = self._by_index.get(piece.index)
            # A new id with a name begins a new call; one without only renames what goes on.
            if call is not None and piece.id and call.given_id not in {None, piece.id} and name:
                return None
            return call
        if piece.id:
            return next((call for call in self._calls if call.given_id == piece.id), None)
        # Neither index nor id: more of the last call, unless a name begins another.
        return None if name and self._last is not None and self._last.name else self._last

    def _begin(self, index: int | None, given_id: str | None, out: list[Event]) -> _Call:
        self.close_whole(out)
        call = _Call(index, given_id)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        self._last = call
        return call

    def _grow(self, call: _Call, name: str | None, piece: str, out: list[Event]) -> None:
        news = call.add(piece) if piece else ""
        if call.closed:
            return  # its arguments were whole: nothing but blanks can follow
        if call.part < 0:
            if not name:
                return
            call.name = name
            self._open(call, out)
        elif news:
            out.append(ArgumentsDelta(call.part, news))

    def _open(self, call: _Call, out: list[Event]) -> None:
        call.part = self._number()
        out.append(ToolOpened(call.part, call.id, call.name, self._choice, call.custom))
        known = call.arguments
        if known:
            out.append(ArgumentsDelta(call.part, known))

    def close_whole(self, out: list[Event]) -> None:
        """Close the calls whose arguments can only be complete; another part begins."""
        for call in self._calls:
            if not call.closed and call.part >= 0 and not call.custom and is_object(call.arguments):
                self._close(call, out)

    def close(self, out: list[Event]) -> None:
        """Close every call; one whose name never came is told without."""
        for call in self._calls:
            if not call.closed:
                if call.part < 0:
                    self._open(call, out)
                self._close(call, out)

    def _close(self, call: _Call, out: list[Event]) -> None:
        call.closed = True
        if call.signature is not None:
            out.append(Signed(call.part, *call.signature))
        out.append(Closed(call.part))
