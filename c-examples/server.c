/*
 * A server: one user, who logs in with a password or a key and runs commands and shells as whoever started this program.
 *
 * One thread does everything: an engine without threads, and one poll loop over the listening socket, the engine and the
 * pipes and terminals of the child processes. Signal handlers only note what happened and wake the engine.
 */
#include "algorithms.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <nacre.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_KEYS = 64, MAX_ENV = 32, CHUNK = 65536 };

/* Data on its way from one descriptor or stream to the other. */
typedef struct {
    int fd;
    size_t from, to;
    char data[CHUNK];
} flow;

/* A session channel and its command. */
typedef struct job {
    struct job *next;
    nacre_transport *transport;
    nacre_channel *channel;
    pid_t pid;                 /* 0: none was started, or it was waited for */
    int started, exited, status, finished;
    int has_terminal;
    struct winsize size;
    char *environment[MAX_ENV]; /* NAME=VALUE */
    size_t environment_count;
    flow input, output, errors;
    int readable, eof; /* what the channel has for us */
} job;

static const char *user, *password;
static nacre_key *host_keys[MAX_KEYS], *authorized[MAX_KEYS];
static size_t host_key_count, authorized_count, connections;
static algorithms algorithms_asked_for;
static unsigned long long rekey_bytes;
/* Of users' security keys: whether they have to be touched, and to make sure who their user is. */
static int touch = 1, verify;
static int once, verbose;
static nacre_engine *engine;
static job *jobs;
static volatile sig_atomic_t ending;

static void say(const char *format, ...) {
    va_list arguments;
    if (!verbose) return;
    va_start(arguments, format);
    fprintf(stderr, "server: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
}

static int fail(const char *what, nacre_status status, nacre_error *err) {
    char text[1024];
    if (err == NULL || nacre_error_text(err, text, sizeof text, NULL) != NACRE_OK) {
        snprintf(text, sizeof text, "%s", nacre_status_text(status));
    }
    fprintf(stderr, "server: %s: %s\n", what, text);
    nacre_error_free(err);
    return 1;
}

static void on_signal(int number) {
    int saved = errno;
    if (number != SIGCHLD) ending = 1;
    nacre_engine_wake(engine);
    errno = saved;
}

/* --- who may log in ---------------------------------------------------------------------------------------------- */

/* Takes as long for a wrong password as for the right one. */
static int equal(const char *given, const char *right) {
    size_t len = strlen(given), other = strlen(right);
    unsigned char different = len != other;
    for (size_t i = 0; i < len; i++) different |= (unsigned char)(given[i] ^ right[other ? i % other : 0]);
    return !different;
}

static nacre_decision auth_password(void *userdata, nacre_transport *transport, const char *name, const char *given,
                                    nacre_ticket *ticket) {
    (void)userdata, (void)transport, (void)ticket;
    int right = equal(given, password);
    return right && strcmp(name, user) == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}

/* Keyboard-interactive, for clients that offer nothing else: one prompt, for the password. */
static nacre_decision auth_interactive(void *userdata, nacre_transport *transport, const char *name,
                                       const char *submethods, nacre_ticket *ticket) {
    static const char *const prompts[] = {"Password: "};
    static const int32_t echo[] = {0};
    (void)userdata, (void)transport, (void)name, (void)submethods;
    nacre_ticket_answer_prompts(ticket, "", "", prompts, echo, 1);
    return NACRE_ACCEPT;
}

static nacre_decision auth_interactive_answers(void *userdata, nacre_transport *transport, const char *name,
                                               nacre_ticket *ticket) {
    char given[1024] = "";
    size_t count = 0, needed = 0;
    nacre_ticket_text_count(ticket, &count);
    if (count != 1 || nacre_ticket_text(ticket, 0, given, sizeof given, &needed) != NACRE_OK) return NACRE_REJECT;
    /* An answer may hold a NUL: then it is longer than C takes it for. */
    nacre_decision decision = NACRE_REJECT;
    if (needed == strlen(given) + 1) decision = auth_password(userdata, transport, name, given, ticket);
    memset(given, 0, sizeof given);
    return decision;
}

/* Asked before and after the signature; nacre lets the user in only after it, so both may get the same answer. */
static nacre_decision auth_publickey(void *userdata, nacre_transport *transport, const char *name, const nacre_key *key,
                                     int32_t verified, nacre_ticket *ticket) {
    uint32_t flags = 0, counter = 0;
    (void)userdata, (void)transport, (void)verified;
    if (strcmp(name, user) != 0) return NACRE_REJECT;
    if (nacre_ticket_security_key(ticket, &flags, &counter) == NACRE_OK) {
        say("security key: %stouched, user %sverified, counter %u", flags & NACRE_SECURITY_KEY_PRESENT ? "" : "not ",
            flags & NACRE_SECURITY_KEY_VERIFIED ? "" : "not ", (unsigned)counter);
    }
    for (size_t i = 0; i < authorized_count; i++) {
        int32_t same = 0;
        if (nacre_key_equal(key, authorized[i], &same) == NACRE_OK && same) return NACRE_ACCEPT;
    }
    return NACRE_REJECT;
}

static void authenticated(void *userdata, nacre_transport *transport, const char *name) {
    (void)userdata;
    char version[300] = "";
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    if (nacre_transport_negotiated(transport, &info) != NACRE_OK) return;
    nacre_transport_remote_version(transport, version, sizeof version, NULL);
    say("%s is logged in from %s", name, version);
    say("host key %s, key exchange %s%s", info.host_key, info.kex, info.strict_kex ? ", strict" : "");
    say("cipher %s %s, compression %s", info.cipher_out, info.mac_out, info.compression_out);
}

/* --- what a session asks for ------------------------------------------------------------------------------------- */

static nacre_decision channel_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                   const void *data, size_t len, nacre_ticket *ticket) {
    (void)userdata, (void)data, (void)len, (void)ticket;
    job *job = strcmp(kind, "session") == 0 ? calloc(1, sizeof *job) : NULL;
    if (job == NULL) return NACRE_REJECT;
    job->transport = transport;
    job->channel = channel;
    job->input.fd = job->output.fd = job->errors.fd = -1;
    job->next = jobs;
    jobs = job;
    nacre_channel_set_userdata(channel, job, NULL);
    return NACRE_KEEP;
}

