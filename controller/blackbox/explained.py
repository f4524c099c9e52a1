"""An explanation as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from cext.rows import Phases
from controller.blackbox.explain import Explanation
from controller.blackbox.needed import Place
from controller.units import NS_PER_S, amperes_text


def lines(answer: Explanation) -> Iterator[str]:
    """For people."""
    at = answer.at.strftime("%Y-%m-%d %H:%M:%S %Z")
    yield f"{answer.charger} at {at} (tick {answer.tick}): {_order(answer)}."
    yield f"  why: {answer.why}."
    yield f"  {_since(answer)}"
    if answer.needed:
        yield f"  {answer.needed}"
    yield f"  {_charger(answer)}"
    for place in answer.places:
        yield from _circuit(place)
    if answer.events:
        yield "  In the minute before:"
        yield from (f"    {event}" for event in answer.events)
    yield from (f"  BUT {doubt}." for doubt in answer.doubts)


def _order(answer: Explanation) -> str:
    if answer.setpoint_ma is None:
        return "no setpoint yet"
    told = f"told {amperes_text(answer.setpoint_ma)} A"
    if answer.setpoint_w is not None:
        told += f" ({answer.setpoint_w} W)"
    return told if answer.setpoint_ma else f"{told}: paused"


def _since(answer: Explanation) -> str:
    change = answer.change
    at, ago = change.at.strftime("%Y-%m-%d %H:%M:%S"), _time(change.ago_ns)
    if not change.known:
        return f"It was so when the recording began, at {at} ({ago} before), or longer."
    before = "nothing" if change.from_ma is None else f"{amperes_text(change.from_ma)} A"
    return f"So since {at} ({ago} before), from {before}, because: {answer.cause}."


def _charger(answer: Explanation) -> str:
    state = answer.state
    if not state.fresh:
        return "Nothing fresh was heard from it: it counted at its worst."
    in_force = "unknown" if state.in_force_ma is None else f"{amperes_text(state.in_force_ma)} A"
    draws = "unmetered" if state.current_ma is None else f"drew {_three(state.current_ma)} A"
    flags = [
        words
        for words, holds in (
            ("stubborn", state.stubborn),
            ("suspected", state.suspect and not state.stubborn),
            ("cut off", state.cut_off),
            ("unproven", state.unproven),
        )
        if holds
    ]
    age = "" if answer.report_age_ns is None else f", heard {_time(answer.report_age_ns)} before"
    more = f"; {', '.join(flags)}" if flags else ""
    return (
        f"It said: in force {in_force}, vehicle {state.vehicle.name}, {draws}{age};"
        f" counted at up to {amperes_text(state.draw_hi_ma)} A{more}."
    )


def _circuit(place: Place) -> Iterator[str]:
    by = place.bound_by[0] if len(set(place.bound_by)) == 1 else " / ".join(place.bound_by)
    yield f"  {place.circuit}: cap {_three(place.cap_ma)} A ({by})"
    if place.reading_ma is None:
        aged = (
            ""
            if place.reading_age_ns is None
            else f"; the last one {_time(place.reading_age_ns)} old"
        )
        yield f"    no fresh reading{aged}: its base load counted at {_three(place.base_ma)} A"
    else:
        age = _time(place.reading_age_ns or 0)
        measured, base = _three(place.reading_ma), _three(place.base_ma)
        yield f"    measured {measured} A, {age} old; base load up to {base} A"
    draw, free = _three(place.draw_ma), _three(place.free_ma)
    yield f"    its chargers up to {draw} A; free for more {free} A"
    if (both := place.together) is not None:
        cap, base, draw = map(amperes_text, (both.cap_ma, both.base_hi_ma, both.draw_hi_ma))
        yield f"    three phases together: cap {cap} A; base load up to {base} A, chargers {draw} A"
    if place.bar_ma is not None:
        yield f"    its bus bar leaves its chargers {_three(place.bar_ma)} A"
    if any(place.excess_ma):
        yield f"    too much by {_three(place.excess_ma)} A"
    if place.beyond_control:
        yield "    beyond control: everything that could be shed was"


def _three(phases: Phases) -> str:
    return " ".join(map(amperes_text, phases if len(set(phases)) > 1 else phases[:1]))


def _time(ns: int) -> str:
    seconds = ns / NS_PER_S
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
