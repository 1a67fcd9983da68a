"""The one place where failures of the client library become ours.

When a connection dies, the library ends pending calls with whatever it has: its own errors, ``OSError``,
``RuntimeError``, even a ``CancelledError`` that nobody asked for. Nothing outside this module has to know.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from aio_pika import exceptions

from tidemill.platform.jobs.rabbitmq.errors import BrokerAway, BrokerMisused

T = TypeVar("T")

_LOST = (*exceptions.CONNECTION_EXCEPTIONS, TimeoutError, asyncio.CancelledError)


async def answer(call: Awaitable[T], timeout_s: float) -> T:
    """Await a call of the library.

    Raises BrokerAway when it failed or took longer than ``timeout_s``, BrokerMisused when the server refused it.
    DeliveryError (the server would not take a message) passes as it is.
    """
    # In a task of its own, so that a cancellation that the library made up is told from one that is meant for us.
    (result,) = await asyncio.gather(asyncio.wait_for(call, timeout_s), return_exceptions=True)
    if not isinstance(result, BaseException):
        return result
    if isinstance(result, exceptions.DeliveryError) or not isinstance(result, _LOST):
        raise result
    raise failure(result, timeout_s) from result


async def answers(calls: Iterable[Awaitable[object]]) -> list[bool]:
    """Await many calls at once, each with a time limit of its own; True where one succeeded.

    Raises what is neither a lost connection nor a refused message.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, _LOST):
            raise result
    return [not isinstance(result, BaseException) for result in results]


def failure(error: BaseException, timeout_s: float = 0) -> BrokerAway:
    """Return what ``error`` means for us, as a sentence."""
    if isinstance(error, BrokerAway):
        return error
    if (refusal := _refusal(error)) is not None:
        return BrokerMisused(refusal)
    if isinstance(error, TimeoutError):
        return BrokerAway(f"RabbitMQ did not answer within {timeout_s:g} s.")
    if isinstance(error, asyncio.CancelledError):
        return BrokerAway("The connection to RabbitMQ was lost.")
    return BrokerAway(f"RabbitMQ cannot be reached: {error}")


def _refusal(error: BaseException) -> str | None:
    """Say what somebody has to do, where the server would have answered and does not want to."""
    if isinstance(error, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
        return "RabbitMQ refused the user or the password: mend them in queue.url."
    if isinstance(error, exceptions.InvalidFrameError) and "Connection.OpenOk" in str(error):
        # The library does not read the refusal that comes in the place of Open-Ok (aiormq 7.2).
        return "RabbitMQ refused the virtual host: create it, let the user in, or name another in queue.url."
    if "ACCESS_REFUSED" in str(error):
        return (
            "RabbitMQ does not allow the user this: give it the permissions configure, write and read for names that "
            f"begin with queue.prefix and a dot. {error}"
        )
    return None