static void add_environment(job *job, const char *name, const char *value) {
    size_t len = strlen(name) + strlen(value) + 2;
    if (job->environment_count == MAX_ENV) return;
    char *line = malloc(len);
    if (line == NULL) return;
    snprintf(line, len, "%s=%s", name, value);
    job->environment[job->environment_count++] = line;
}

/* In the child: becomes the command, or the shell when there is none. Descriptors of nacre are close-on-exec. */
static void become(const job *job, const char *command) {
    struct passwd *self = getpwuid(getuid());
    const char *shell = self != NULL && self->pw_shell[0] != '\0' ? self->pw_shell : "/bin/sh";
    const char *name = strrchr(shell, '/') != NULL ? strrchr(shell, '/') + 1 : shell;
    char login_name[256];
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < job->environment_count; i++) putenv(job->environment[i]);
    setenv("USER", user, 1);
    setenv("LOGNAME", user, 1);
    setenv("SHELL", shell, 1);
    if (self != NULL) {
        setenv("HOME", self->pw_dir, 1);
        if (chdir(self->pw_dir) != 0 && chdir("/") != 0) _exit(126);
    }
    if (command != NULL) {
        execl(shell, name, "-c", command, (char *)NULL);
    } else {
        snprintf(login_name, sizeof login_name, "-%s", name);
        execl(shell, login_name, (char *)NULL);
    }
    _exit(127);
}

static void prepare(flow *flow, int fd) {
    flow->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int start_on_terminal(job *job, const char *command) {
    int master;
    pid_t pid = forkpty(&master, NULL, NULL, &job->size);
    if (pid < 0) return -1;
    if (pid == 0) become(job, command);
    job->pid = pid;
    prepare(&job->input, master);
    prepare(&job->output, fcntl(master, F_DUPFD_CLOEXEC, 0));
    return 0;
}

static int start_on_pipes(job *job, const char *command) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    pid_t pid = -1;
    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0) pid = fork();
    if (pid == 0) {
        setsid();
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0) _exit(126);
        become(job, command);
    }
    if (in[0] >= 0) close(in[0]);
    if (out[1] >= 0) close(out[1]);
    if (err[1] >= 0) close(err[1]);
    if (pid < 0) {
        if (in[1] >= 0) close(in[1]);
        if (out[0] >= 0) close(out[0]);
        if (err[0] >= 0) close(err[0]);
        return -1;
    }
    job->pid = pid;
    prepare(&job->input, in[1]);
    prepare(&job->output, out[0]);
    prepare(&job->errors, err[0]);
    return 0;
}

