"""Answer the routes that make or read pictures and sound: real, tiny files."""

import base64
import re
import zlib
from typing import Any

from tidemill.kernel import clock
from tidemill.simulator.checks import Check, anything, fields, flag, null_or, number, one_of, text, text_or, whole
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.media import mp3, pcm, png, sound_seconds, wav
from tidemill.simulator.openai.chat import read_body, request_id
from tidemill.simulator.openai.errors import bad, unknown_model, usual_headers
from tidemill.simulator.openai.texts import check
from tidemill.simulator.streams import EVENT_STREAM, Stream, event
from tidemill.simulator.tokens import count_tokens

_IMAGE_TOKENS = 272
_MOST_IMAGES = 10
_USUAL_IMAGE_MODEL = "gpt-image-1"
_SIZES = ("auto", "1024x1024", "1536x1024", "1024x1536", "256x256", "512x512", "1792x1024", "1024x1792")
_IMAGE: Check = fields(
    {"prompt": text(1, 32000)},
    {
        "model": null_or(text(1)),
        "background": null_or(one_of("transparent", "opaque", "auto")),
        "complexity": null_or(one_of("low", "medium", "high")),
        "frame_count": null_or(whole(1)),
        "frame_duration_ms": null_or(whole(1)),
        "moderation": null_or(one_of("low", "auto")),
        "n": null_or(whole(1, 10)),
        "output_compression": null_or(whole(0, 100)),
        "output_format": null_or(one_of("png", "webp", "jpeg", "gif", "svg")),
        "partial_images": null_or(whole(0, 3)),
        "quality": null_or(one_of("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd")),
        "response_format": null_or(one_of("url", "b64_json")),
        "safety_identifier": null_or(text()),
        "size": null_or(one_of(*_SIZES)),
        "stream": null_or(flag),
        "style": null_or(one_of("vivid", "natural")),
        "svg": null_or(anything),
        "user": text(),
    },
)
_SPEECH: Check = fields(
    {"model": text(1), "input": text(1, 4096), "voice": text_or(fields({"id": text(1)}), least=1)},
    {
        "instructions": text(),
        "response_format": one_of("mp3", "opus", "aac", "flac", "wav", "pcm"),
        "speed": number(0.25, 4),
        "stream_format": one_of("sse", "audio"),
    },
)
_SOUNDS = {"mp3": (mp3, "audio/mpeg"), "wav": (wav, "audio/wav"), "pcm": (pcm, "audio/pcm")}
_SOUND_CHUNK_BYTES = 2048
_BOUNDARY = re.compile(r'multipart/form-data;.*?boundary="?([^\s";,]{1,70})', re.IGNORECASE)
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")


async def make_images(exchange: Exchange) -> None:
    """Answer ``POST /v1/images/generations`` with PNG files of one colour; raises Refused."""
    body = check(exchange, _IMAGE, read_body(exchange, _USUAL_IMAGE_MODEL))
    await _show_images(exchange, body, body["prompt"])


async def change_image(exchange: Exchange) -> None:
    """Answer ``POST /v1/images/edits`` and ``…/variations``: new files for the ones sent; raises Refused."""
    form = _form(exchange)
    exchange.model = _text_in(form, "model") or _USUAL_IMAGE_MODEL
    if exchange.config.models and exchange.model not in exchange.config.models:
        raise unknown_model(exchange.model)
    picture = form.get("image") or form.get("image[]")
    if not picture:
        raise bad("Missing required parameter: 'image'.", code="missing_required_parameter", param="image")
    prompt = _text_in(form, "prompt")
    if exchange.path.endswith("/edits") and not prompt:
        raise bad("Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
    count = _text_in(form, "n") or "1"
    if not count.isdecimal() or not 1 <= int(count) <= _MOST_IMAGES:
        raise bad("Invalid type for 'n': expected an integer from 1 to 10.", param="n")
    body = {"n": int(count), "response_format": _text_in(form, "response_format")}
    await _show_images(exchange, body, prompt, picture)


def _text_in(form: dict[str, bytes], name: str) -> str:
    return form.get(name, b"").decode("utf-8", "replace")


async def _show_images(exchange: Exchange, body: dict[str, Any], prompt: str, picture: bytes = b"") -> None:
    """Answer with pictures of ``prompt``, of other colours for another ``picture``."""
    count = body.get("n") or 1
    seen, kind = (_IMAGE_TOKENS, f"{zlib.crc32(picture)}") if picture else (0, "")
    if body.get("output_format") not in (None, "png"):
        raise bad("Only output_format 'png' is simulated.", param="output_format")
    data: list[dict[str, Any]] = []
    for number_ in range(count):
        packed = base64.b64encode(png(f"{prompt}{kind}#{number_}")).decode()
        # A data URL stands for the address of a stored picture: nothing is stored here.
        one = (
            {"url": f"data:image/png;base64,{packed}"} if body.get("response_format") == "url" else {"b64_json": packed}
        )
        data.append({**one, "revised_prompt": prompt} if prompt else one)
    tokens = count_tokens(prompt)
    value = {
        "created": int(clock.now().timestamp()),
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
        "data": data,
        "usage": {
            "input_tokens": tokens + seen,
            "input_tokens_details": {"text_tokens": tokens, "image_tokens": seen},
            "output_tokens": _IMAGE_TOKENS * count,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": _IMAGE_TOKENS * count},
            "total_tokens": tokens + seen + _IMAGE_TOKENS * count,
        },
    }
    await exchange.answer(value, usual_headers(request_id(exchange.data)))


async def speak(exchange: Exchange) -> None:
    """Answer ``POST /v1/audio/speech``: a tone as WAV or PCM, silence as MP3; raises Refused."""
    body = check(exchange, _SPEECH, read_body(exchange))
    form = body.get("response_format", "mp3")
    if form not in _SOUNDS:
        raise bad("Only response_format 'mp3', 'wav' and 'pcm' are simulated.", param="response_format")
    make, media_type = _SOUNDS[form]
    sound = make(body["input"])
    headers = usual_headers(request_id(exchange.data))
    if body.get("stream_format") == "sse":
        parts = [sound[at : at + _SOUND_CHUNK_BYTES] for at in range(0, len(sound), _SOUND_CHUNK_BYTES)]
        stream = Stream(exchange, len(parts))
        await stream.open({**EVENT_STREAM, **headers})
        for part in parts:
            await stream.content(event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()}))
        tokens = count_tokens(body["input"])
        used = {"input_tokens": tokens, "output_tokens": len(parts), "total_tokens": tokens + len(parts)}
        await stream.finish(event({"type": "speech.audio.done", "usage": used}))
        return
    await exchange.deliver(sound, {**headers, "content-type": media_type})


