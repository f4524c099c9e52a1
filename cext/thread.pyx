# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""A thread around the kernel: absolute time, no GIL, changes told through an eventfd.

Real time where it is granted (cext/realtime.pyx); without, the same thread, less punctual.
"""

import threading

from cext.rows import Granted

from libc.stdint cimport int32_t, int64_t, uint64_t

from cext.memory cimport lock_memory, taken_bytes, unlock_memory
from cext.realtime cimport (
    ask_fifo,
    lock_pages,
    own_stack,
    process_locked,
    touch_below,
    unlock_pages,
)
from cext.tick cimport Kernel


cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    cdef struct itimerspec:
        timespec it_interval
        timespec it_value
    int CLOCK_MONOTONIC
    int TIMER_ABSTIME
    int clock_gettime(int clock, timespec* now)
    int clock_nanosleep(int clock, int flags, const timespec* request, timespec* remain)


cdef extern from "<sys/timerfd.h>" nogil:
    int TFD_CLOEXEC
    int TFD_NONBLOCK
    int TFD_TIMER_ABSTIME
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* new, itimerspec* old)


cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_CLOEXEC
    int EFD_NONBLOCK
    int eventfd(unsigned int initial, int flags)


cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    short POLLIN
    int poll(pollfd* fds, unsigned long count, int timeout_ms)


cdef extern from "<sys/prctl.h>" nogil:
    int PR_SET_NAME
    int prctl(int option, const char* name)


cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    ssize_t read(int fd, void* buffer, size_t count)
    ssize_t write(int fd, const void* buffer, size_t count)


cdef int64_t SECOND = 1_000_000_000
cdef int64_t MILLISECOND = 1_000_000  # instants are told whole ones (controller/units.py)
cdef int64_t APART = 5_000_000  # early ticks are at least this far apart
STACK_BYTES = 256 * 1024
STOP_WITHIN_S = 2.0

cdef enum:
    BEGIN_WITHIN_MS = 2000
    KEPT = 1024  # of how late ticks began


cdef int64_t monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * SECOND + now.tv_nsec


cdef timespec as_timespec(int64_t at) noexcept nogil:
    cdef timespec result
    result.tv_sec = at // SECOND
    result.tv_nsec = at % SECOND
    return result


cdef class KernelThread:
    cdef Kernel kernel
    cdef int64_t period
    cdef int timer
    cdef int woken
    cdef int changed
    cdef int ticked
    cdef int stopping
    cdef object thread
    cdef int begun
    cdef int settled
    cdef int unarmed
    # what was granted
    cdef int priority
    cdef int fifo_errno
    cdef int lock_errno
    cdef bint all_locked
    cdef char* stack
    cdef size_t stack_bytes
    # how late ticks began, since this thread did
    cdef int64_t due
    cdef int64_t late[KEPT]
    cdef int64_t lates
    cdef int64_t worst_late

    def __cinit__(self):
        self.timer = self.woken = self.changed = self.ticked = self.begun = -1

    def __init__(self, Kernel kernel not None, int64_t period_ns):
        if not APART <= period_ns <= SECOND:
            raise ValueError(f"period_ns: {period_ns} is not within {APART} and {SECOND}")
        self.kernel = kernel
        self.period = period_ns
        self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        self.woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.ticked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.begun = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if min(self.timer, self.woken, self.changed, self.ticked, self.begun) < 0:
            raise OSError("no timer or event descriptor could be had")

    def __dealloc__(self):
        for fd in (self.timer, self.woken, self.changed, self.ticked, self.begun):
            close(fd)  # -1 is refused, and that is all

    @property
    def changed_fd(self):
        return self.changed

    @property
    def ticked_fd(self):
        return self.ticked

    @property
    def granted(self):
        if not self.settled:
            return None
        return Granted(
            self.priority, self.fifo_errno, self.all_locked, self.lock_errno,
            self.stack_bytes + taken_bytes(&self.kernel.world.memory),
        )

    @property
    def worst_late_ns(self):
        return self.worst_late

    def late_ns(self):
        cdef int64_t upto = self.lates
        return [self.late[i % KEPT] for i in range(max(0, upto - KEPT), upto)]

    def start(self):
        cdef pollfd begun
        if self.thread is not None or self.kernel.wake_fd >= 0:
            raise RuntimeError("this kernel has, or had, a thread")
        self.kernel.wake_fd = self.woken
        before = threading.stack_size(STACK_BYTES)
        try:
            thread = threading.Thread(target=self._run, name="kernel", daemon=True)
            thread.start()
            self.thread = thread
        finally:
            threading.stack_size(before)
        begun.fd = self.begun
        begun.events = POLLIN
        with nogil:
            poll(&begun, 1, BEGIN_WITHIN_MS)
        if self.unarmed:
            self.stop()
            raise OSError("the kernel's timer could not be set")

    def stop(self):
        cdef uint64_t one = 1
        if self.thread is None:
            return
        self.stopping = 1
        write(self.woken, &one, sizeof(one))
        self.thread.join(STOP_WITHIN_S)
        if not self.thread.is_alive():
            self.kernel.wake_fd = -1

    def _run(self):
        cdef uint64_t one = 1
        with nogil:  # until the end: who waits for the interpreter here is late
            prctl(PR_SET_NAME, b"kernel")  # as ps and top show it
            self.settle()
            self.settled = 1
            write(self.begun, &one, sizeof(one))
            self.loop()
            if not self.all_locked and self.lock_errno == 0:
                self.unlock_own()

    cdef void settle(self) noexcept nogil:
        """Asks for real time, has all that a tick touches in memory, and starts the clock."""
        cdef itimerspec when
        self.stack_bytes = own_stack(&self.stack)
        touch_below(self.stack, self.stack_bytes)
        self.all_locked = process_locked()
        if not self.all_locked:
            self.lock_errno = self.lock_own()
        self.fifo_errno = ask_fifo(&self.priority)
        self.due = monotonic() + self.period
        when.it_interval = as_timespec(self.period)
        when.it_value = as_timespec(self.due)
        self.unarmed = timerfd_settime(self.timer, TFD_TIMER_ABSTIME, &when, NULL)

    cdef int lock_own(self) noexcept nogil:
        """The kernel's arrays, the stack, and the objects that lead to them: 0, or why not.

        The objects' own pages, two or three, stay locked when they are gone: other things lie
        there, too.
        """
        cdef int why = lock_memory(&self.kernel.world.memory)
        if why:
            return why
        why = lock_pages(self.stack, self.stack_bytes)
        if why == 0:
            why = lock_pages(
                &self.kernel.world, <char*>&self.kernel.wake_fd - <char*>&self.kernel.world
            )
        if why == 0:
            why = lock_pages(&self.timer, <char*>&self.worst_late - <char*>&self.timer)
        if why:
            self.unlock_own()
        return why

    cdef void unlock_own(self) noexcept nogil:
        unlock_memory(&self.kernel.world.memory)
        unlock_pages(self.stack, self.stack_bytes)

    cdef void note(self, int64_t late) noexcept nogil:
        """How late a tick began, after the instant at which it was due and permitted."""
        self.late[self.lates % KEPT] = late
        self.lates += 1
        self.worst_late = max(self.worst_late, late)

    cdef void loop(self) noexcept nogil:
        """Until stopped: wait for the period or a reading, tick, tell what changed."""
        cdef pollfd fds[2]
        cdef uint64_t count, periods
        cdef uint64_t one = 1
        cdef int64_t last = 0, not_before
        cdef timespec then
        fds[0].fd = self.timer
        fds[1].fd = self.woken
        fds[0].events = fds[1].events = POLLIN
        while True:
            poll(fds, 2, 1000)  # ms: a tick at the latest, should the timer ever fail
            if self.stopping:
                return
            not_before = last + APART
            then = as_timespec(not_before)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL)
            periods = 0
            read(self.timer, &periods, sizeof(periods))
            read(self.woken, &count, sizeof(count))
            last = monotonic()
            if periods > 0:
                self.note(last - max(self.due, not_before))
                self.due += <int64_t>periods * self.period
            if self.kernel.tick_at(last - last % MILLISECOND) > 0:
                write(self.changed, &one, sizeof(one))
            write(self.ticked, &one, sizeof(one))
