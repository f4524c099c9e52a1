"""What a charger would have needed to be given more, or to go on, by the reason of its order."""

from __future__ import annotations

from dataclasses import dataclass

from cext.rows import (
    ALL_PHASES,
    BY_BUSBAR,
    NO_PHASE,
    Advice,
    ChargerRow,
    Phases,
    Rule,
    Together,
    Tuning,
    Why,
)
from controller.document.quantities import GRID_PHASES, ROWS
from controller.units import NS_PER_S, amperes_text, seconds_text


@dataclass(frozen=True, slots=True)
class Place:
    """A circuit that a charger draws through, as the kernel believed it."""

    circuit: str
    cap_ma: Phases
    bound_by: tuple[str, str, str]
    reading_ma: Phases | None
    reading_age_ns: int | None
    base_ma: Phases  # the most that its base load may be
    draw_ma: Phases  # the most that its chargers may be drawing
    free_ma: Phases  # what is proven free for an increase; below 0: nothing may rise here
    excess_ma: Phases
    beyond_control: bool
    together: Together | None = None  # where the three phases are bounded together
    bar_ma: Phases | None = None  # what its bus bar leaves to its chargers
    imbalance_ma: int | None = None


def needed(
    why: Why,
    place: Place | None,
    row: ChargerRow,
    tuning: Tuning,
    advice: Advice | None,
    now_ns: int,
) -> str:
    """A sentence; "" where nothing was wanting. `place` is the circuit to blame, where one is."""
    return _NEEDED[why.rule].format(
        room=_room(why, place, row),
        others=_others(why, place),
        advised=_advised(advice, now_ns),
        dwell=seconds_text(tuning.dwell_ns),
        calm=seconds_text(tuning.calm_ns),
        ramp=amperes_text(tuning.ramp_ma_per_s),
        off=seconds_text(row.min_off_ns),
        minimum=amperes_text(row.min_ma),
        maximum=amperes_text(row.max_ma),
    )


def _room(why: Why, place: Place | None, row: ChargerRow) -> str:
    """What there was on the circuit that is to blame, as a sum."""
    if place is None:
        return "room on every circuit above it"
    if why.phase == ALL_PHASES and place.together is not None:
        both = place.together
        return _sum(place, ALL_PHASES, "cap", both.cap_ma, both.base_hi_ma, both.draw_hi_ma)
    phase = why.phase if 0 <= why.phase < len(GRID_PHASES) else _tightest(place, row)
    draw_ma = place.draw_ma[phase]
    if why.slot == BY_BUSBAR and place.bar_ma is not None:
        return _sum(place, phase, "left by its bus bar", place.bar_ma[phase], None, draw_ma)
    return _sum(place, phase, "cap", place.cap_ma[phase], place.base_ma[phase], draw_ma)


def _sum(
    place: Place, phase: int, bound: str, bound_ma: int, base_ma: int | None, draw_ma: int
) -> str:
    free_ma = bound_ma - (base_ma or 0) - draw_ma
    base = "" if base_ma is None else f" - base load up to {amperes_text(base_ma)} A"
    return (
        f"more room on {place.circuit} {ROWS[phase]} ({bound} {amperes_text(bound_ma)} A{base}"
        f" - chargers up to {amperes_text(draw_ma)} A = {amperes_text(free_ma)} A)"
    )


def _tightest(place: Place, row: ChargerRow) -> int:
    wired = [phase for phase in row.phases if phase != NO_PHASE]
    return min(wired, key=lambda phase: place.free_ma[phase])


def _others(why: Why, place: Place | None) -> str:
    if place is None:
        return "more draw of others on the other phases"
    phase = f" than {GRID_PHASES[why.phase]}" if 0 <= why.phase < len(GRID_PHASES) else ""
    limit = "" if place.imbalance_ma is None else f" is {amperes_text(place.imbalance_ma)} A and"
    return (
        f"more draw of others on other phases{phase} of {place.circuit}, whose imbalance limit"
        f"{limit} is no cap"
    )


def _advised(advice: Advice | None, now_ns: int) -> str:
    if advice is None:
        return "the end of its advice, which had come just then"
    left = f"another {max(0, advice.until_ns - now_ns) / NS_PER_S:.0f} s"
    if advice.cap_ma is None:
        return f"other advice, or its end ({left})"
    return f"other advice than a cap of {amperes_text(advice.cap_ma)} A, or its end ({left})"


_NEEDED = {
    Rule.STARTING: "To be ordered anything it would have had to tell its setpoint in force.",
    Rule.CAP: "To have more it would have needed {room}, or others that take less.",
    Rule.MAXIMUM: "It had its maximum, {maximum} A.",
    Rule.DEMAND: "It had more than it used: to be given more it would have had to draw more.",
    Rule.NO_VEHICLE: "A vehicle would have had to be there.",
    Rule.TURN: "To have its turn it would have needed {room} for its minimum of {minimum} A, or"
    " the turn of others to end.",
    Rule.SHED: "To stay higher it would have needed {room}: what was measured there was too much.",
    Rule.BLIND: "To have more it would have needed a fresh reading there; without one, {room}.",
    Rule.RAMP: "It was on its way up, {ramp} A in a second: it would have needed time only.",
    Rule.DWELL: "It would have needed {dwell} s without another reduction since the last one.",
    Rule.SLACK: "To rise it would have needed {room}.",
    Rule.CALM: "It would have needed time: changes that no cap asks for wait {calm} s.",
    Rule.SILENT: "It would have had to answer.",
    Rule.FALLBACK: "It would have needed proof that there is room: {room}, and time to rise.",
    Rule.SUSPECT: "It would have had to do as told.",
    Rule.STUBBORN: "It would have had to draw no more than it was told for 7 s.",
    Rule.PAUSED: "It would have had to do as told, and {room}.",
    Rule.OPENED: "Its contactor would have had to stay closed: that needs {room}.",
    Rule.RECLOSING: "Its power-on current would have needed {room}.",
    Rule.PACED: "It takes no second write so soon: to rise it would have needed {room}, so that"
    " the next step of the base load fits, too.",
    Rule.UNPROVEN: "It would have had to answer, and to show its fallback.",
    Rule.CLOSED: "",  # of contactors alone: its contactor was closed, and nothing was wanting
    Rule.LATCHED: "Somebody would have had to reset the latch: sudo loadkeeper reset.",
    Rule.IMBALANCE: "To have more it would have had to draw on all its phases, or needed {others}.",
    Rule.ADVICE: "To have more it would have needed {advised}.",
    Rule.OFF_TIME: "It would have needed time: once it is off, it stays so for {off} s.",
    Rule.PROBE: "It would have needed time only: it has its share back once its reports have moved,"
    " or have had some seconds to.",
    Rule.IDLE: "Its vehicle would have had to draw what it was offered, or the others to have"
    " enough. It is offered its minimum of {minimum} A again with the next turns.",
}