async def transcribe(exchange: Exchange) -> None:
    """Answer ``POST /v1/audio/transcriptions`` and ``…/translations``: says how long the sound was; raises Refused."""
    form = _form(exchange)
    model = form.get("model", b"").decode("utf-8", "replace")
    if not model:
        raise bad("you must provide a model parameter", param="model")
    exchange.model = model
    if exchange.config.models and model not in exchange.config.models:
        raise unknown_model(model)
    if not (sound := form.get("file")):
        raise bad("Missing required parameter: 'file'.", code="missing_required_parameter", param="file")
    wanted = form.get("response_format", b"json").decode("utf-8", "replace")
    if wanted not in _FORMATS:
        raise bad(f"Invalid value: '{wanted}'. Supported values are: {', '.join(_FORMATS)}.", param="response_format")
    seconds = sound_seconds(sound)
    said = f"A sound of {seconds:g} seconds."
    headers = usual_headers(request_id(exchange.data))
    if form.get("stream") == b"true":
        await _stream_transcript(exchange, said, headers)
    elif wanted == "text":
        await exchange.deliver(said.encode() + b"\n", {**headers, "content-type": "text/plain; charset=utf-8"})
    elif wanted in {"srt", "vtt"}:
        lines = {
            "srt": f"1\n00:00:00,000 --> 00:00:01,000\n{said}\n",
            "vtt": f"WEBVTT\n\n00:00.000 --> 00:01.000\n{said}\n",
        }
        await exchange.deliver(lines[wanted].encode(), {**headers, "content-type": "text/plain; charset=utf-8"})
    else:
        await exchange.answer(_transcript(said, seconds, wanted), headers)


def _transcript(said: str, seconds: float, wanted: str) -> dict[str, Any]:
    used = {"type": "duration", "seconds": seconds}
    if wanted == "json":
        return {"text": said, "usage": used}
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": seconds,
        "text": said,
        "tokens": [1],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.01,
    }
    if wanted == "diarized_json":
        spoken = {"id": "seg_0", "type": "transcript.text.segment", "speaker": "A", "start": 0.0, "end": seconds}
        return {
            "task": "transcribe",
            "duration": seconds,
            "text": said,
            "segments": [{**spoken, "text": said}],
            "usage": used,
        }
    return {
        "task": "transcribe",
        "language": "english",
        "duration": seconds,
        "text": said,
        "segments": [segment],
        "usage": used,
    }


async def _stream_transcript(exchange: Exchange, said: str, headers: dict[str, str]) -> None:
    words = said.split(" ")
    stream = Stream(exchange, len(words))
    await stream.open({**EVENT_STREAM, **headers})
    for at, word in enumerate(words):
        delta = word if at == 0 else f" {word}"
        await stream.content(event({"type": "transcript.text.delta", "delta": delta}))
    await stream.finish(event({"type": "transcript.text.done", "text": said}))


def _form(exchange: Exchange) -> dict[str, bytes]:
    """Read a multipart form; of several fields with one name the last counts. Raises Refused."""
    from multipart import MultipartError, PushMultipartParser  # noqa: PLC0415 - loaded on first use

    match = _BOUNDARY.match(exchange.header(b"content-type"))
    if match is None:
        raise bad("The body must be multipart/form-data.")
    found: dict[str, bytes] = {}
    name = ""
    try:
        with PushMultipartParser(match[1]) as parser:
            for part in parser.parse(exchange.data):
                if isinstance(part, bytes | bytearray):
                    found[name] += bytes(part)
                elif part is not None:
                    name = part.name or ""
                    found[name] = b""
    except (MultipartError, ValueError, LookupError) as problem:
        raise bad(f"The form cannot be read: {problem}") from None
    return found
