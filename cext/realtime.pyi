def lock_process() -> int:
    """Keeps every page in memory that the process has touched or will touch: 0, or why not (errno).

    Asked for only where nothing bounds it, by RLIMIT_MEMLOCK or for want of CAP_IPC_LOCK; else
    EAGAIN, and nothing has changed. For within a bound, the first thread or buffer that did not fit
    into it could not be made.
    """
