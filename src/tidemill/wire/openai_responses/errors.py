"""Errors of the Responses: chat's envelope outside a stream, an event of its own within."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical_fault import Fault, Kind
from tidemill.wire.openai.errors import decode_error, encode_error, fault_of
from tidemill.wire.openai_errors import read_complaint

__all__ = ["ErrorOut", "decode_error", "encode_error", "error_event", "error_frame", "error_of", "read_fault"]

# The codes that a failed response may have.
_CODE_OF_KIND: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.RATE: "rate_limit_exceeded",
        Kind.BAD_REQUEST: "invalid_prompt",
        Kind.CONTEXT_LENGTH: "invalid_prompt",
        Kind.TOO_LARGE: "invalid_prompt",
    }
)
_CLIENTS = ("invalid_", "image_", "unsupported_image", "empty_image", "failed_to_download_image", "bio_policy")
# Who ends a stream that it did not write knows no number of its events; this is past any of them.
_LAST = 2**31 - 1


class ErrorOut(Struct, frozen=True):
    """The error of a failed response."""

    code: str
    message: str


class _EventOut(Struct, frozen=True, tag_field="type", tag="error"):
    code: str | None
    message: str
    param: str | None
    sequence_number: int


def read_fault(body: bytes | Raw) -> Fault:
    """Return what an error object in an answer or a stream means; never fails."""
    fault = fault_of(read_complaint(body))
    if fault.kind is Kind.UPSTREAM and fault.code is not UNSET and fault.code.startswith(_CLIENTS):
        return msgspec.structs.replace(fault, kind=Kind.BAD_REQUEST)
    return fault


def error_of(fault: Fault) -> ErrorOut:
    """Return the error of a response that failed."""
    return ErrorOut(_CODE_OF_KIND.get(fault.kind, "server_error"), fault.message)


def error_event(fault: Fault, sequence_number: int) -> bytes:
    """Return the event that tells of a failure."""
    code = _CODE_OF_KIND.get(fault.kind, "server_error") if fault.code is UNSET else fault.code
    param = None if fault.param is UNSET else fault.param
    event = msgspec.json.encode(_EventOut(code, fault.message, param, sequence_number))
    return b"event: error\ndata: " + event + b"\n\n"


def error_frame(fault: Fault) -> bytes:
    """Return the event that ends a broken stream that somebody else wrote."""
    return error_event(fault, _LAST)
