"""The API reference as one plain page, made from the OpenAPI document: no script, nothing from elsewhere."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, cast

from litestar import Request, Response, get
from litestar.di import NamedDependency

from tidemill.kernel.errors import NotFound
from tidemill.platform.settings import Settings

_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = """
:root{color-scheme:light dark;--line:color-mix(in oklch,currentColor 18%,transparent);--soft:color-mix(in oklch,
currentColor 65%,transparent)}
body{font:14px/1.5 system-ui,"Noto Sans SC","PingFang SC","Microsoft YaHei",sans-serif;max-width:72rem;margin:0 auto;
padding:1.5rem}
h2{margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:6px;margin:.375rem 0;padding:.375rem .75rem}
summary{cursor:pointer}
code,.m{font-family:ui-monospace,monospace;font-size:13px}
.m{display:inline-block;width:4.5rem;font-weight:600}
.s{color:var(--soft);margin-left:.75rem}
table{border-collapse:collapse;margin:.5rem 0}
td,th{border-bottom:1px solid var(--line);padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top}
"""
_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}

Document = Mapping[str, Any]


@get("/docs", include_in_schema=False)
async def docs(request: Request[Any, Any, Any], settings: NamedDependency[Settings]) -> Response[str]:
    """Answer the reference; 404 in production mode."""
    if settings.server.production_mode:
        raise NotFound
    page = render(request.app.openapi_schema.to_schema())
    return Response(page, media_type="text/html; charset=utf-8", headers=_HEADERS)


def render(document: Document) -> str:
    """Return the page of an OpenAPI 3.1 document."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    body = "".join(_groups(document))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>'
        f"<p>{escape(document['info'].get('description', ''))} The model routes under <code>/v1</code> are OpenAI's "
        f'own; the document itself is <a href="/openapi.json">/openapi.json</a>.</p>{body}</body></html>'
    )


def _groups(document: Document) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                tag = (_list(operation, "tags") or ["operation"])[0]
                found.setdefault(tag, []).append(_operation(method, path, operation))
    for tag, operations in sorted(found.items()):
        yield f"<h2>{escape(tag)}</h2>" + "".join(operations)


def _operation(method: str, path: str, operation: Document) -> str:
    head = f'<span class="m">{method.upper()}</span><code>{escape(path)}</code>'
    summary = escape(operation.get("summary") or "")
    return (
        f'<details><summary>{head}<span class="s">{summary}</span></summary>'
        f"<p>{escape(operation.get('description') or '')}</p>"
        f"{_parameters(_list(operation, 'parameters'))}{_body(operation)}{_answers(operation)}</details>"
    )


def _parameters(parameters: Iterable[Document]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{escape(_type(_map(one, 'schema')))}</td><td>{escape(one.get('description') or '')}</td></tr>"
        for one in parameters
    )
    return f"<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>{rows}</table>" if rows else ""


def _body(operation: Document) -> str:
    content = _map(_map(operation, "requestBody"), "content")
    kinds = [f"<code>{escape(kind)}</code> {escape(_type(_map(one, 'schema')))}" for kind, one in content.items()]
    return f"<p>Body: {', '.join(kinds)}</p>" if kinds else ""


def _answers(operation: Document) -> str:
    rows: list[str] = []
    for status, answer in _map(operation, "responses").items():
        kinds = ", ".join(_type(_map(one, "schema")) for one in _map(answer, "content").values())
        rows.append(f"<tr><td>{escape(status)}</td><td>{escape(kinds)}</td></tr>")
    return f"<table><tr><th>status</th><th>answer</th></tr>{''.join(rows)}</table>" if rows else ""


def _type(schema: Document) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " | ".join(_type(one) for one in _list(schema, key))
    if "enum" in schema:
        return " | ".join(str(value) for value in _list(schema, "enum"))
    if schema.get("type") == "array":
        return f"{_type(_map(schema, 'items'))}[]"
    return str(schema.get("type", "any"))


def _map(document: Document, key: str) -> Document:
    return cast("Document", document.get(key) or {})


def _list(document: Document, key: str) -> list[Any]:
    return cast("list[Any]", document.get(key) or [])
