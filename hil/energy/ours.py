"""The product through a fleet day: kernel, image and limits, on the plant in virtual time."""

from __future__ import annotations

from functools import partial

from controller.hardware import let_go
from controller.plant import VirtualEnforcer
from hil.energy.account import Account
from hil.energy.course import Course, plant_of
from hil.energy.day import BEGIN_S, Day, S

LOOK_NS = 5_000_000  # before the next second


def loadkeeper(day: Day) -> tuple[Course, Account]:
    """The day as it went, and where the energy went in the congested hours."""
    plant, until_s = plant_of(day), day.congested_s[1]
    course, account = Course(day, plant), Account()
    let_go(day.site, plant)
    plant.advance(0)
    enforcer = VirtualEnforcer(day.site, plant, 0)
    for t_s in range(BEGIN_S, until_s):
        at_ns = (t_s - BEGIN_S) * S
        enforcer.agenda.at(at_ns, partial(course.second, t_s))
        enforcer.agenda.at(at_ns + S - LOOK_NS, partial(_look, course, account, enforcer, t_s))
    enforcer.run_until((until_s - BEGIN_S) * S)
    course.end()
    return course, account


def _look(course: Course, account: Account, enforcer: VirtualEnforcer, t_s: int) -> None:
    course.note(t_s)
    if t_s >= course.day.congested_s[0]:
        account.note(course.day, enforcer, t_s - BEGIN_S)