static nacre_decision start(job *job, const char *command) {
    if (job->started) return NACRE_REJECT;
    if ((job->has_terminal ? start_on_terminal : start_on_pipes)(job, command) != 0) return NACRE_REJECT;
    job->started = 1;
    say("started %s", command != NULL ? command : "a shell");
    return NACRE_ACCEPT;
}

static void resize(job *job, const nacre_request *request) {
    job->size.ws_col = (unsigned short)request->columns;
    job->size.ws_row = (unsigned short)request->rows;
    job->size.ws_xpixel = (unsigned short)request->width_pixels;
    job->size.ws_ypixel = (unsigned short)request->height_pixels;
    if (job->has_terminal && job->input.fd >= 0) ioctl(job->input.fd, TIOCSWINSZ, &job->size);
}

static void send_signal(const job *job, const char *name) {
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"TERM", SIGTERM},
                   {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"ALRM", SIGALRM}};
    for (size_t i = 0; job->pid > 0 && i < sizeof signals / sizeof *signals; i++) {
        if (strcmp(signals[i].name, name) == 0) kill(-job->pid, signals[i].number);
    }
}

static nacre_decision channel_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                      const nacre_request *request, nacre_ticket *ticket) {
    (void)userdata, (void)transport, (void)ticket;
    job *job = nacre_channel_userdata(channel);
    if (job == NULL) return NACRE_REJECT;
    switch (request->kind) {
    case NACRE_REQUEST_PTY:
        job->has_terminal = 1;
        add_environment(job, "TERM", request->text);
        resize(job, request);
        return NACRE_ACCEPT;
    case NACRE_REQUEST_SHELL: return start(job, NULL);
    case NACRE_REQUEST_EXEC: return start(job, request->text);
    case NACRE_REQUEST_ENV:
        if (strcmp(request->text, "LANG") != 0 && strncmp(request->text, "LC_", 3) != 0) return NACRE_REJECT;
        add_environment(job, request->text, request->value);
        return NACRE_ACCEPT;
    case NACRE_REQUEST_WINDOW_CHANGE: resize(job, request); return NACRE_ACCEPT;
    case NACRE_REQUEST_SIGNAL: send_signal(job, request->text); return NACRE_ACCEPT;
    default: return NACRE_REJECT;
    }
}

/* --- the data of the children ------------------------------------------------------------------------------------ */

static void close_flow(flow *flow) {
    if (flow->fd >= 0) close(flow->fd);
    flow->fd = -1;
    flow->from = flow->to = 0;
}

static int idle(const flow *flow) { return flow->from == flow->to; }

/* From the channel to the child, as much as goes. */
static void feed(job *job) {
    flow *flow = &job->input;
    while (flow->fd >= 0) {
        if (idle(flow)) {
            flow->from = flow->to = 0;
            if (!job->readable) return;
            size_t n;
            nacre_status status = nacre_channel_read(job->channel, flow->data, sizeof flow->data, 0, &n);
            flow->to = n;
            if (status == NACRE_ERR_AGAIN) {
                job->readable = 0;
                return;
            }
            if (status != NACRE_OK) {
                /* A terminal is not closed at the end of the input: it is told of it. */
                job->readable = 0;
                job->eof = 1;
                if (!job->has_terminal) {
                    close_flow(flow);
                    return;
                }
                flow->data[0] = 4;
                flow->to = 1;
            }
        }
        ssize_t written = write(flow->fd, flow->data + flow->from, flow->to - flow->from);
        if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (written < 0) {
            close_flow(flow);
            return;
        }
        flow->from += (size_t)written;
    }
}

typedef nacre_status (*writer)(nacre_channel *, const void *, size_t, int32_t, size_t *);

/* From the child to the channel, as much as goes. */
static void drain(job *job, flow *flow, writer write_to) {
    while (flow->fd >= 0) {
        if (idle(flow)) {
            flow->from = flow->to = 0;
            ssize_t got = read(flow->fd, flow->data, sizeof flow->data);
            int later = got < 0 && (errno == EAGAIN || errno == EINTR);
            /* A terminal may be held open by what the command left behind: its end is the command's. */
            if (later && !(job->has_terminal && job->exited)) return;
            if (got <= 0) {
                close_flow(flow);
                return;
            }
            flow->to = (size_t)got;
        }
        size_t n;
        nacre_status status = write_to(job->channel, flow->data + flow->from, flow->to - flow->from, 0, &n);
        flow->from += n;
        if (status == NACRE_ERR_AGAIN) return;
        if (status != NACRE_OK) close_flow(flow);
    }
}

