/* The ground of every C test: checks that say where they failed, time, a watchdog, and what the process holds. */
#ifndef NACRE_TESTS_CHECK_H
#define NACRE_TESTS_CHECK_H

#include <dirent.h>
#include <errno.h>
#include <nacre.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
/* Long enough for a loaded machine; a test that waits so long has failed. */
#define SOON 30000

/* The engine mode of this run: library threads, or none. */
static int with_threads;
static const char *test_step = "";

UNUSED static void fail_at(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: [%s] %s%s%s\n", file, line, with_threads ? "threads" : "caller", test_step,
            *test_step ? ": " : "", text);
    fflush(stderr);
    _exit(1);
}

#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) FAIL("not so: %s", #condition);                                                              \
    } while (0)
#define EXPECT(call, expected)                                                                                         \
    do {                                                                                                               \
        nacre_status got_ = (call);                                                                                    \
        nacre_status expected_ = (expected);                                                                           \
        if (got_ != expected_)                                                                                         \
            FAIL("%s gave %s, not %s", #call, nacre_status_name(got_), nacre_status_name(expected_));                  \
    } while (0)
#define OK(call) EXPECT(call, NACRE_OK)
#define EQUAL(one, other)                                                                                              \
    do {                                                                                                               \
        long long one_ = (long long)(one), other_ = (long long)(other);                                                \
        if (one_ != other_) FAIL("%s is %lld, not %s (%lld)", #one, one_, #other, other_);                             \
    } while (0)
/* Another thread does it soon. */
#define EVENTUALLY(condition)                                                                                          \
    do {                                                                                                               \
        int64_t until_ = now_ms() + SOON;                                                                              \
        while (!(condition)) {                                                                                         \
            if (now_ms() > until_) FAIL("never so: %s", #condition);                                                   \
            pause_ms(1);                                                                                               \
        }                                                                                                              \
    } while (0)

UNUSED static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

UNUSED static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

static void on_alarm(int signal)
{
    static const char text[] = "the watchdog barked at step: ";
    (void)signal;
    (void)!write(2, text, sizeof text - 1);
    (void)!write(2, test_step, strlen(test_step));
    (void)!write(2, "\n", 1);
    _exit(3);
}

UNUSED static void watchdog(unsigned seconds)
{
    signal(SIGALRM, on_alarm);
    alarm(seconds);
}

/* Valgrind and the like: everything takes longer, so there is less of it. */
UNUSED static int is_short_run(void)
{
    return getenv("NACRE_TEST_SHORT") != NULL;
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* make test-full. */
UNUSED static int is_long_run(void)
{
    return getenv("NACRE_TEST_FULL") != NULL;
}

UNUSED static void begin(int argc, char **argv)
{
    pthread_t first;
    if (argc < 2 || (strcmp(argv[1], "threads") != 0 && strcmp(argv[1], "caller") != 0)) {
        fprintf(stderr, "usage: %s threads|caller\n", argv[0]);
        exit(2);
    }
    with_threads = strcmp(argv[1], "threads") == 0;
    watchdog(is_short_run() ? 600 : 60);
    /* A sanitizer has a thread of its own from the first one on: it is there before anything is counted. */
    if (pthread_create(&first, NULL, do_nothing, NULL) != 0 || pthread_join(first, NULL) != 0) exit(2);
}

UNUSED static int entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (folder == NULL) return -1;
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count - 2;
}

/* Without the one that counting takes. */
UNUSED static int descriptors(void)
{
    return entries("/proc/self/fd") - 1;
}

/* A thread that was joined can be on its way out yet, and is then listed still: the kernel's PF_EXITING tells. */
UNUSED static int is_exiting(const char *thread)
{
    char path[300], line[512] = "";
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/stat", thread);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 1;
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (end == NULL || sscanf(end, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1) return 1;
    return (flags & 0x4) != 0;
}

/* Those of this process that have not ended. */
UNUSED static int threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;
    if (folder == NULL) return -1;
    while ((entry = readdir(folder)) != NULL) count += entry->d_name[0] != '.' && !is_exiting(entry->d_name);
    closedir(folder);
    return count;
}

#endif
