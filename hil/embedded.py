"""An MQTT broker that comes with pip, for `./run` where mosquitto cannot be had.

It knows MQTT 5 as far as the demo uses it: a will, retained messages, QoS 1, expiry, response
topics. It knows no access rules that it answers for, so it cannot refuse anybody politely, and it
delivers a retained message without saying so: the tests want mosquitto.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "iotcore"
_PAYLOAD_BYTES = 4 << 20  # what the link takes at most, see controller/link/mqtt.py
_CONFIG = """\
id = 0
[router]
id = 0
max_connections = 64
max_outgoing_packet_count = 200
max_segment_size = {segment}
max_segment_count = 4
[v5.1]
name = "demo"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = {payload}
max_inflight_count = 100
dynamic_filters = true
"""


def available() -> bool:
    return find_spec(PACKAGE) is not None


def command(directory: Path, port: int) -> list[str]:
    """What starts it on that port of the loopback, as a process of its own."""
    config = directory / "embedded.toml"
    config.write_text(_CONFIG.format(port=port, payload=_PAYLOAD_BYTES, segment=2 * _PAYLOAD_BYTES))
    # Its log has a line at ERROR for each packet; what keeps it from starting, Python itself says.
    words = [sys.executable, "-P", "-m", PACKAGE, "--config", str(config)]
    return [*words, "--log-level", "CRITICAL"]
