from libc.stdint cimport int64_t

from cext.types cimport World


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_mutexattr_t:
        pass
    int PTHREAD_PRIO_INHERIT
    int pthread_mutexattr_init(pthread_mutexattr_t*)
    int pthread_mutexattr_setprotocol(pthread_mutexattr_t*, int)
    int pthread_mutexattr_destroy(pthread_mutexattr_t*)
    int pthread_mutex_init(pthread_mutex_t*, const pthread_mutexattr_t*)
    int pthread_mutex_destroy(pthread_mutex_t*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)


cdef class Kernel:
    cdef World world
    cdef pthread_mutex_t lock
    cdef int wake_fd  # eventfd of the thread that ticks; -1 where none does
    cdef int tick_at(self, int64_t now) noexcept nogil
    cdef void wake(self) noexcept
