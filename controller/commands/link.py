"""`loadkeeper link SITE`: connects a running enforcer to its MQTT broker."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace, _SubParsersAction

from controller.clock import SystemWallClock
from controller.commands.output import MISUSED, NO, add_json_option, complain
from controller.commands.processes import add_options, places_of, site_of
from controller.credentials import CredentialsError
from controller.link.mqtt import account
from controller.link.process import serve
from controller.log import configure
from controller.notify import Notifier


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("link", help="connect a running enforcer to its MQTT broker")
    add_options(parser)
    add_json_option(parser)


def run(args: Namespace) -> int:
    site = site_of(args)
    if isinstance(site, int):
        return site
    if site.link is None:
        complain("the site document has no [link]: there is no broker to connect to")
        return MISUSED
    try:
        made = account(site.id, site.link)
    except CredentialsError as error:
        complain(str(error))
        return NO
    close_log = configure("link")
    try:
        where, notifier = places_of(args).socket, Notifier(os.environ)
        return serve(site.id, made, where, SystemWallClock(), site.link, notifier)
    finally:
        close_log()
