"""Alerts by mail, to a real SMTP server on a loopback port: plain, upgraded, encrypted from the start, signed in."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.operations.alerts.test_webhook import RAISED
from tidemill.operations.alerts.mail import AlertMail
from tidemill.operations.alerts.ports import Undelivered
from tidemill.platform.mail import Letter, MailRefused, MemoryMailer, open_mailer
from tidemill.platform.mail.smtp import SmtpMailer
from tidemill.platform.settings.groups.mail import MailSettings

SENDER = "Tidemill <mill@example.com>"


class Inbox:
    """What an SMTP server took; ``refuse`` answers a recipient."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], EmailMessage]] = []
        self.refuse: dict[str, str] = {}

    async def handle_RCPT(  # noqa: N802 - the name that the server looks for
        self, server: object, session: object, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802 - as above
        del server, session
        content = cast("bytes", envelope.content)
        message = cast("EmailMessage", message_from_bytes(content, policy=cast("Any", policy.default)))
        self.taken.append((list(envelope.rcpt_tos), message))
        return "250 taken"


Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    import ipaddress  # noqa: PLC0415 - this fixture alone needs it

    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def served_by(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(inbox: Inbox, tls: ssl.SSLContext | None = None, **options: Any) -> int:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: SMTP(inbox, hostname="mail.test", loop=loop, **options), "127.0.0.1", 0, ssl=tls
            )
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        yield start


def letter(**fields: Any) -> Letter:
    given: dict[str, Any] = {"to": ["ops@example.com"], "subject": "渠道 a 不可用", "text": "请检查。\n", "key": "k1"}
    return Letter(**{**given, **fields})


def settings(port: int, **fields: Any) -> MailSettings:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": port, "sender": SENDER, "tls": "none"}
    return MailSettings(**{**given, **fields})


async def test_an_alert_arrives_as_a_letter_that_people_can_read(serve: Serve) -> None:
    inbox = Inbox()
    port = await serve(inbox)
    mailer = open_mailer(settings(port))
    assert mailer is not None
    await AlertMail(mailer, ["ops@example.com", "boss@example.com"]).send(RAISED)
    [(to, message)] = inbox.taken
    assert to == ["ops@example.com", "boss@example.com"]
    assert message["From"] == SENDER
    assert message["Subject"] == "[Tidemill] 告警: 渠道 a 不可用"
    assert message["Message-ID"] == "<raised.a1.1@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().startswith("请检查该服务。")


async def test_it_upgrades_to_tls_and_signs_in(serve: Serve, certificate: Path) -> None:
    seen: list[LoginPassword] = []

    def login(server: object, session: object, envelope: object, mechanism: str, data: LoginPassword) -> AuthResult:
        del server, session, envelope, mechanism
        seen.append(data)
        return AuthResult(success=data.password == b"right", handled=data.password == b"right")

    inbox = Inbox()
    port = await serve(inbox, tls_context=served_by(certificate), require_starttls=True, authenticator=login)
    trust = ssl.create_default_context(cafile=str(certificate))
    signed_in = settings(port, tls="starttls", user="mill", password="right")
    await SmtpMailer(signed_in, trust).send(letter())
    assert [message["Subject"] for _, message in inbox.taken] == ["渠道 a 不可用"]
    with pytest.raises(MailRefused) as wrong:
        await SmtpMailer(settings(port, tls="starttls", user="mill", password="wr0ng"), trust).send(letter())
    assert wrong.value.lasting
    assert "wr0ng" not in str(wrong.value)
    assert len(seen) >= 2


async def test_it_speaks_tls_from_the_first_byte(serve: Serve, certificate: Path) -> None:
    inbox = Inbox()
    port = await serve(inbox, served_by(certificate))
    await SmtpMailer(settings(port, tls="tls"), ssl.create_default_context(cafile=str(certificate))).send(letter())
    assert len(inbox.taken) == 1
    with pytest.raises(MailRefused, match="no connection"):
        await SmtpMailer(settings(port, tls="tls")).send(letter())  # nobody vouches for that certificate


async def test_it_never_sends_in_the_clear_what_was_to_be_encrypted(serve: Serve) -> None:
    inbox = Inbox()
    port = await serve(inbox)
    with pytest.raises(MailRefused, match=r"mail\.tls") as refused:
        await SmtpMailer(settings(port, tls="starttls")).send(letter())
    assert refused.value.lasting
    assert inbox.taken == []


@pytest.mark.parametrize(("answer", "lasting"), [("550 unknown", True), ("450 later", False)])
async def test_a_refusal_tells_whether_another_try_makes_sense(serve: Serve, answer: str, *, lasting: bool) -> None:
    inbox = Inbox()
    inbox.refuse["ops@example.com"] = answer
    port = await serve(inbox)
    with pytest.raises(MailRefused) as refused:
        await SmtpMailer(settings(port)).send(letter())
    assert refused.value.lasting is lasting
    assert "ops@example.com" in str(refused.value)


async def test_an_absent_server_is_worth_another_try() -> None:
    with pytest.raises(MailRefused, match="no connection") as refused:
        await SmtpMailer(settings(9)).send(letter())
    assert not refused.value.lasting


@pytest.mark.parametrize("fields", [{"subject": "a\r\nBcc: x@example.com"}, {"subject": "two\nlines"}])
async def test_a_subject_cannot_add_headers(serve: Serve, fields: dict[str, str]) -> None:
    inbox = Inbox()
    port = await serve(inbox)
    await SmtpMailer(settings(port)).send(letter(**fields))
    [(to, message)] = inbox.taken
    assert to == ["ops@example.com"]
    assert message["Bcc"] is None


async def test_what_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(MailRefused) as no_sender:
        await SmtpMailer(settings(9, sender=None)).send(letter())
    assert "mail.sender" in str(no_sender.value)
    with pytest.raises(MailRefused) as nobody:
        await SmtpMailer(settings(9)).send(letter(to=["not an address"]))
    assert nobody.value.lasting


async def test_without_a_host_there_is_no_mailer() -> None:
    assert open_mailer(MailSettings()) is None


async def test_an_alert_tells_what_the_mailer_said() -> None:
    mailer = MemoryMailer()
    way = AlertMail(mailer, ["ops@example.com"])
    await way.send(RAISED)
    assert [one.subject for one in mailer.letters] == ["[Tidemill] 告警: 渠道 a 不可用"]
    mailer.refusal = MailRefused("full", lasting=True)
    with pytest.raises(Undelivered, match="full") as refused:
        await way.send(RAISED)
    assert refused.value.lasting