static const char *signal_name(int number) {
    switch (number) {
    case SIGHUP: return "HUP";
    case SIGINT: return "INT";
    case SIGQUIT: return "QUIT";
    case SIGILL: return "ILL";
    case SIGABRT: return "ABRT";
    case SIGFPE: return "FPE";
    case SIGKILL: return "KILL";
    case SIGSEGV: return "SEGV";
    case SIGPIPE: return "PIPE";
    case SIGALRM: return "ALRM";
    case SIGTERM: return "TERM";
    case SIGUSR1: return "USR1";
    case SIGUSR2: return "USR2";
    default: return "TERM";
    }
}

/* When the child has ended and all it wrote is on its way, the client hears how it ended. */
static void finish(job *job) {
    if (job->finished || !job->exited || job->output.fd >= 0 || job->errors.fd >= 0) return;
    job->finished = 1;
    close_flow(&job->input);
    if (WIFSIGNALED(job->status)) {
        int dumped = WCOREDUMP(job->status) ? 1 : 0;
        nacre_channel_send_eof(job->channel);
        nacre_channel_send_exit_signal(job->channel, signal_name(WTERMSIG(job->status)), dumped, NULL);
        nacre_channel_close(job->channel);
    } else {
        nacre_channel_finish(job->channel, (uint32_t)WEXITSTATUS(job->status));
    }
}

static void move(job *job) {
    feed(job);
    drain(job, &job->output, nacre_channel_write);
    drain(job, &job->errors, nacre_channel_write_stderr);
    finish(job);
}

static void end_job(job *gone) {
    job **at = &jobs;
    while (*at != gone) at = &(*at)->next;
    *at = gone->next;
    if (gone->pid > 0) kill(-gone->pid, SIGHUP);
    close_flow(&gone->input);
    close_flow(&gone->output);
    close_flow(&gone->errors);
    for (size_t i = 0; i < gone->environment_count; i++) free(gone->environment[i]);
    nacre_channel_free(gone->channel);
    free(gone);
}

static void reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (job *job = jobs; job != NULL; job = job->next) {
            if (job->pid != pid) continue;
            job->pid = 0;
            job->exited = 1;
            job->status = status;
            move(job);
        }
    }
}

/* --- connections ------------------------------------------------------------------------------------------------- */

/* What the options say, for one connection. */
static nacre_status apply_options(nacre_transport *transport) {
    nacre_status status = algorithms_apply(&algorithms_asked_for, transport);
    if (status == NACRE_OK) {
        status = nacre_transport_set_signature_rules(transport, algorithms_asked_for.rsa_bits, touch, verify);
    }
    for (size_t i = 0; i < host_key_count && status == NACRE_OK; i++) {
        status = nacre_transport_add_host_key(transport, host_keys[i]);
    }
    if (status == NACRE_OK && rekey_bytes > 0) status = nacre_transport_set_rekey_limits(transport, rekey_bytes, 0, 0);
    return status;
}

static int fail_transport(const char *what, nacre_transport *transport, nacre_status status) {
    nacre_error *err = NULL;
    nacre_transport_take_error(transport, 0, &err);
    nacre_transport_free(transport);
    return fail(what, status, err);
}

/* Whether a connection could start at all: what is wrong with the options is said before the first client comes. */
static int check_options(void) {
    int pair[2];
    nacre_transport *transport;
    nacre_error *err;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return perror("server"), 1;
    close(pair[1]);
    nacre_status status = nacre_transport_from_fd(engine, pair[0], &transport, &err);
    if (status != NACRE_OK) return close(pair[0]), fail("options", status, err);
    status = apply_options(transport);
    if (status != NACRE_OK) return fail_transport("options", transport, status);
    nacre_transport_free(transport);
    return 0;
}

