# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What real time asks of the system: a scheduling class for one thread, and memory that stays.

Nothing here is needed for a right decision, only for a punctual one: every function says what
was refused, and the caller goes on without.
"""

cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN
    int EPERM


cdef extern from "<sched.h>" nogil:
    cdef struct sched_param:
        int sched_priority
    int SCHED_FIFO
    int SCHED_RESET_ON_FORK
    int sched_setscheduler(int thread, int policy, const sched_param* how)


cdef extern from "<sys/resource.h>" nogil:
    ctypedef unsigned long rlim_t
    cdef struct rlimit:
        rlim_t rlim_cur
    int RLIMIT_MEMLOCK
    int RLIMIT_RTPRIO
    rlim_t RLIM_INFINITY
    int getrlimit(int resource, rlimit* limit)


cdef extern from "<sys/mman.h>" nogil:
    int MCL_CURRENT
    int MCL_FUTURE
    int MCL_ONFAULT
    int PROT_NONE
    int MAP_PRIVATE
    int MAP_ANONYMOUS
    int MAP_LOCKED
    int MAP_NORESERVE
    void* MAP_FAILED
    void* mmap(void* at, size_t bytes, int protection, int flags, int fd, long offset)
    int munmap(void* start, size_t bytes)
    int mlock(const void* start, size_t bytes)
    int munlock(const void* start, size_t bytes)
    int mlockall(int flags)


cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    pthread_t pthread_self()
    int pthread_getattr_np(pthread_t thread, pthread_attr_t* attr)
    int pthread_attr_getstack(const pthread_attr_t* attr, void** lowest, size_t* bytes)
    int pthread_attr_destroy(pthread_attr_t* attr)


cdef extern from "<unistd.h>" nogil:
    int _SC_PAGESIZE
    long sysconf(int name)


cdef enum:
    # Above all that is not real time, below the threads that serve interrupts (50) where the
    # system runs them as such.
    PRIORITY = 20
    FRAME = 8192  # bytes below us that may be in use, or about to be

cdef int why_not_locked = -1  # what lock_process() last came to; -1: nobody has asked


# Scheduling ------------------------------------------------------------------------------


cdef int ask_fifo(int* priority) noexcept nogil:
    """SCHED_FIFO for this thread alone: 0 and the priority, or why not (errno) and 0.

    Where only a lower priority is permitted (RLIMIT_RTPRIO), that one. What this thread might
    ever start begins as an ordinary one. What keeps a thread that does not pause from taking
    its processor for good is told in controller/realtime.py.
    """
    cdef sched_param how
    cdef rlimit limit
    cdef int why
    priority[0] = 0
    how.sched_priority = PRIORITY
    if sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &how):
        why = errno
        if why != EPERM or getrlimit(RLIMIT_RTPRIO, &limit) or not 0 < limit.rlim_cur < <rlim_t>PRIORITY:
            return why
        how.sched_priority = <int>limit.rlim_cur
        if sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &how):
            return errno
    priority[0] = how.sched_priority
    return 0


# Memory ----------------------------------------------------------------------------------


cdef bint unbounded() noexcept nogil:
    """Whether this process may lock as much as it likes.

    The system is asked itself, by a lock that exceeds the limit by a page: who only seems to
    hold CAP_IPC_LOCK, in a user namespace say, learns it here. The page is of no memory.
    """
    cdef rlimit limit
    cdef size_t bytes
    cdef void* beyond
    if getrlimit(RLIMIT_MEMLOCK, &limit):
        return False
    if limit.rlim_cur == RLIM_INFINITY:
        return True
    bytes = <size_t>limit.rlim_cur + <size_t>sysconf(_SC_PAGESIZE)
    beyond = mmap(
        NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_NORESERVE, -1, 0
    )
    if beyond == MAP_FAILED:
        return False
    munmap(beyond, bytes)
    return True


def lock_process():
    global why_not_locked
    cdef int why = EAGAIN
    if unbounded():
        why = errno if mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) else 0
    why_not_locked = why
    return why


cdef bint process_locked() noexcept nogil:
    return why_not_locked == 0


cdef int lock_pages(const void* start, size_t bytes) noexcept nogil:
    """0, or why not (errno). What is not in memory yet comes now."""
    return errno if mlock(start, bytes) else 0


cdef void unlock_pages(const void* start, size_t bytes) noexcept nogil:
    munlock(start, bytes)


cdef size_t own_stack(char** lowest) noexcept nogil:
    """Where this thread's stack lies; 0 when nobody knows."""
    cdef pthread_attr_t attr
    cdef size_t bytes = 0
    if pthread_getattr_np(pthread_self(), &attr):
        return 0
    if pthread_attr_getstack(&attr, <void**>lowest, &bytes):
        bytes = 0
    pthread_attr_destroy(&attr)
    return bytes


cdef void touch_below(char* lowest, size_t bytes) noexcept nogil:
    """Has every page of this stack that is not in use yet brought into memory."""
    cdef char here = 0
    cdef size_t page = <size_t>sysconf(_SC_PAGESIZE)
    cdef volatile char* at = lowest
    if not lowest <= &here < lowest + bytes:
        return
    while at + FRAME < &here:
        at[0] = 0
        at += page
