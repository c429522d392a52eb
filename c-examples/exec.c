/*
 * Runs a command on a server, with input, output, error output and exit status passed on: one thread for each stream,
 * all on the same channel.
 */
static const char program[] = "exec";

#include "login.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static void usage(FILE *out) {
    fprintf(out,
            "usage: exec [option ...] HOST[:PORT] COMMAND\n"
            "Runs COMMAND on HOST. The exit status is that of COMMAND, or 255.\n%s%s",
            login_usage, algorithms_usage);
}

static int write_fully(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -1;
        data += written;
        len -= (size_t)written;
    }
    return 0;
}

/* Our input to the command, until either ends. */
static void *pass_input(void *argument) {
    nacre_channel *channel = argument;
    static char buf[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, buf, sizeof buf)) > 0 || (got < 0 && errno == EINTR)) {
        size_t n;
        if (got > 0 && nacre_channel_write_all(channel, buf, (size_t)got, -1, &n) != NACRE_OK) break;
    }
    nacre_channel_send_eof(channel);
    nacre_channel_free(channel);
    return NULL;
}

typedef nacre_status (*reader)(nacre_channel *, void *, size_t, int32_t, size_t *);

/* A stream of the command to a descriptor of ours, to its end. */
static int pass_output(nacre_channel *channel, reader read_from, int fd, char *buf, size_t size) {
    size_t n;
    nacre_status status;
    while ((status = read_from(channel, buf, size, -1, &n)) == NACRE_OK) {
        if (write_fully(fd, buf, n) != 0) {
            fprintf(stderr, "exec: cannot write: %s\n", strerror(errno));
            return 255;
        }
    }
    return status == NACRE_ERR_EOF ? 0 : failed("the connection was lost", status, NULL);
}

static void *pass_errors(void *argument) {
    static char buf[16384];
    pass_output(argument, nacre_channel_read_stderr, STDERR_FILENO, buf, sizeof buf);
    return NULL;
}

static int run(nacre_channel *channel) {
    static char buf[131072];
    pthread_t input, errors;
    /* The input's thread may sit in read() for ever: it gets an owner of the channel for itself, and nobody joins it. */
    nacre_channel_ref(channel);
    if (pthread_create(&input, NULL, pass_input, channel) != 0 ||
        pthread_create(&errors, NULL, pass_errors, channel) != 0) {
        fprintf(stderr, "exec: cannot start a thread\n");
        return 255;
    }
    pthread_detach(input);
    int code = pass_output(channel, nacre_channel_read, STDOUT_FILENO, buf, sizeof buf);
    pthread_join(errors, NULL);
    if (code != 0) return code;
    nacre_exit ended = NACRE_INIT(nacre_exit);
    nacre_status status = nacre_channel_wait_exit(channel, -1, &ended);
    if (status != NACRE_OK) return failed("the command ended without an exit status", status, NULL);
    if (ended.kind == NACRE_EXIT_SIGNAL) {
        fprintf(stderr, "exec: the command was ended by SIG%s%s\n", ended.signal, ended.core_dumped ? " (core dumped)" : "");
        return 255;
    }
    return (int)ended.status;
}

int main(int argc, char **argv) {
    static const struct option options[] = {LOGIN_OPTIONS, {NULL, 0, NULL, 0}};
    login login = {0};
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'h') return usage(stdout), 0;
        if (!login_option(&login, option, optarg)) return usage(stderr), 255;
    }
    if (argc - optind != 2) return usage(stderr), 255;
    login_check(&login);

    const char *address = argv[optind], *command = argv[optind + 1];
    nacre_error *err = NULL;
    nacre_transport *transport = NULL;
    nacre_channel *channel = NULL;
    nacre_status status = nacre_transport_dial(NULL, address, -1, &transport, NULL, &err);
    if (status != NACRE_OK) return failed(address, status, err);
    status = login_connect(&login, transport, address, -1, NULL);
    if (status != NACRE_OK) return transport_failed(address, status, transport);
    login_remembered(&login);
    if (login.verbose) login_describe(transport);
    status = nacre_transport_open_session(transport, -1, &channel, NULL);
    if (status != NACRE_OK) return transport_failed("cannot open a channel", status, transport);
    status = nacre_channel_exec(channel, command, -1, NULL);
    if (status != NACRE_OK) return transport_failed("cannot run the command", status, transport);

    int code = run(channel);
    nacre_channel_free(channel);
    nacre_transport_close(transport);
    nacre_transport_flush(transport, 1000);
    nacre_transport_free(transport);
    login_free(&login);
    return code;
}
