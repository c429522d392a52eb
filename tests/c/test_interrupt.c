/* nacre_engine_wake and nacre_channel_wake end waits, and nothing else does; what was begun goes on. */
#include "ends.h"

#include <sys/time.h>

/* --- every call that waits ------------------------------------------------------------------------------------ */

typedef enum call {
    READ,
    READ_STDERR,
    PEEK,
    WRITE,
    WRITE_ALL,
    WRITE_ALL_STDERR,
    CHANNEL_FLUSH,
    WAIT_EXIT,
    EXEC,
    REQUEST,
    ACCEPT,
    WAIT,
    OPEN,
    GLOBAL,
    TRANSPORT_FLUSH,
    START,
    CONNECT,
    POLL,
    DISPATCH,
    CALLS
} call;

static const char *const names[CALLS] = {"read",  "read_stderr", "peek", "write",  "write_all", "write_all_stderr",
                                         "channel_flush", "wait_exit", "exec", "request", "accept", "wait", "open",
                                         "global", "transport_flush", "start_client", "connect", "poll", "dispatch"};

typedef struct waiting {
    call call;
    nacre_engine *engine;
    pair both;
    nacre_channel *near_end, *far_end, *opened;
    nacre_transport *silent;
    int silent_fd;
    nacre_ticket *ticket;
    uint64_t op;
    int thread;
    nacre_status status;
} waiting;

static nacre_decision keep_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                   const nacre_request *request, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)request;
    __atomic_store_n(&((waiting *)userdata)->ticket, ticket, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}