static void accept_connection(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    if (password != NULL) {
        callbacks.auth_password = auth_password;
        callbacks.auth_interactive = auth_interactive;
        callbacks.auth_interactive_answers = auth_interactive_answers;
    }
    callbacks.auth_publickey = authorized_count > 0 ? auth_publickey : NULL;
    callbacks.authenticated = authenticated;
    callbacks.channel_open = channel_open;
    callbacks.channel_request = channel_request;
    nacre_transport *transport;
    nacre_error *err;
    nacre_status status = nacre_transport_from_fd(engine, fd, &transport, &err);
    if (status != NACRE_OK) {
        fail("connection", status, err);
        close(fd);
        return;
    }
    status = apply_options(transport);
    if (status == NACRE_OK) status = nacre_transport_start_server(transport, &callbacks, 0, NULL);
    if (status != NACRE_OK && status != NACRE_ERR_AGAIN) {
        fail_transport("connection", transport, status);
        return;
    }
    connections++;
}

static void end_connection(nacre_transport *transport) {
    nacre_error *err = NULL;
    char text[512] = "";
    for (job *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (job->transport == transport) end_job(job);
    }
    if (nacre_transport_take_error(transport, 0, &err) == NACRE_OK) nacre_error_text(err, text, sizeof text, NULL);
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    nacre_transport_negotiated(transport, &info);
    say("the connection is over: %s (rekeys %llu)", text, (unsigned long long)info.rekeys);
    nacre_error_free(err);
    nacre_transport_free(transport);
    connections--;
    if (once) ending = 1;
}

static void handle(const nacre_event *event) {
    job *job = event->channel_userdata;
    switch (event->kind) {
    case NACRE_EVENT_CHANNEL_READABLE:
        job->readable = 1;
        move(job);
        break;
    case NACRE_EVENT_CHANNEL_WRITABLE: move(job); break;
    case NACRE_EVENT_CHANNEL_CLOSED: end_job(job); break;
    case NACRE_EVENT_DISCONNECTED: end_connection(event->transport); break;
    default: break;
    }
}

static void take_events(void) {
    nacre_event event = NACRE_INIT(nacre_event);
    while (nacre_engine_next_event(engine, &event) == NACRE_OK) {
        handle(&event);
        nacre_message_free(event.message);
    }
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static struct pollfd *polled;
static size_t polled_count, polled_room;

static void watch(int fd, short events) {
    if (polled_count == polled_room) {
        polled_room = polled_room ? polled_room * 2 : 64;
        polled = realloc(polled, polled_room * sizeof *polled);
        if (polled == NULL) abort();
    }
    polled[polled_count++] = (struct pollfd){fd, events, 0};
}

static int serve(int listener) {
    int engine_fd;
    nacre_status status = nacre_engine_fd(engine, &engine_fd);
    if (status != NACRE_OK) return fail("engine", status, NULL);
    while (!ending) {
        polled_count = 0;
        watch(engine_fd, POLLIN);
        watch(once && connections > 0 ? -1 : listener, POLLIN);
        for (job *job = jobs; job != NULL; job = job->next) {
            watch(idle(&job->input) ? -1 : job->input.fd, POLLOUT);
            watch(idle(&job->output) ? job->output.fd : -1, POLLIN);
            watch(idle(&job->errors) ? job->errors.fd : -1, POLLIN);
        }
        if (poll(polled, polled_count, -1) < 0 && errno != EINTR) return perror("server: poll"), 1;
        if (polled[1].revents) accept_connection(listener);
        for (job *job = jobs; job != NULL; job = job->next) move(job);
        nacre_engine_dispatch(engine, 0);
        reap();
        take_events();
    }
    return 0;
}

static int listen_on(const char *address, const char *port) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(address, port, &hints, &found), yes = 1;
    if (error != 0) return fprintf(stderr, "server: %s:%s: %s\n", address, port, gai_strerror(error)), -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 128) != 0) {
        fprintf(stderr, "server: %s:%s: %s\n", address, port, strerror(errno));
        freeaddrinfo(found);
        return -1;
    }
    freeaddrinfo(found);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char host[NI_MAXHOST], number[NI_MAXSERV];
    getsockname(fd, (struct sockaddr *)&bound, &len);
    getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, number, sizeof number, NI_NUMERICHOST | NI_NUMERICSERV);
    printf("listening on %s%s%s:%s\n", strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "", number);
    fflush(stdout);
    return fd;
}

