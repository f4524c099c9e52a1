"""`loadkeeper run SITE`: the enforcer."""

from __future__ import annotations

import os
import pwd
from argparse import ArgumentParser, Namespace, _SubParsersAction
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import structlog

from cext.thread import KernelThread
from controller import realtime
from controller.alone import PATIENCE_S, with_the_pins
from controller.clock import MonotonicClock, SystemWallClock, boot_id
from controller.commands.output import MISUSED, NO, add_json_option, complain
from controller.commands.processes import add_options, places_of, refusal, site_of
from controller.configuration import Ground, resume
from controller.enforcer import Depot, Documents, Enforcer, hold
from controller.image import Image
from controller.log import configure
from controller.notify import Notifier
from controller.permits import lacking
from controller.places import PlaceError
from controller.proof import prove
from controller.revisions import Revisions, fingerprint
from controller.site import Site, read
from controller.tables import Tables
from drivers.depot import Fleet
from drivers.device import PinError
from drivers.library import library
from drivers.resting import rest_what_was_left
from drivers.wear import Wear

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

STARTS_S = 30  # as in loadkeeper.service: to be at work once the pins are to be had

log: FilteringBoundLogger = structlog.get_logger()


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("run", help="hold a site under its ratings and limits")
    add_options(parser)
    parser.add_argument(
        "--observe", action="store_true", help="decide and report, but write nothing to any device"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="USER",
        help="may use the socket, besides this user and root (the link's user)",
    )
    add_json_option(parser)


def run(args: Namespace) -> int:
    users = {name: _uid(name) for name in args.allow}
    for name in (name for name, uid in users.items() if uid is None):
        complain(f"--allow: there is no user {name!a}")
        return MISUSED
    site = site_of(args)
    if isinstance(site, int):
        return site
    observe = args.observe or site.mode == "observe"
    if not prove(site).passed:
        status = refusal(args)  # with the sums and remedies
        if not observe:
            complain("refused: nobody may leave this site to itself")
            return status
        complain("observing nevertheless: nothing is written to any device")
    realtime.prepare()
    close_log = configure("enforcer")
    try:
        allowed = frozenset(uid for uid in users.values() if uid is not None)
        clock = MonotonicClock()
        where = places_of(args)
        with (
            with_the_pins(where, _waits),
            closing(Wear(clock.now_ns, where.wear)) as wear,
        ):
            return hold(_enforcer(args, site, allowed, clock, wear))
    except PlaceError as error:
        log.error("not started", why=str(error))
        return NO
    except PinError as error:
        complain(f"not started: {error}")
        return NO
    finally:
        close_log()


def _enforcer(
    args: Namespace, installed: Site, allowed: frozenset[int], clock: MonotonicClock, wear: Wear
) -> Enforcer:
    """With the document in force: the installer's file, or what came over MQTT since."""
    where = places_of(args)
    drives = not args.observe and installed.mode != "observe"
    left = rest_what_was_left(where, boot_id(), installed.gpio, drives=drives)
    for output, error, factory in left:
        log.warning(
            "brought to rest: on a pin that nobody drives any more"
            if error is None
            else "NOT AT REST: on a pin that nobody drives any more",
            **output._asdict(),
            factory=factory,
            error=error,
        )
    workshop = Workshop(clock, wear, observe=args.observe)
    ground = Ground(read(args.site), str(args.site), library(), partial(lacking, os.environ))
    revisions = Revisions(where.documents, fingerprint(ground.installation))
    return Enforcer(
        workshop(resume(ground, revisions, installed)),
        where,
        clock,
        SystemWallClock(),
        boot_id(),
        allowed,
        Documents(ground, revisions, workshop),
        Notifier(os.environ),
        left=[(each.factory, (each.output,)) for each in left if each.error is not None],
    )


def _waits() -> None:
    """Without it systemd would count that time to a start which hangs."""
    Notifier(os.environ).starts_late(PATIENCE_S + STARTS_S)
    log.warning("waiting: somebody brings the pins to rest, or has them", at_most_s=PATIENCE_S)


class Workshop:
    """Makes depots of documents, with the drivers of one and the same fleet."""

    def __init__(self, clock: MonotonicClock, wear: Wear, *, observe: bool) -> None:
        """`observe`: whatever the document says, nothing is written to any device."""
        self._clock = clock
        self._observe = observe
        self._fleet = Fleet(wear)

    def __call__(self, site: Site, image: Image | None = None) -> Depot:
        """Around that image, which goes on with the document before until it is switched."""
        observe = self._observe or site.mode == "observe"
        tables = Tables.of(site, observe=observe)
        kernel = tables.build_kernel()
        image = image or Image(tables, kernel, self._clock)
        return Depot(
            site=site,
            tables=tables,
            kernel=kernel,
            ticker=KernelThread(kernel, tables.tick_ns),
            image=image,
            drivers=self._fleet.drivers(site, image, write=not observe),
            mode="observe" if observe else "control",
        )


def _uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