static nacre_decision keep_channel(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                   const char *kind, const void *data, size_t len, nacre_ticket *ticket)
{
    waiting *self = userdata;
    (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    if (self->call != OPEN || self->near_end == NULL) return NACRE_ACCEPT;
    __atomic_store_n(&self->ticket, ticket, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}
static nacre_decision keep_global(void *userdata, nacre_transport *transport, const char *name, const void *data,
                                  size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)name, (void)data, (void)len;
    __atomic_store_n(&((waiting *)userdata)->ticket, ticket, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}

static void begin_waiting(waiting *self, call which)
{
    nacre_server_callbacks callbacks = plain_server();
    int fds[2];
    memset(self, 0, sizeof *self);
    self->call = which;
    self->engine = new_engine();
    callbacks.channel_request = keep_request;
    callbacks.channel_open = keep_channel;
    callbacks.global_request = keep_global;
    callbacks.userdata = self;
    small_windows = 1;
    self->both = connected_pair_of(self->engine, self->engine, &callbacks);
    small_windows = 0;
    open_both(self->both, &self->near_end, &self->far_end);
    socket_pair(fds);
    OK(nacre_transport_from_fd(self->engine, fds[0], &self->silent, NULL));
    self->silent_fd = fds[1];
    if (which == WAIT) EXPECT(nacre_channel_exec(self->near_end, "x", 0, &self->op), NACRE_ERR_AGAIN);
    if (which == CHANNEL_FLUSH || which == TRANSPORT_FLUSH) {
        char buf[4096] = "";
        size_t n = 0;
        while (nacre_channel_write(self->near_end, buf, sizeof buf, 0, &n) == NACRE_OK) {
        }
    }
}

static void wait_for_it(waiting *self, int32_t timeout_ms)
{
    static char big[4096];
    char buf[16];
    size_t n = 0;
    nacre_exit result = NACRE_INIT(nacre_exit);
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    check.flags = NACRE_HOST_KEY_ANY;
    options.host_key_check = &check;
    nacre_channel *near_end = self->near_end;
    switch (self->call) {
    case READ: self->status = nacre_channel_read(near_end, buf, sizeof buf, timeout_ms, &n); break;
    case READ_STDERR: self->status = nacre_channel_read_stderr(near_end, buf, sizeof buf, timeout_ms, &n); break;
    case PEEK: self->status = nacre_channel_peek(near_end, buf, sizeof buf, timeout_ms, &n); break;
    case WRITE:
        while ((self->status = nacre_channel_write(near_end, big, sizeof big, timeout_ms, &n)) == NACRE_OK) {
        }
        break;
    case WRITE_ALL:
        while ((self->status = nacre_channel_write_all(near_end, big, sizeof big, timeout_ms, &n)) == NACRE_OK) {
        }
        break;
    case WRITE_ALL_STDERR:
        near_end = self->far_end;
        while ((self->status = nacre_channel_write_all_stderr(near_end, big, sizeof big, timeout_ms, &n)) == NACRE_OK) {
        }
        break;
    case CHANNEL_FLUSH: self->status = nacre_channel_flush(near_end, timeout_ms); break;
    case WAIT_EXIT: self->status = nacre_channel_wait_exit(near_end, timeout_ms, &result); break;
    case EXEC: self->status = nacre_channel_exec(near_end, "x", timeout_ms, &self->op); break;
    case REQUEST: self->status = nacre_channel_request(near_end, "x@y", "z", 1, 1, timeout_ms, &self->op); break;
    case ACCEPT: self->status = nacre_transport_accept(self->both.client, timeout_ms, &self->opened); break;
    case WAIT: self->status = nacre_transport_wait(self->both.client, self->op, timeout_ms, &event); break;
    case OPEN:
        self->status = nacre_transport_open_session(self->both.client, timeout_ms, &self->opened, &self->op);
        break;
    case GLOBAL:
        self->status = nacre_transport_global_request(self->both.client, "x@y", NULL, 0, 1, timeout_ms, NULL, &self->op);
        break;
    case TRANSPORT_FLUSH: self->status = nacre_transport_flush(self->both.client, timeout_ms); break;
    case START: self->status = nacre_transport_start_client(self->silent, timeout_ms, &self->op); break;
    case CONNECT: self->status = nacre_transport_connect(self->silent, &options, timeout_ms, &self->op); break;
    case POLL: {
        nacre_poll_item item = NACRE_INIT(nacre_poll_item);
        const nacre_poll_item *items[1] = {&item};
        int32_t ready = 7;
        item.channel = near_end;
        item.what = NACRE_CHANNEL_READ;
        self->status = nacre_poll(items, 1, timeout_ms, &ready);
        break;
    }
    case DISPATCH:
        /* A round that did something is no wait that ended. */
        while ((self->status = nacre_engine_dispatch(self->engine, timeout_ms)) == NACRE_OK) {
        }
        break;
    default: FAIL("no such call");
    }
}

static void *wait_on_thread(void *argument)
{
    waiting *self = argument;
    __atomic_store_n(&self->thread, current_thread(), __ATOMIC_RELEASE);
    wait_for_it(self, -1);
    return NULL;
}

static nacre_engine *signalled;
static void wake_in_handler(int signal)
{
    (void)signal;
    int kept = errno;
    if (nacre_engine_wake(signalled) != NACRE_OK) _exit(4);
    errno = kept;
}

/* The operation went on: now it ends, and the wait for it is told. */
static void finish_operation(waiting *self)
{
    nacre_event event = NACRE_INIT(nacre_event);
    int64_t until = now_ms() + SOON;
    if (self->op == 0) return;
    EXPECT(nacre_transport_wait(self->both.client, self->op, 0, &event), NACRE_ERR_AGAIN);
    while (__atomic_load_n(&self->ticket, __ATOMIC_ACQUIRE) == NULL) {
        if (now_ms() > until) FAIL("nobody was asked");
        EXPECT(nacre_transport_wait(self->both.client, self->op, 10, &event), NACRE_ERR_AGAIN);
    }
    OK(nacre_ticket_answer(self->ticket, NACRE_ACCEPT));
    OK(nacre_transport_wait(self->both.client, self->op, SOON, &event));
    OK(event.status);
    CHECK(event.op == self->op);
    /* Only the reply to a global request has data. */
    CHECK((event.message != NULL) == (self->call == GLOBAL));
    nacre_message_free(event.message);
    EXPECT(nacre_transport_wait(self->both.client, self->op, 0, &event), NACRE_ERR_NOT_FOUND);
    if (self->call == OPEN) {
        nacre_channel *other = NULL;
        CHECK(self->opened != NULL && event.channel == self->opened);
        OK(nacre_transport_accept(self->both.server, SOON, &other));
        talk(self->opened, other);
        nacre_channel_free(other);
    }
}

static void end_waiting(waiting *self)
{
    char buf[4096];
    size_t n;
    if (self->call != WRITE && self->call != WRITE_ALL && self->call != WRITE_ALL_STDERR &&
        self->call != CHANNEL_FLUSH && self->call != TRANSPORT_FLUSH) {
        talk(self->near_end, self->far_end);
    } else if (self->call != WRITE_ALL_STDERR) {
        OK(nacre_channel_send_eof(self->near_end));
        while (nacre_channel_read(self->far_end, buf, sizeof buf, SOON, &n) == NACRE_OK) {
        }
        OK(nacre_channel_flush(self->near_end, SOON));
    }
    nacre_channel_free(self->near_end);
    nacre_channel_free(self->far_end);
    nacre_channel_free(self->opened);
    free_pair(self->both);
    nacre_transport_free(self->silent);
    close(self->silent_fd);
    nacre_ticket_free(self->ticket);
    nacre_engine_free(self->engine);
}

static int skipped(call which)
{
    return which == DISPATCH && with_threads;
}

/* How: 0 from another thread, 1 from a handler in the waiting thread, 2 before it waits. */
static void interrupted_by(call which, int how)
{
    static char step[64];
    static waiting self;
    pthread_t thread;
    if (skipped(which)) return;
    snprintf(step, sizeof step, "interrupted_by %s %d", names[which], how);
    test_step = step;
    begin_waiting(&self, which);
    if (how == 2) {
        OK(nacre_engine_wake(self.engine));
        wait_for_it(&self, SOON);
    } else {
        CHECK(pthread_create(&thread, NULL, wait_on_thread, &self) == 0);
        until_asleep(&self.thread);
        if (how == 0) {
            OK(nacre_engine_wake(self.engine));
        } else {
            signalled = self.engine;
            CHECK(pthread_kill(thread, SIGUSR1) == 0);
        }
        pthread_join(thread, NULL);
    }
    EXPECT(self.status, NACRE_ERR_INTERRUPTED);
    if (which == EXEC || which == REQUEST || which == OPEN || which == GLOBAL || which == START || which == CONNECT)
        CHECK(self.op != 0);
    if (which == OPEN) CHECK(self.opened != NULL);
    if (which == START || which == CONNECT) {
        nacre_event event = NACRE_INIT(nacre_event);
        EXPECT(nacre_transport_wait(self.silent, self.op, 20, &event), NACRE_ERR_AGAIN);
    } else {
        finish_operation(&self);
    }
    end_waiting(&self);
}

static void every_call(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = wake_in_handler;
    sigaction(SIGUSR1, &action, NULL);
    for (int which = 0; which < CALLS; which++)
        for (int how = 0; how < 3; how++) interrupted_by((call)which, how);
}

/* dial: the transport is connecting all the same. */
static void a_dial(void)
{
    nacre_engine *engine = new_engine();
    nacre_transport *transport = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    listening hole = black_hole();
    OK(nacre_engine_wake(engine));
    EXPECT(nacre_transport_dial(engine, address_of("127.0.0.1", hole.port), SOON, &transport, &op, NULL),
           NACRE_ERR_INTERRUPTED);
    CHECK(transport != NULL && op != 0);
    EXPECT(nacre_transport_wait(transport, op, 10, &event), NACRE_ERR_AGAIN);
    nacre_transport_free(transport);
    stop_listening(&hole);
    end_engine(engine);
}

/* --- sticky, and only once ---------------------------------------------------------------------------------------- */

static void sticky_once(void)
{
    nacre_engine *engine = new_engine(), *other = new_engine();
    pair both = connected_pair(engine), others = connected_pair(other);
    nacre_channel *near_end, *far_end, *other_near, *other_far;
    char byte;
    size_t n = 0;
    open_both(both, &near_end, &far_end);
    open_both(others, &other_near, &other_far);
    OK(nacre_engine_wake(engine));
    OK(nacre_engine_wake(engine));
    OK(nacre_engine_wake(engine));
    /* What does not wait is not interrupted. */
    EXPECT(nacre_channel_read(near_end, &byte, 1, 0, &n), NACRE_ERR_AGAIN);
    /* Nor is another engine. */
    EXPECT(nacre_channel_read(other_near, &byte, 1, 20, &n), NACRE_ERR_AGAIN);
    /* What has something to give gives it. */
    OK(nacre_channel_write(near_end, "x", 1, 0, &n));
    EXPECT(nacre_channel_read(near_end, &byte, 1, 30, &n), NACRE_ERR_INTERRUPTED);
    /* All three of them at once. */
    EXPECT(nacre_channel_read(near_end, &byte, 1, 30, &n), NACRE_ERR_AGAIN);
    read_exactly(far_end, &byte, 1);
    EQUAL(byte, 'x');
    talk(near_end, far_end);
    talk(other_near, other_far);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    nacre_channel_free(other_near);
    nacre_channel_free(other_far);
    free_pair(both);
    free_pair(others);
    end_engine(engine);
    end_engine(other);
}

/* --- all that wait at once ------------------------------------------------------------------------------------------ */

typedef struct reader {
    nacre_channel *channel;
    int thread;
    nacre_status status;
    char byte;
} reader;

static void *read_one(void *argument)
{
    reader *self = argument;
    size_t n = 0;
    __atomic_store_n(&self->thread, current_thread(), __ATOMIC_RELEASE);
    self->status = nacre_channel_read(self->channel, &self->byte, 1, -1, &n);
    EQUAL(n, self->status == NACRE_OK ? 1 : 0);
    return NULL;
}

static void all_waits_at_once(void)
{
    enum { READERS = 6 };
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine), others = connected_pair(engine);
    nacre_channel *far_end[READERS];
    reader readers[READERS];
    pthread_t ids[READERS];
    memset(readers, 0, sizeof readers);
    for (int i = 0; i < READERS; i++) {
        open_both(i % 2 ? both : others, &readers[i].channel, &far_end[i]);
        CHECK(pthread_create(&ids[i], NULL, read_one, &readers[i]) == 0);
        until_asleep(&readers[i].thread);
    }
    /* All of them are asleep: in the call, or at its very beginning, where the wake would be found too. */
    pause_ms(20);
    OK(nacre_engine_wake(engine));
    for (int i = 0; i < READERS; i++) {
        pthread_join(ids[i], NULL);
        EXPECT(readers[i].status, NACRE_ERR_INTERRUPTED);
    }
    for (int i = 0; i < READERS; i++) {
        talk(readers[i].channel, far_end[i]);
        nacre_channel_free(readers[i].channel);
        nacre_channel_free(far_end[i]);
    }
    free_pair(both);
    free_pair(others);
    end_engine(engine);
}

/* --- one channel ------------------------------------------------------------------------------------------------------ */

static void one_channel_only(void)
{
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *far_end[2];
    reader readers[2];
    pthread_t ids[2];
    char byte;
    size_t n = 0;
    memset(readers, 0, sizeof readers);
    for (int i = 0; i < 2; i++) {
        open_both(both, &readers[i].channel, &far_end[i]);
        CHECK(pthread_create(&ids[i], NULL, read_one, &readers[i]) == 0);
        until_asleep(&readers[i].thread);
    }
    OK(nacre_channel_wake(readers[0].channel));
    pthread_join(ids[0], NULL);
    EXPECT(readers[0].status, NACRE_ERR_INTERRUPTED);
    /* The other one still waits, and gets what it waits for. */
    write_text(far_end[1], "y");
    pthread_join(ids[1], NULL);
    OK(readers[1].status);
    EQUAL(readers[1].byte, 'y');
    /* Sticky, once, and for this channel only. */
    OK(nacre_channel_wake(readers[0].channel));
    OK(nacre_channel_wake(readers[0].channel));
    EXPECT(nacre_channel_read(readers[1].channel, &byte, 1, 20, &n), NACRE_ERR_AGAIN);
    EXPECT(nacre_channel_read(readers[0].channel, &byte, 1, 0, &n), NACRE_ERR_AGAIN);
    EXPECT(nacre_channel_read(readers[0].channel, &byte, 1, 20, &n), NACRE_ERR_INTERRUPTED);
    EXPECT(nacre_channel_read(readers[0].channel, &byte, 1, 20, &n), NACRE_ERR_AGAIN);
    for (int i = 0; i < 2; i++) {
        talk(readers[i].channel, far_end[i]);
        nacre_channel_free(readers[i].channel);
        nacre_channel_free(far_end[i]);
    }
    free_pair(both);
    end_engine(engine);
}

/* --- signals without a wake ---------------------------------------------------------------------------------------------- */

static int signals;
static void count_signal(int signal)
{
    (void)signal;
    signals++;
}

static void signals_end_no_wait(void)
{
    struct sigaction action;
    struct itimerval often = {{0, 3000}, {0, 3000}}, never;
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end, *channel = NULL;
    nacre_exit result = NACRE_INIT(nacre_exit);
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    char byte;
    size_t n = 0;
    int64_t begun;
    open_both(both, &near_end, &far_end);
    memset(&never, 0, sizeof never);
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    alarm(0);
    /* Without SA_RESTART: system calls end with EINTR. */
    sigaction(SIGALRM, &action, NULL);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int which = 0; which < (with_threads ? 5 : 6); which++) {
        int before = signals;
        begun = now_ms();
        switch (which) {
        case 0: EXPECT(nacre_channel_read(near_end, &byte, 1, 150, &n), NACRE_ERR_AGAIN); break;
        case 1: EXPECT(nacre_channel_wait_exit(near_end, 150, &result), NACRE_ERR_AGAIN); break;
        case 2: EXPECT(nacre_transport_accept(both.server, 150, &channel), NACRE_ERR_AGAIN); break;
        case 3: EXPECT(nacre_channel_peek(far_end, &byte, 1, 150, &n), NACRE_ERR_AGAIN); break;
        case 4: {
            nacre_transport *silent = NULL;
            int fds[2];
            socket_pair(fds);
            OK(nacre_transport_from_fd(engine, fds[0], &silent, NULL));
            EXPECT(nacre_transport_start_client(silent, 150, &op), NACRE_ERR_AGAIN);
            EXPECT(nacre_transport_wait(silent, op, 10, &event), NACRE_ERR_AGAIN);
            nacre_transport_free(silent);
            close(fds[1]);
            break;
        }
        default:
            while (nacre_engine_dispatch(engine, 150) != NACRE_ERR_AGAIN) CHECK(now_ms() - begun < SOON);
            break;
        }
        CHECK(now_ms() - begun >= 150);
        CHECK(signals > before);
    }
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    /* The last one may still be on its way. */
    pause_ms(20);
    watchdog(is_short_run() ? 600 : 60);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* Library threads block all signals: they always come here. */
static pthread_t handled_by;
static void note_thread(int signal)
{
    (void)signal;
    handled_by = pthread_self();
}
static void library_threads_block_signals(void)
{
    struct sigaction action;
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    memset(&action, 0, sizeof action);
    action.sa_handler = note_thread;
    sigaction(SIGUSR2, &action, NULL);
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder != NULL);
    int others = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char path[300], line[256];
        int thread = atoi(entry->d_name);
        if (thread == 0 || thread == current_thread()) continue;
        others++;
        snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
        FILE *file = fopen(path, "r");
        unsigned long long blocked = 0;
        if (file == NULL) continue;
        while (fgets(line, sizeof line, file) != NULL) sscanf(line, "SigBlk: %llx", &blocked);
        fclose(file);
        for (int signal = 1; signal <= 31; signal++)
            /* Valgrind keeps those of faults for itself. */
            if (signal != SIGKILL && signal != SIGSTOP &&
                !(is_short_run() && strchr("\x04\x05\x07\x08\x0b", signal) != NULL) && !(blocked >> (signal - 1) & 1))
                FAIL("thread %d does not block signal %d", thread, signal);
    }
    closedir(folder);
    CHECK(with_threads ? others >= 2 : others == 0);
    for (int i = 0; i < 20; i++) {
        memset(&handled_by, 0, sizeof handled_by);
        CHECK(kill(getpid(), SIGUSR2) == 0);
        EVENTUALLY(pthread_equal(handled_by, pthread_self()));
    }
    free_pair(both);
    end_engine(engine);
}

