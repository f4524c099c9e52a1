"""Whether an enforcer works on this gateway: two masters must not get into each other's way."""

from __future__ import annotations

from pathlib import Path

from controller.places import SOCKET, runtime_to_ask
from controller.wire import FrameError, ask_status


async def enforcer_here(runtime: Path | None, *, counted: bool = False) -> str | None:
    """Why an enforcer on this machine could be controlling chargers; None where none can.

    What is `counted` (drivers.wear) one that observes counts, too: it has read the counts already.

    The one of that runtime directory; without one the user's own, else the installed one.
    """
    socket = runtime_to_ask(runtime) / SOCKET
    try:
        report = await ask_status(socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except (OSError, FrameError) as error:
        reason = str(error) or "no answer in time"
        return f"an enforcer may be controlling chargers, but at {socket}: {reason}"
    if report.mode == "observe":
        if not counted:
            return None
        what = "and keeps the count of what wears out"
        return f"an enforcer observes {report.site} from here, {what}: stop it first ({socket})"
    return f"an enforcer controls {report.site} from here: stop it first ({socket})"
