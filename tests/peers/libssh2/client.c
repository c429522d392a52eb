/* A client on libssh2. */
#include "../peer.h"

#include <libssh2.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static LIBSSH2_SESSION *session;
static int fd;
static peer_options options;

static void fail(const char *what) {
    char *text = NULL;
    libssh2_session_last_error(session, &text, NULL, 0);
    die("%s: %s", what, text);
}

static void connect_to_server(void) {
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
    snprintf(port, sizeof port, "%u", options.port);
    if (getaddrinfo(options.host, port, &hints, &address) != 0) die("cannot resolve %s", options.host);
    fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0) die("cannot connect: %s", strerror(errno));
    freeaddrinfo(address);
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void prefer(int kind, const char *list) {
    if (list != NULL && libssh2_session_method_pref(session, kind, list) != 0) fail(list);
}

static void negotiate(void) {
    session = libssh2_session_init();
    libssh2_session_flag(session, LIBSSH2_FLAG_COMPRESS, options.compression != NULL);
    prefer(LIBSSH2_METHOD_KEX, options.kex);
    prefer(LIBSSH2_METHOD_HOSTKEY, options.host_key_algorithms);
    prefer(LIBSSH2_METHOD_CRYPT_CS, options.ciphers);
    prefer(LIBSSH2_METHOD_CRYPT_SC, options.ciphers);
    prefer(LIBSSH2_METHOD_MAC_CS, options.macs);
    prefer(LIBSSH2_METHOD_MAC_SC, options.macs);
    prefer(LIBSSH2_METHOD_COMP_CS, options.compression);
    prefer(LIBSSH2_METHOD_COMP_SC, options.compression);
    if (libssh2_session_handshake(session, fd) != 0) fail("handshake");
}

/* The file's second word is the key as it is on the wire, in Base64. */
static void check_host_key(void) {
    char line[16384], *expected;
    unsigned expected_len;
    size_t shown_len;
    int type;
    FILE *file = fopen(options.known_host_key, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) die("cannot read %s", options.known_host_key);
    fclose(file);
    if (strtok(line, " \n") == NULL) die("no public key");
    char *encoded = strtok(NULL, " \n");
    if (encoded == NULL || libssh2_base64_decode(session, &expected, &expected_len, encoded, (unsigned)strlen(encoded)) != 0) {
        die("no public key in %s", options.known_host_key);
    }
    const char *shown = libssh2_session_hostkey(session, &shown_len, &type);
    if (shown == NULL || shown_len != expected_len || memcmp(shown, expected, shown_len) != 0) die("another host key");
    libssh2_free(session, expected);
}

static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(answer) {
    (void)name, (void)name_len, (void)instruction, (void)instruction_len, (void)prompts, (void)abstract;
    for (int i = 0; i < num_prompts; i++) {
        responses[i].text = strdup(options.password);
        responses[i].length = (unsigned)strlen(options.password);
    }
}

static void log_in(void) {
    int status = LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;
    if (strcmp(options.auth, "password") == 0) status = libssh2_userauth_password(session, options.user, options.password);
    if (strcmp(options.auth, "keyboard-interactive") == 0) {
        status = libssh2_userauth_keyboard_interactive(session, options.user, answer);
    }
    if (strcmp(options.auth, "publickey") == 0) {
        status = libssh2_userauth_publickey_fromfile(session, options.user, NULL, options.key, NULL);
    }
    if (status != 0) fail(options.auth);
}

typedef struct {
    LIBSSH2_CHANNEL *channel;
    kept output, errors;
    int eof;
} stream;

/* Whether anything moved. */
static int read_one(stream *stream, int alone, int id, int to) {
    static char buf[65536];
    int moved = 0;
    ssize_t got;
    while ((got = libssh2_channel_read_ex(stream->channel, id, buf, sizeof buf)) > 0) {
        pass(id == 0 ? &stream->output : &stream->errors, alone, to, buf, (size_t)got);
        moved = 1;
    }
    if (got < 0 && got != LIBSSH2_ERROR_EAGAIN) fail("read");
    return moved;
}

