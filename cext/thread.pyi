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
    def start(self) -> None: ...
    def stop(self) -> None:
        """Ends the thread and waits for it, but not for ever: one that is stuck is left behind."""