/* --- under fire ------------------------------------------------------------------------------------------------------------ */

static nacre_engine *fired_at;
static int fire_over;
static void *wake_often(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&fire_over, __ATOMIC_ACQUIRE)) {
        OK(nacre_engine_wake(fired_at));
        pause_ms(0);
    }
    return NULL;
}

/* Bytes are neither lost nor doubled by wakes. */
static void nothing_is_lost(void)
{
    enum { BYTES = 200000 };
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    pthread_t ids[3], echo;
    static unsigned char sent[BYTES], got[BYTES];
    size_t written = 0, done = 0, n = 0;
    open_both(both, &near_end, &far_end);
    reader first = {far_end, 0, 0, 0};
    CHECK(pthread_create(&echo, NULL, read_one, &first) == 0);
    OK(nacre_channel_write(near_end, "z", 1, SOON, &n));
    pthread_join(echo, NULL);
    pattern(sent, sizeof sent, 0, 9);
    fired_at = engine;
    fire_over = 0;
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&ids[i], NULL, wake_often, NULL) == 0);
    while (done < BYTES) {
        if (written < BYTES) {
            size_t want = BYTES - written < 3000 ? BYTES - written : 3000;
            nacre_status status = nacre_channel_write_all(near_end, sent + written, want, SOON, &n);
            written += n;
            if (status != NACRE_ERR_INTERRUPTED) OK(status);
        }
        nacre_status status = nacre_channel_read(far_end, got + done, BYTES - done, SOON, &n);
        done += n;
        if (status != NACRE_ERR_INTERRUPTED) OK(status);
    }
    /* The wakes are real: a wait for what does not come ends by one. */
    EXPECT(nacre_channel_read(far_end, got, 1, SOON, &n), NACRE_ERR_INTERRUPTED);
    __atomic_store_n(&fire_over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) pthread_join(ids[i], NULL);
    CHECK(memcmp(sent, got, BYTES) == 0);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    nacre_engine_free(engine);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    host_key();
    int fds = descriptors(), tasks = threads();
    RUN(every_call);
    RUN(a_dial);
    RUN(sticky_once);
    RUN(all_waits_at_once);
    RUN(one_channel_only);
    RUN(signals_end_no_wait);
    RUN(library_threads_block_signals);
    RUN(nothing_is_lost);
    EVENTUALLY(threads() == tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
