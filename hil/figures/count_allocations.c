/* Counts what threads named "kernel" ask of the memory's allocator, from when they took that name.
 *
 * To be preloaded: it stands in front of the C library's own functions. With -DSPILL=n it makes
 * such a thread allocate n bytes at each wait for its next tick: the control, which must be seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t each);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *old);

static __thread int counted __attribute__((tls_model("initial-exec")));
static atomic_llong threads, calls, bytes_in_all;

long long counted_threads(void) { return threads; }
long long counted_calls(void) { return calls; }
long long counted_bytes(void) { return bytes_in_all; }

static void count(size_t bytes)
{
    if (counted) {
        calls += 1;
        bytes_in_all += (long long)bytes;
    }
}

int prctl(int option, ...)
{
    va_list rest;
    unsigned long word[4];
    va_start(rest, option);
    for (int i = 0; i < 4; i++)
        word[i] = va_arg(rest, unsigned long);
    va_end(rest);
    if (option == PR_SET_NAME && strcmp((const char *)word[0], "kernel") == 0 && !counted) {
        counted = 1;
        threads += 1;
    }
    return (int)syscall(SYS_prctl, option, word[0], word[1], word[2], word[3]);
}

void *malloc(size_t bytes)
{
    count(bytes);
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t each)
{
    count(number * each);
    return __libc_calloc(number, each);
}

void *realloc(void *old, size_t bytes)
{
    count(bytes);
    return __libc_realloc(old, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    count(bytes);
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count(bytes);
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **where, size_t alignment, size_t bytes)
{
    count(bytes);
    *where = __libc_memalign(alignment, bytes);
    return *where == NULL ? ENOMEM : 0;
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    count(bytes);
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

#ifdef SPILL
int poll(struct pollfd *fds, nfds_t number, int timeout_ms)
{
    struct timespec within = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    if (counted) {
        void *volatile spilt = malloc(SPILL);
        __libc_free(spilt);
    }
    return ppoll(fds, number, timeout_ms < 0 ? NULL : &within, NULL);
}
#endif
