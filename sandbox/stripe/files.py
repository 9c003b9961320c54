"""Files: what a shop uploads to speak for it in a dispute. They come as multipart, like nothing else here."""

from email import message_from_bytes
from email.message import Message

from sandbox.stripe import errors, shapes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.state import Call, Routes, State, Thing
from sandbox.wire import Request

LARGEST_BYTES = 5_000_000
PURPOSES = "dispute_evidence"
DOCUMENTS = [
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_documentation",
    "uncategorized_file",
]
BEGINNINGS = {b"%PDF": "pdf", b"\x89PNG": "png", b"\xff\xd8\xff": "jpg"}


def pairs(request: Request) -> list[tuple[str, str]]:
    """The fields of a multipart body; of the file its name, its kind and its size, since nobody here reads it."""
    head = f"Content-Type: {request.header('Content-Type')}\r\n\r\n".encode()
    found: list[tuple[str, str]] = []
    for part in message_from_bytes(head + request.body).walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            found += _fields(name, part)
    return found


def _fields(name: str, part: Message) -> list[tuple[str, str]]:
    content = part.get_payload(decode=True)
    body = content if isinstance(content, bytes) else b""
    if part.get_filename() is None:
        return [(name, body.decode(errors="replace"))]
    kind = next((kind for beginning, kind in BEGINNINGS.items() if body.startswith(beginning)), "")
    facts = {"name": part.get_filename() or "", "kind": kind, "size": str(len(body))}
    return [(f"{name}[{fact}]", value) for fact, value in facts.items()]


def create(call: Call) -> Thing:
    call.params.needed("purpose")
    purpose, file = call.params.choice("purpose", PURPOSES), call.params.inside("file")
    kind, size = file.text("kind"), file.integer("size", least=0) or 0
    if not file.values:
        raise errors.parameter_missing("file")
    if not kind:
        raise StripeError("The file must be a PDF, a PNG or a JPEG.", code="invalid_file_type")
    if size > LARGEST_BYTES:
        raise StripeError("The file is larger than 5 MB.", code="file_too_large")
    made = shapes.base(
        call.state,
        "file",
        expires_at=None,
        filename=file.text("name"),
        links={"object": "list", "data": [], "has_more": False, "url": "/v1/file_links"},
        purpose=purpose,
        size=size,
        title=None,
        type=kind,
        url=None,
    )
    del made["livemode"], made["metadata"]
    return call.state.add(made)


def check(state: State, evidence: Thing) -> None:
    """What is named as a document must have been uploaded."""
    for name in DOCUMENTS:
        if (value := evidence.get(name)) and state.find("file", value) is None:
            raise errors.missing_inside("file", value, f"evidence[{name}]")


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("file", name)


ROUTES: Routes = [("POST", "/v1/files", create), ("GET", "/v1/files/{name}", retrieve)]
