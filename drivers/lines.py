"""What carries requests to a bus's address."""

from controller.document.buses import TcpAddress, Wire
from drivers.device import Line
from drivers.modbus import TcpLine
from drivers.serialline import SerialLine


def line_at(address: Wire, timeout_s: float, may_write: bool) -> Line:
    """Not connected yet. Without `may_write` nothing is ever written over it."""
    if isinstance(address, TcpAddress):
        return TcpLine(address.host, address.port, timeout_s, may_write)
    return SerialLine(address, timeout_s, may_write)
