"""Each contactor closed once and opened again, by its pin, with its auxiliary contact watched.

Only where somebody asks for it, and while no enforcer runs: it gives the chargers behind it their
supply for a moment. One that carries current, or might, is left alone: its pin is not touched. Who
does not answer may be without supply, or charge with its line cut: only an auxiliary contact that
says open tells them apart.
"""

from __future__ import annotations

import asyncio

from controller.document.gpio import Contactor
from controller.units import NS_PER_S, amperes_text
from drivers.contact import InputPin
from drivers.device import PinError
from drivers.finding import Finding, Weight, entry
from drivers.pindriver import DEBOUNCE_NS
from drivers.pins import Pins, pins_of
from drivers.survey import Survey, levels

CLOSES_S = 1.0  # a coil and its contact take less
QUIET_MA = 500  # below, its chargers charge nobody
OTHERWISE = {True: "normally_open", False: "normally_closed"}  # than it is documented


async def contactor_findings(survey: Survey) -> list[Finding]:
    """One after another, in the document's order."""
    gpio = survey.site.gpio
    if gpio is None or not gpio.contactors:
        return []
    found = []
    try:
        pins = pins_of(gpio.factory)
        for each in gpio.contactors:
            busy = _busy(survey, each, await _at_first(pins, each))
            found.append(busy or await _proven(pins, each))
    except PinError as error:
        mend = "is the enforcer stopped, is gpio.factory right, may this user use the pins?"
        found.append(Finding("gpio", "pins", Weight.WRONG, str(error), mend, "[gpio] factory"))
    return found


def _busy(survey: Survey, contactor: Contactor, closed: bool | None) -> Finding | None:
    """Why it is not touched: what is behind it draws, or nobody knows. `closed`: what its auxiliary
    contact says."""
    for charger in contactor.chargers:
        seen = survey.seen.get(charger)
        if seen is None or not seen.heard:
            if closed is not False:
                return _unheard(contactor, charger, closed)
            continue  # without supply
        shown = [each.ma for each in levels(seen.grid) if each is not None]
        if len(shown) < 3 or max(shown) > QUIET_MA:
            drawn = f"{amperes_text(max(shown))} A" if shown else "nobody knows what"
            mend = "end its charging, and run this again"
            what = f"not switched: {charger} behind it draws {drawn}"
            return Finding(contactor.id, "contactor", Weight.UNSEEN, what, mend)
    return None


def _unheard(contactor: Contactor, charger: str, closed: bool | None) -> Finding:
    """At rest, as it is while no enforcer runs, it must be open."""
    unheard = f"{charger} behind it does not answer and may be charging"
    where = entry("output", contactor.id, "feedback, active_high, energised")
    if closed is None:
        what = f"not switched: {unheard}, and it has no auxiliary contact to tell that it is open"
        mend = "see that no vehicle is connected there, close it by hand, and run this again"
        return Finding(contactor.id, "contactor", Weight.UNSEEN, what, mend, where)
    feedback = contactor.feedback
    other = "" if feedback is None else f' (feedback = "{OTHERWISE[feedback.normally_closed]}")'
    what = f"not switched: its auxiliary contact says closed while its pin is at rest; {unheard}"
    mend = (
        f"look whether it is closed. If not, the contact is of the other kind{other}; if so, it is "
    )
    mend += "welded, or its coil is of the other kind"
    return Finding(contactor.id, "contactor", Weight.WRONG, what, mend, where)


async def _at_first(pins: Pins, contactor: Contactor) -> bool | None:
    """What its auxiliary contact says before anything is touched. Raises PinError."""
    if contactor.feedback is None:
        return None
    contact = pins.input(contactor.id, contactor.feedback.pin)
    try:
        return await _says(contactor, contact, DEBOUNCE_NS / NS_PER_S)
    finally:
        contact.close()


async def _proven(pins: Pins, contactor: Contactor) -> Finding:
    """Open, closed for a moment, open again. Raises PinError."""
    output = pins.output(contactor.id, contactor.pin, contactor.open_high)
    contact = None
    try:
        if contactor.feedback is not None:
            contact = pins.input(contactor.id, contactor.feedback.pin)
        opens_s = (contactor.opens_ns + DEBOUNCE_NS) / NS_PER_S
        before = await _says(contactor, contact, opens_s)
        output.write(not contactor.open_high)
        closed = await _says(contactor, contact, CLOSES_S)
        output.write(contactor.open_high)
        after = await _says(contactor, contact, opens_s)
    finally:
        output.close()  # which leaves it open
        if contact is not None:
            contact.close()
    return _judged(contactor, before, closed, after)


async def _says(contactor: Contactor, contact: InputPin | None, after_s: float) -> bool | None:
    """Whether the auxiliary contact says that it is closed, once it has had its time."""
    await asyncio.sleep(after_s)
    feedback = contactor.feedback
    return None if contact is None or feedback is None else feedback.closed(contact.high())


def _judged(
    contactor: Contactor, before: bool | None, closed: bool | None, after: bool | None
) -> Finding:
    feedback = contactor.feedback
    where = entry("output", contactor.id, "feedback, active_high, energised, feedback_pin")
    mend = ""
    weight = Weight.WRONG
    match before, closed, after:
        case (None, _, _) | (_, None, _) | (_, _, None):
            weight = Weight.UNSEEN
            what = "was closed and opened; it has no auxiliary contact to tell whether it followed"
            mend = "hear it click, and measure behind it"
        case False, True, False:
            return Finding(contactor.id, "contactor", Weight.FINE, "closes and opens, as told")
        case True, False, True:
            assert feedback is not None
            what = "says closed while it is told to open, and open while it is told to close"
            mend = (
                f'the auxiliary contact is of the other kind (feedback = "'
                f'{OTHERWISE[feedback.normally_closed]}"), or the coil is: with its pin at rest '
                "it must be open, look which is so"
            )
        case True, True, True:
            what = "says closed whatever it is told"
            mend = "it is welded, or the wire of its auxiliary contact is broken, or on another pin"
        case False, False, False:
            what = "says open whatever it is told"
            mend = "its coil, its fuse, its pin; or the wire of its auxiliary contact"
        case _:
            what = "follows once and not again, or only after its time"
            mend = "it hangs, or takes longer than opens_s says: measure its time"
    return Finding(contactor.id, "contactor", weight, what, mend, where)
