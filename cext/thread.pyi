from cext.rows import Granted
from cext.tick import Kernel

class KernelThread:
    """Ticks a kernel on absolute CLOCK_MONOTONIC time, early when a reading arrives."""

    def __init__(self, kernel: Kernel, period_ns: int) -> None: ...
    @property
    def changed_fd(self) -> int:
        """An eventfd, readable after every tick that changed an order."""
    @property
    def ticked_fd(self) -> int:
        """An eventfd, readable after every tick."""
    @property
    def granted(self) -> Granted | None:
        """What its thread was granted; None before it has begun."""
    @property
    def worst_late_ns(self) -> int:
        """The most that a tick began after it was due, since this thread began."""
    def late_ns(self) -> list[int]:
        """The same for each of the latest 1024 periods, oldest first."""
    def start(self) -> None: ...
    def stop(self) -> None:
        """Ends the thread and waits for it, but not for ever: one that is stuck is left behind."""
