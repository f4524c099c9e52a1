"""What can happen to lines, to connections and to the broker. Each lasts for a while."""

from __future__ import annotations

from typing import Literal

from hil.story.words import Event, Id, Positive


class SerialLine(Event):
    """A serial line goes wrong, with all that hangs on it, and is well again."""

    do: Literal["line"]
    bus: Id
    fault: Literal["cut", "noise", "wrong_speed", "stuck", "echo", "unplugged"]
    for_s: Positive


class Misrouted(Event):
    """What is asked of a device on a serial line is answered by another one there."""

    do: Literal["misrouted"]
    device: Id
    by: Id
    for_s: Positive


class ConverterIll(Event):
    """What stands between the network and a serial line is restarted, or takes replies that come
    late for the answers to others."""

    do: Literal["converter"]
    bus: Id
    fault: Literal["rebooted", "mixes"]
    for_s: Positive


class Connection(Event):
    """The network between the gateway and a device goes wrong, and is well again."""

    do: Literal["connection"]
    device: Id
    fault: Literal["closed", "black_hole", "half_open", "reset", "late", "slow", "corrupt"]
    for_s: Positive


class BrokerIll(Event):
    """The broker dies, stands still or refuses everybody, and is well again."""

    do: Literal["broker"]
    fault: Literal["killed", "frozen", "refusing"]
    for_s: Positive