static void load_authorized_keys(const char *path) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    if (file == NULL) {
        fprintf(stderr, "server: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    for (int number = 1; (len = getline(&line, &room, file)) >= 0; number++) {
        nacre_error *err = NULL;
        if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#' || authorized_count == MAX_KEYS) continue;
        nacre_status status = nacre_key_load_memory(line, (size_t)len, NULL, &authorized[authorized_count], &err);
        if (status == NACRE_OK) {
            authorized_count++;
        } else {
            fprintf(stderr, "server: line %d: ", number);
            fail(path, status, err);
        }
    }
    free(line);
    fclose(file);
}

static void load_host_key(const char *path) {
    nacre_error *err;
    nacre_key **key = &host_keys[host_key_count];
    if (host_key_count == MAX_KEYS) exit(fail(path, NACRE_ERR_LIMIT, NULL));
    nacre_status status = nacre_key_load_file(path, NULL, key, &err);
    if (status != NACRE_OK) exit(fail(path, status, err));
    if (!nacre_key_is_private(*key)) exit(fail(path, NACRE_ERR_KEY_FORMAT, NULL));
    host_key_count++;
}

static void usage(FILE *out) {
    fprintf(out, "usage: server --port P --hostkey FILE --user NAME [option ...]\n"
                 "Serves one user; commands and shells run as whoever started it.\n"
                 "  --port P                listen on this port; 0: any, the first line of output says which\n"
                 "  --address A             listen on this address (127.0.0.1)\n"
                 "  --hostkey FILE          the server's private key; again for more keys, of other types\n"
                 "  --user NAME             the user that may log in\n"
                 "  --password PW           with this password\n"
                 "  --authorized-keys FILE  with these keys\n"
                 "  --no-touch              security keys need not be touched\n"
                 "  --verify                security keys have to make sure who their user is\n"
                 "  --rekey-bytes N         new keys after so many bytes (1 GiB)\n"
                 "  --once                  end after the first connection\n"
                 "  --verbose               say what happens\n"
                 "  --help                  say this\n"
                 "%s", algorithms_usage);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},     {"address", required_argument, NULL, 'a'},
        {"hostkey", required_argument, NULL, 'H'},  {"user", required_argument, NULL, 'u'},
        {"password", required_argument, NULL, 'w'}, {"authorized-keys", required_argument, NULL, 'k'},
        {"rekey-bytes", required_argument, NULL, 'r'}, {"once", no_argument, NULL, 'o'},
        {"no-touch", no_argument, NULL, 't'},       {"verify", no_argument, NULL, 'V'},
        {"verbose", no_argument, NULL, 'v'},        {"help", no_argument, NULL, 'h'},
        ALGORITHM_LISTS,                            {NULL, 0, NULL, 0}};
    const char *address = "127.0.0.1", *port = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': port = optarg; break;
        case 'a': address = optarg; break;
        case 'H': load_host_key(optarg); break;
        case 'u': user = optarg; break;
        case 'w': password = optarg; break;
        case 'k': load_authorized_keys(optarg); break;
        case 'r': rekey_bytes = strtoull(optarg, NULL, 10); break;
        case 't': touch = 0; break;
        case 'V': verify = 1; break;
        case 'o': once = 1; break;
        case 'v': verbose = 1; break;
        case 'h': return usage(stdout), 0;
        default:
            if (!algorithms_option(&algorithms_asked_for, option, optarg)) return usage(stderr), 1;
        }
    }
    if (port == NULL || host_key_count == 0 || user == NULL || optind != argc || (!password && !authorized_count)) {
        return usage(stderr), 1;
    }
    nacre_engine_options engine_options = NACRE_INIT(nacre_engine_options);
    engine_options.threads = 0;
    nacre_status status = nacre_engine_new(&engine_options, &engine);
    if (status != NACRE_OK) return fail("engine", status, NULL);
    if (check_options() != 0) return 1;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(address, port);
    if (listener < 0) return 1;

    int code = serve(listener);
    close(listener);
    while (jobs != NULL) end_job(jobs);
    /* Children that end meanwhile wake the engine: that ends the wait, not the closing. */
    while (nacre_engine_close(engine, 2000) == NACRE_ERR_INTERRUPTED) continue;
    take_events();
    nacre_engine_free(engine);
    for (size_t i = 0; i < host_key_count; i++) nacre_key_free(host_keys[i]);
    for (size_t i = 0; i < authorized_count; i++) nacre_key_free(authorized[i]);
    free(polled);
    return code;
}
