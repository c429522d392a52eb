/*
 * An interactive shell on a server: the terminal in raw mode, its size followed, one poll loop over the terminal and the
 * descriptors of the channel.
 */
static const char program[] = "shell";

#include "login.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static int resized[2];

static void usage(FILE *out) {
    fprintf(out,
            "usage: shell [option ...] HOST[:PORT]\n"
            "Runs your shell on HOST. The exit status is the shell's, or 255.\n%s%s",
            login_usage, algorithms_usage);
}

static void restore_terminal(void) { tcsetattr(STDIN_FILENO, TCSADRAIN, &before); }

static void make_terminal_raw(void) {
    if (tcgetattr(STDIN_FILENO, &before) != 0) return;
    struct termios raw = before;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    atexit(restore_terminal);
}

static void on_resize(int number) {
    int saved = errno;
    (void)number;
    ssize_t ignored = write(resized[1], "", 1);
    (void)ignored;
    errno = saved;
}

static struct winsize terminal_size(void) {
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    return size;
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

/* What the shell wrote, as far as it is there: 0 while it may write more, 1 at its end. */
static int pass_output(nacre_channel *channel, nacre_status *status) {
    static char buf[65536];
    size_t n;
    while ((*status = nacre_channel_read(channel, buf, sizeof buf, 0, &n)) == NACRE_OK) {
        if (write_fully(STDOUT_FILENO, buf, n) != 0) return 1;
    }
    return *status != NACRE_ERR_AGAIN;
}

/* Until the shell ends: everything that is typed goes to it, everything that it writes comes here. */
static nacre_status pass_everything(nacre_channel *channel) {
    static char input[16384];
    size_t from = 0, to = 0;
    int open = 1, readable, writable;
    nacre_status status = nacre_channel_event_fd(channel, NACRE_CHANNEL_READ, &readable);
    if (status == NACRE_OK) status = nacre_channel_event_fd(channel, NACRE_CHANNEL_WRITE, &writable);
    if (status != NACRE_OK) return status;
    for (;;) {
        struct pollfd fds[] = {
            {readable, POLLIN, 0},
            {resized[0], POLLIN, 0},
            {from < to ? writable : -1, POLLIN, 0},
            {open && from == to ? STDIN_FILENO : -1, POLLIN, 0},
        };
        if (poll(fds, 4, -1) < 0 && errno != EINTR) return NACRE_ERR_IO;
        if (fds[0].revents && pass_output(channel, &status)) return status;
        if (fds[1].revents) {
            char ignored[64];
            if (read(resized[0], ignored, sizeof ignored) > 0) {
                struct winsize size = terminal_size();
                nacre_channel_resize(channel, size.ws_col, size.ws_row, size.ws_xpixel, size.ws_ypixel);
            }
        }
        if (fds[3].revents) {
            ssize_t got = read(STDIN_FILENO, input, sizeof input);
            from = 0;
            to = got > 0 ? (size_t)got : 0;
            if (got == 0 || (got < 0 && errno != EINTR)) {
                open = 0;
                nacre_channel_send_eof(channel);
            }
        }
        if (from < to) {
            size_t n;
            status = nacre_channel_write(channel, input + from, to - from, 0, &n);
            from += n;
            if (status != NACRE_OK && status != NACRE_ERR_AGAIN) from = to;
        }
    }
}

static nacre_status start_shell(nacre_channel *channel) {
    const char *term = getenv("TERM");
    struct winsize size = terminal_size();
    nacre_status status = NACRE_OK;
    if (isatty(STDIN_FILENO)) {
        status = nacre_channel_pty(channel, term != NULL ? term : "dumb", size.ws_col, size.ws_row, size.ws_xpixel,
                                   size.ws_ypixel, NULL, 0, -1, NULL);
    }
    nacre_channel_set_stderr(channel, NACRE_STDERR_COMBINE);
    return status != NACRE_OK ? status : nacre_channel_shell(channel, -1, NULL);
}

int main(int argc, char **argv) {
    static const struct option options[] = {LOGIN_OPTIONS, {NULL, 0, NULL, 0}};
    login login = {0};
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'h') return usage(stdout), 0;
        if (!login_option(&login, option, optarg)) return usage(stderr), 255;
    }
    if (argc - optind != 1) return usage(stderr), 255;
    login_check(&login);

    const char *address = argv[optind];
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
    status = start_shell(channel);
    if (status != NACRE_OK) return transport_failed("cannot start the shell", status, transport);

    struct sigaction action = {.sa_handler = on_resize, .sa_flags = SA_RESTART};
    if (pipe(resized) != 0 || sigaction(SIGWINCH, &action, NULL) != 0) {
        perror("shell");
        return 255;
    }
    make_terminal_raw();
    status = pass_everything(channel);
    restore_terminal();
    if (status != NACRE_ERR_EOF) return transport_failed("the connection was lost", status, transport);

    nacre_exit ended = NACRE_INIT(nacre_exit);
    status = nacre_channel_wait_exit(channel, 10000, &ended);
    nacre_channel_free(channel);
    nacre_transport_free(transport);
    login_free(&login);
    return status == NACRE_OK && ended.kind == NACRE_EXIT_STATUS ? (int)ended.status : 255;
}
