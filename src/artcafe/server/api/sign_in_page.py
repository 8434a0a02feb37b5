"""The HTML pages of the embedded issuer."""

from collections.abc import Mapping
from html import escape

from fastapi.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · ArtCafe PubSub</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/console/style.css">
</head>
<body class="alone">
<main class="card">
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

_FORM = """<p>{question}</p>
{fault}<form method="post" action="{action}">
{hidden}
{fields}<label for="proof">Sign-in code</label>
<input id="proof" name="proof" autocomplete="one-time-code" spellcheck="false"
  aria-describedby="proof-help" required autofocus>
<p id="proof-help" class="hint">On the machine where the platform runs,
<code>artcafe open --code</code> prints one. It is good once, for five minutes.</p>
<div class="buttons">
<button name="decision" value="allow" class="primary">Sign in</button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</div>
</form>"""


def question(
    title: str,
    text: str,
    *,
    action: str,
    hidden: Mapping[str, str],
    returns_to: str | None = None,
    fault: str | None = None,
    ask_for: tuple[str, str, str] | None = None,
) -> HTMLResponse:
    """A form that is sent back with `hidden`, the sign-in code as `proof` and a `decision`.

    `returns_to` is the origin to which its answer leads; `ask_for` is one more field: name, label, value.
    """
    carried = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    fields = ""
    if ask_for is not None:
        name, label, value = (escape(part) for part in ask_for)
        typed = f'id="{name}" name="{name}" value="{value}" autocomplete="off" spellcheck="false"'
        fields = f'<label for="{name}">{label}</label>\n<input {typed} required>\n'
    body = _FORM.format(
        question=escape(text),
        fault="" if fault is None else f'<p class="fault" role="alert">{escape(fault)}</p>\n',
        action=escape(action),
        hidden=carried,
        fields=fields,
    )
    targets = "'self'" if returns_to is None else f"'self' {returns_to}"
    return _page(title, body, 200 if fault is None else 401, targets)


def notice(title: str, text: str, status: int = 200) -> HTMLResponse:
    """A page that only says something."""
    return _page(title, f"<p>{escape(text)}</p>", status, "'none'")


def _page(title: str, body: str, status: int, form_targets: str) -> HTMLResponse:
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
        f"form-action {form_targets}; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        # Not `no-referrer`: a form would then name no origin either, and the origin is checked.
        "referrer-policy": "same-origin",
    }
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), status, headers=headers)