static void send_eof(LIBSSH2_CHANNEL *channel) {
    libssh2_session_set_blocking(session, 1);
    if (libssh2_channel_send_eof(channel) != 0) fail("eof");
    libssh2_session_set_blocking(session, 0);
}

/* Whether anything moved; *stuck: the session takes no more for now. */
static int write_one(LIBSSH2_CHANNEL *channel, input *input, int *stuck) {
    *stuck = 0;
    if (input->from == input->to) return 0;
    ssize_t written = libssh2_channel_write(channel, input->data + input->from, input->to - input->from);
    if (written == LIBSSH2_ERROR_EAGAIN) {
        *stuck = 1;
        return 0;
    }
    if (written < 0) fail("write");
    input->from += (size_t)written;
    return 1;
}

/* Sleeps until the server sent something, or there is input for a command that may take it. */
static void wait_for_more(int want_input) {
    int directions = libssh2_session_block_directions(session);
    struct pollfd fds[2] = {{fd, POLLIN, 0}, {want_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) fds[0].events |= POLLOUT;
    poll(fds, 2, 100);
}

static int input_waits(void) {
    struct pollfd fds = {STDIN_FILENO, POLLIN, 0};
    return poll(&fds, 1, 0) == 1;
}

static void run(stream *streams, unsigned count) {
    static input input;
    unsigned open = count;
    int alone = count == 1, eof_sent = 0, stuck = 0;
    while (open > 0) {
        int moved = 0;
        if (alone && !stuck && !input.ended && input_waits()) fill(&input);
        if (alone) moved |= write_one(streams[0].channel, &input, &stuck);
        if (alone && input.ended && !eof_sent && !streams[0].eof) {
            send_eof(streams[0].channel);
            eof_sent = 1;
        }
        for (unsigned i = 0; i < count; i++) {
            if (streams[i].eof) continue;
            moved |= read_one(&streams[i], alone, 0, STDOUT_FILENO);
            moved |= read_one(&streams[i], alone, SSH_EXTENDED_DATA_STDERR, STDERR_FILENO);
            if (libssh2_channel_eof(streams[i].channel) != 1) continue;
            streams[i].eof = 1;
            open--;
        }
        if (!moved && open > 0) wait_for_more(alone && !input.ended && input.from == input.to);
    }
}

int main(int argc, char **argv) {
    options = read_options(argc, argv);
    stream *streams = calloc(options.channels, sizeof *streams);
    int status = 0;
    libssh2_init(0);
    connect_to_server();
    negotiate();
    check_host_key();
    log_in();
    for (unsigned i = 0; i < options.channels; i++) {
        streams[i].channel = libssh2_channel_open_session(session);
        if (streams[i].channel == NULL) fail("open");
        if (libssh2_channel_exec(streams[i].channel, options.command) != 0) fail("exec");
        if (options.channels > 1 && libssh2_channel_send_eof(streams[i].channel) != 0) fail("eof");
    }
    libssh2_session_set_blocking(session, 0);
    run(streams, options.channels);
    libssh2_session_set_blocking(session, 1);
    for (unsigned i = 0; i < options.channels; i++) {
        write_fully(STDOUT_FILENO, streams[i].output.data, streams[i].output.len);
        write_fully(STDERR_FILENO, streams[i].errors.data, streams[i].errors.len);
        if (libssh2_channel_close(streams[i].channel) != 0) fail("close");
        if (libssh2_channel_wait_closed(streams[i].channel) != 0) fail("close");
        int code = libssh2_channel_get_exit_status(streams[i].channel);
        if (code != 0) status = code;
        libssh2_channel_free(streams[i].channel);
    }
    libssh2_session_disconnect(session, "done");
    libssh2_session_free(session);
    close(fd);
    return status;
}
