"""`loadkeeper link SITE`: connects a running enforcer to its MQTT broker."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction

from controller.clock import SystemWallClock
from controller.commands.output import NO, add_json_option, complain
from controller.commands.processes import add_options, places_of, site_of
from controller.credentials import CredentialsError
from controller.link.mqtt import Account, account
from controller.link.process import serve
from controller.log import configure
from controller.site import Site


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("link", help="connect a running enforcer to its MQTT broker")
    add_options(parser)
    add_json_option(parser)


def run(args: Namespace) -> int:
    site = site_of(args)
    if isinstance(site, int):
        return site
    made = _account(site)
    if made is None or site.link is None:
        return NO
    close_log = configure("link")
    try:
        return serve(site.id, made, places_of(args).socket, SystemWallClock(), site.link)
    finally:
        close_log()


def _account(site: Site) -> Account | None:
    """Who we are at the broker; None after saying why that is not known."""
    if site.link is None:
        complain("the site document has no [link]: there is no broker to connect to")
        return None
    try:
        return account(site.id, site.link)
    except CredentialsError as error:
        complain(str(error))
        return None
