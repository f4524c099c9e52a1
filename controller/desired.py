"""A document that came over MQTT: what it must be before it may be tried.

The steps, in this order: `form`, `revision`, `signature`, `document` (schema and cross-checks),
`proof`. All problems of the step that failed are told at once, each with its path; with a wrong
revision a wrong signature is told as well. An installation part that nobody vouches for is not
looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, StrictStr, ValidationError

from controller.canonical import SAFE_INTEGER, NotCanonicalError, digest
from controller.document.diagnosis import explain
from controller.document.entries.base import Entry
from controller.document.operation import faults
from controller.document.problems import DocumentError, Problem, found
from controller.document.quantities import GRID_PHASES, ROWS
from controller.document.text import BYTES_MAX, WHOLE, read_json
from controller.facts import Profiles
from controller.proof import Finding, Proof, prove
from controller.reaction import Reaction
from controller.remedies import Remedy
from controller.site import Site, operated, parse
from controller.transition import Transition
from controller.units import NS_PER_S, amperes_text, seconds_text

JUMP_MAX = 2**32  # of revisions without a signature: nobody can use all numbers up
UNREADABLE = "\ufffd"
Step = Literal["form", "revision", "signature", "document", "proof", "storage", "trial"]


class Signature(Entry):
    key: Annotated[StrictStr, Field(max_length=64)] = Field(
        description="The public key, as the site's [[key]] has it."
    )
    ed25519: Annotated[StrictStr, Field(max_length=128)] = Field(
        description="The signature in Base64; see docs/mqtt.md for what is signed."
    )


class Parts(Entry):
    """What is left out stays: no installation, the present one; no operation, none."""

    operation: dict[str, Any] = Field(
        default_factory=dict, description="The operation part: docs/operation.schema.json."
    )
    installation: dict[str, Any] | None = Field(
        default=None, description="A whole site document: docs/site.schema.json."
    )
    reset: Annotated[StrictStr, Field(min_length=1, max_length=64)] | None = Field(
        default=None,
        description="The id of the latch that ends when this document becomes active, as `status` "
        "shows it. Only with a signature.",
    )


class Message(Entry):
    """What `site/desired` carries."""

    revision: Annotated[StrictInt, Field(ge=1, le=SAFE_INTEGER)] = Field(
        description="Higher than that of every document before."
    )
    document: Parts
    signature: Signature | None = Field(
        default=None,
        description="Needed where the installation differs from the present one, and for a reset.",
    )


@dataclass(frozen=True, slots=True)
class Base:
    """What a message is judged against: the document in force."""

    installation: Mapping[str, Any]
    installation_sha256: str | None  # None: it has no canonical form, and no message equals it
    site: Site
    source: str  # the installer's file: relative paths refer to it
    last: int  # the highest revision that was ever tried


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be tried."""

    revision: int
    sha256: str  # of the canonical form of the message's `document`
    operation: Mapping[str, Any]
    installation: Mapping[str, Any] | None  # None: the present one
    site: Site
    resets_latch: str | None = None  # of that id


class RefusedDocumentError(Exception):
    """A message that changes nothing, with the step that failed and every problem of it."""

    def __init__(
        self,
        step: Step,
        problems: Sequence[Problem],
        revision: int | None = None,
        sha256: str | None = None,
    ) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.step: Step = step
        self.problems = tuple(problems)
        self.revision = revision
        self.sha256 = sha256


def read_message(text: str) -> tuple[Message, str]:
    """The message, and the sha256 of its document. Raises RefusedDocumentError."""
    data: Mapping[str, Any] = {}
    try:
        _check_encoding(text)
        data = read_json(text.encode(errors="surrogatepass"))
        message = Message.model_validate(data)
        return message, digest(_written(message))
    except DocumentError as error:
        problems = list(error.problems)
    except ValidationError as error:
        problems = explain(error, data, Message)
    except NotCanonicalError as error:
        problems = [Problem("document", f"has no canonical form: {error}")]
    raise RefusedDocumentError("form", problems, _told(data.get("revision")))


def _check_encoding(text: str) -> None:
    """The link puts U+FFFD for bytes that are not UTF-8. Raises DocumentError."""
    at = text.find(UNREADABLE)
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        why = f"not UTF-8 text, or with the sign U+FFFD, which stands for what is not (line {line})"
        raise DocumentError([Problem(WHOLE, why)])


def _told(revision: object) -> int | None:
    """The revision, as far as it can be repeated."""
    if isinstance(revision, int) and not isinstance(revision, bool) and revision <= SAFE_INTEGER:
        return max(0, revision)
    return None


def too_large(size: int) -> RefusedDocumentError:
    """For a message that was not even kept."""
    problem = Problem(WHOLE, f"{size} bytes are more than {BYTES_MAX}")
    return RefusedDocumentError("form", [problem])


