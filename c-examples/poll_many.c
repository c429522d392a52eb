/*
 * Runs a command on many servers at once: one thread, one poll loop, no threads of the library. Every step is begun with
 * timeout 0, and its end comes as an event.
 */
static const char program[] = "poll_many";

#include "login.h"

#include <errno.h>
#include <poll.h>

typedef struct {
    const char *address;
    nacre_transport *transport;
    nacre_channel *channel;
    uint64_t connecting, opening, starting;
    int code;
} host;

static size_t left;
static int verbose;

static void usage(FILE *out) {
    fprintf(out,
            "usage: poll_many [option ...] COMMAND HOST[:PORT] ...\n"
            "Runs COMMAND on every HOST at once; each line of its output comes with the name of its host.\n"
            "The exit status is 0 when it is so everywhere, else 1, or 255.\n%s%s",
            login_usage, algorithms_usage);
}

static void finish(host *host, int code) {
    if (host->transport == NULL) return;
    host->code = code;
    nacre_channel_free(host->channel);
    nacre_transport_free(host->transport);
    host->transport = NULL;
    left--;
}

static void give_up(host *host, nacre_status status, uint64_t op) {
    nacre_error *err = NULL;
    nacre_transport_take_error(host->transport, op, &err);
    finish(host, failed(host->address, status, err));
}

/* Dials, and logs in as soon as there is a connection: what is called on a transport that connects waits its turn. */
static void begin(host *host, nacre_engine *engine, const login *login) {
    nacre_error *err = NULL;
    nacre_status status = nacre_transport_dial(engine, host->address, 0, &host->transport, NULL, &err);
    if (host->transport == NULL) {
        host->code = failed(host->address, status, err);
        left--;
        return;
    }
    nacre_transport_set_userdata(host->transport, host, NULL);
    status = login_connect(login, host->transport, host->address, 0, &host->connecting);
    if (status != NACRE_ERR_AGAIN) give_up(host, status, host->connecting);
}

/* Opens the channel and starts the command on it, at once. */
static void start(host *host, const char *command) {
    nacre_status status = nacre_transport_open_session(host->transport, 0, &host->channel, &host->opening);
    if (status == NACRE_OK || status == NACRE_ERR_AGAIN) {
        nacre_channel_set_stderr(host->channel, NACRE_STDERR_COMBINE);
        status = nacre_channel_exec(host->channel, command, 0, &host->starting);
    }
    if (status != NACRE_OK && status != NACRE_ERR_AGAIN) give_up(host, status, 0);
}

/* Everything that is there. Each event that tells of data stands for all of it. */
static void pass_output(host *host) {
    char buf[16384];
    size_t n;
    nacre_status status;
    while ((status = nacre_channel_read(host->channel, buf, sizeof buf, 0, &n)) == NACRE_OK) {
        for (char *line = buf, *end; line < buf + n; line = end + 1) {
            end = memchr(line, '\n', (size_t)(buf + n - line));
            if (end == NULL) end = buf + n;
            printf("%s: %.*s\n", host->address, (int)(end - line), line);
        }
    }
    if (status == NACRE_ERR_AGAIN) return;
    if (status != NACRE_ERR_EOF) {
        give_up(host, status, 0);
        return;
    }
    nacre_exit ended = NACRE_INIT(nacre_exit);
    status = nacre_channel_wait_exit(host->channel, 0, &ended);
    if (status == NACRE_ERR_AGAIN) return;
    finish(host, status == NACRE_OK && ended.kind == NACRE_EXIT_STATUS ? (int)ended.status : 255);
}

static void handle(const nacre_event *event, const char *command) {
    host *host = event->transport_userdata;
    if (host == NULL || host->transport == NULL) return;
    switch (event->kind) {
    case NACRE_EVENT_AUTH_RESULT:
        if (event->status != NACRE_OK) {
            give_up(host, event->status, event->op);
        } else {
            if (verbose) login_describe(host->transport);
            start(host, command);
        }
        break;
    case NACRE_EVENT_OPERATION_DONE:
        if (event->status != NACRE_OK) give_up(host, event->status, event->op);
        break;
    case NACRE_EVENT_CHANNEL_READABLE:
    case NACRE_EVENT_CHANNEL_EXIT:
    case NACRE_EVENT_CHANNEL_CLOSED: pass_output(host); break;
    case NACRE_EVENT_DISCONNECTED: give_up(host, event->status, 0); break;
    default: break;
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {LOGIN_OPTIONS, {NULL, 0, NULL, 0}};
    login login = {0};
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'h') return usage(stdout), 0;
        if (!login_option(&login, option, optarg)) return usage(stderr), 255;
    }
    if (argc - optind < 2) return usage(stderr), 255;
    login_check(&login);
    verbose = login.verbose;

    const char *command = argv[optind];
    size_t count = (size_t)(argc - optind - 1);
    host *hosts = calloc(count, sizeof *hosts);
    nacre_engine_options engine_options = NACRE_INIT(nacre_engine_options);
    engine_options.threads = 0;
    nacre_engine *engine = NULL;
    int fd;
    nacre_status status = nacre_engine_new(&engine_options, &engine);
    if (status == NACRE_OK) status = nacre_engine_fd(engine, &fd);
    if (status != NACRE_OK || hosts == NULL) return failed("cannot make an engine", status, NULL);

    left = count;
    for (size_t i = 0; i < count; i++) {
        hosts[i].address = argv[optind + 1 + (int)i];
        begin(&hosts[i], engine, &login);
    }
    while (left > 0) {
        nacre_event event = NACRE_INIT(nacre_event);
        struct pollfd ready = {fd, POLLIN, 0};
        if (poll(&ready, 1, -1) < 0 && errno != EINTR) return perror("poll_many"), 255;
        nacre_engine_dispatch(engine, 0);
        while (nacre_engine_next_event(engine, &event) == NACRE_OK) {
            handle(&event, command);
            nacre_message_free(event.message);
        }
    }

    int code = 0;
    for (size_t i = 0; i < count; i++) {
        if (hosts[i].code != 0) code = hosts[i].code == 255 ? 255 : code == 255 ? 255 : 1;
    }
    nacre_engine_close(engine, 1000);
    nacre_engine_free(engine);
    login_free(&login);
    free(hosts);
    return code;
}