def judge(message: Message, sha256: str, base: Base, profiles: Profiles) -> Candidate:
    """What may be tried. Raises RefusedDocumentError. Takes its time; touches nothing."""
    parts = message.document
    installation = parts.installation
    if installation is not None and digest(installation) == base.installation_sha256:
        installation = None

    def refuse(step: Step, problems: Sequence[Problem]) -> RefusedDocumentError:
        return RefusedDocumentError(step, problems, message.revision, sha256)

    old, unsigned = _revision(message, base), _signature(message, base, installation)
    if old or unsigned:
        raise refuse("revision" if old else "signature", [*old, *unsigned])
    try:
        site = _site(parts.operation, installation, base, profiles)
    except DocumentError as error:
        raise refuse("document", error.problems) from error
    proof = prove(site)
    if not proof.passed and site.mode != "observe":
        raise refuse("proof", list(_failures(proof)))
    return Candidate(message.revision, sha256, parts.operation, installation, site, parts.reset)


def _revision(message: Message, base: Base) -> list[Problem]:
    if message.revision <= base.last:
        why = f"must be above {base.last}, which was tried already; found {message.revision}"
        return [Problem("revision", why)]
    if message.signature is None and message.revision > base.last + JUMP_MAX:
        why = f"can be at most {base.last + JUMP_MAX} without a signature; found {message.revision}"
        return [Problem("revision", why)]
    return []


def _signature(
    message: Message, base: Base, installation: Mapping[str, Any] | None
) -> list[Problem]:
    if message.signature is None:
        if message.document.reset is not None:
            why = "is missing: only the installer may reset the latch over the air"
        elif installation is None:
            return []
        else:
            why = "is missing: the installation differs, and only its installer may change it"
        return [Problem("signature", why)]
    # Here and not above: it takes 10 MB, and most gateways never meet a signature.
    from controller import trust  # noqa: PLC0415

    trusted = {key.ed25519 for key in base.site.keys if key.role == "installer"}
    signature = message.signature.model_dump()
    why_not = trust.complaint(signature, trusted, base.site.id, message.revision, _written(message))
    return [] if why_not is None else [Problem("signature", why_not)]


def _written(message: Message) -> dict[str, Any]:
    """The message's document as its sender wrote it: what is signed, and hashed."""
    return message.document.model_dump(exclude_unset=True)


def _site(
    operation: Mapping[str, Any],
    installation: Mapping[str, Any] | None,
    base: Base,
    profiles: Profiles,
) -> Site:
    """Raises DocumentError with the problems of both parts."""
    part = base.installation if installation is None else installation
    try:
        site = parse(part, profiles, base.source)
    except DocumentError as error:
        problems = _within("installation", error.problems)
        raise DocumentError(problems + _within("operation", faults(operation))) from error
    problems = []
    if site.id != base.site.id:
        why = f"must stay {found(base.site.id)}: a gateway keeps its site; found {found(site.id)}"
        problems.append(Problem("installation.site.id", why))
    try:
        site = operated(site, operation)
    except DocumentError as error:
        problems += _within("operation", error.problems)
    if problems:
        raise DocumentError(problems)
    return site


def _within(part: str, problems: Sequence[Problem]) -> list[Problem]:
    return [
        Problem(part if each.path == WHOLE else f"{part}.{each.path}", each.message)
        for each in problems
    ]


def _failures(proof: Proof) -> list[Problem]:
    """What `loadkeeper check` would show of the lines that failed, in short."""
    found: list[Problem] = []
    for each in proof.refused:
        match each:
            case Finding():
                found.append(_failure(each))
            case Transition():
                found.append(_overloaded(each))
            case Reaction():
                found.append(_late(each))
    return found


def _overloaded(transition: Transition) -> Problem:
    where = f"proof.transition.{transition.circuit}.{GRID_PHASES[transition.phase]}"
    after_ns = transition.trips_ns or 0
    why = (
        f"{amperes_text(transition.sum_ma)} A until the chargers have fallen back, "
        f"which may trip its protection after {after_ns / NS_PER_S:.1f} s"
    )
    return Problem(where, _helped(why, transition.remedies))


def _late(reaction: Reaction) -> Problem:
    where = f"proof.reaction.{reaction.source or reaction.circuit}"
    why = (
        f"{seconds_text(reaction.takes_ns)} s until an excess is gone, "
        f"where {reaction.allowed_ns / NS_PER_S:g} s are allowed"
    )
    return Problem(where, _helped(why, reaction.remedies))


def _helped(why: str, remedies: Sequence[Remedy]) -> str:
    return f"{why}; the cheapest remedy: {remedies[0].action}" if remedies else why


def _failure(finding: Finding) -> Problem:
    where = f"proof.{finding.line.name.lower()}.{finding.circuit}.{ROWS[finding.phase]}"
    why = (
        f"{amperes_text(finding.sum_ma)} A, where {amperes_text(finding.allowed_ma)} A are allowed"
    )
    return Problem(where, _helped(why, finding.remedies))
