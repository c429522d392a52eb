/* A client on libssh. */
#include "../peer.h"

#include <libssh/libssh.h>

static ssh_session session;
static peer_options options;

static void fail(const char *what) { die("%s: %s", what, ssh_get_error(session)); }

static void set(enum ssh_options_e option, const void *value) {
    if (value != NULL && ssh_options_set(session, option, value) != 0) fail("option");
}

static void connect_to_server(void) {
    int no = 0, yes = 1;
    session = ssh_new();
    set(SSH_OPTIONS_PROCESS_CONFIG, &no);
    set(SSH_OPTIONS_HOST, options.host);
    set(SSH_OPTIONS_PORT, &options.port);
    set(SSH_OPTIONS_USER, options.user);
    set(SSH_OPTIONS_NODELAY, &yes);
    set(SSH_OPTIONS_KEY_EXCHANGE, options.kex);
    set(SSH_OPTIONS_HOSTKEYS, options.host_key_algorithms);
    set(SSH_OPTIONS_CIPHERS_C_S, options.ciphers);
    set(SSH_OPTIONS_CIPHERS_S_C, options.ciphers);
    set(SSH_OPTIONS_HMAC_C_S, options.macs);
    set(SSH_OPTIONS_HMAC_S_C, options.macs);
    set(SSH_OPTIONS_COMPRESSION_C_S, options.compression);
    set(SSH_OPTIONS_COMPRESSION_S_C, options.compression);
    if (options.rekey_bytes != 0) set(SSH_OPTIONS_REKEY_DATA, &options.rekey_bytes);
    if (ssh_connect(session) != SSH_OK) fail("connect");
}

static void check_host_key(void) {
    ssh_key shown, expected;
    if (ssh_get_server_publickey(session, &shown) != SSH_OK) fail("host key");
    if (ssh_pki_import_pubkey_file(options.known_host_key, &expected) != SSH_OK) die("no key in %s", options.known_host_key);
    if (ssh_key_cmp(shown, expected, SSH_KEY_CMP_PUBLIC) != 0) die("another host key");
    ssh_key_free(shown);
    ssh_key_free(expected);
}

static int answer_prompts(void) {
    int status;
    while ((status = ssh_userauth_kbdint(session, NULL, NULL)) == SSH_AUTH_INFO) {
        int count = ssh_userauth_kbdint_getnprompts(session);
        for (int i = 0; i < count; i++) ssh_userauth_kbdint_setanswer(session, (unsigned)i, options.password);
    }
    return status;
}

static void log_in(void) {
    int status = SSH_AUTH_ERROR;
    if (strcmp(options.auth, "password") == 0) status = ssh_userauth_password(session, NULL, options.password);
    if (strcmp(options.auth, "keyboard-interactive") == 0) status = answer_prompts();
    if (strcmp(options.auth, "publickey") == 0) {
        ssh_key key;
        if (ssh_pki_import_privkey_file(options.key, NULL, NULL, NULL, &key) != SSH_OK) die("no key in %s", options.key);
        status = ssh_userauth_publickey(session, NULL, key);
        ssh_key_free(key);
    }
    if (status != SSH_AUTH_SUCCESS) fail(options.auth);
}

typedef struct {
    ssh_channel channel;
    kept output, errors;
    int over;
} stream;

static int read_one(stream *stream, int alone, int is_stderr) {
    static char buf[65536];
    int moved = 0, got;
    while ((got = ssh_channel_read_nonblocking(stream->channel, buf, sizeof buf, is_stderr)) > 0) {
        pass(is_stderr ? &stream->errors : &stream->output, alone, is_stderr ? STDERR_FILENO : STDOUT_FILENO, buf, (size_t)got);
        moved = 1;
    }
    if (got == SSH_ERROR) fail("read");
    return moved;
}

/* No more than there is room for: libssh would wait for the rest, and not read meanwhile. */
static int may_write(ssh_channel channel) {
    return ssh_channel_window_size(channel) > 0 && !(ssh_get_poll_flags(session) & SSH_WRITE_PENDING);
}

static int write_one(ssh_channel channel, input *input) {
    if (input->from == input->to || !may_write(channel)) return 0;
    size_t len = input->to - input->from, room = ssh_channel_window_size(channel);
    int written = ssh_channel_write(channel, input->data + input->from, (uint32_t)(len < room ? len : room));
    if (written < 0) fail("write");
    input->from += (size_t)written;
    return written > 0;
}

static void wait_for_more(int want_input) {
    struct pollfd fds[2] = {{ssh_get_fd(session), POLLIN, 0}, {want_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (ssh_get_poll_flags(session) & SSH_WRITE_PENDING) fds[0].events |= POLLOUT;
    poll(fds, 2, 100);
}

static int input_waits(void) {
    struct pollfd fds = {STDIN_FILENO, POLLIN, 0};
    return poll(&fds, 1, 0) == 1;
}

static void run(stream *streams, unsigned count) {
    static input input;
    unsigned open = count;
    int alone = count == 1, eof_sent = 0;
    while (open > 0) {
        int moved = 0;
        if (alone && !streams[0].over) {
            if (!input.ended && input_waits()) fill(&input);
            moved |= write_one(streams[0].channel, &input);
            if (input.ended && input.from == input.to && !eof_sent) {
                if (ssh_channel_send_eof(streams[0].channel) != SSH_OK) fail("eof");
                eof_sent = 1;
            }
        }
        for (unsigned i = 0; i < count; i++) {
            if (streams[i].over) continue;
            moved |= read_one(&streams[i], alone, 0);
            moved |= read_one(&streams[i], alone, 1);
            if (!ssh_channel_is_eof(streams[i].channel)) continue;
            streams[i].over = 1;
            open--;
        }
        if (!moved && open > 0) wait_for_more(alone && !input.ended && input.from == input.to);
    }
}

int main(int argc, char **argv) {
    options = read_options(argc, argv);
    stream *streams = calloc(options.channels, sizeof *streams);
    int status = 0;
    connect_to_server();
    check_host_key();
    log_in();
    for (unsigned i = 0; i < options.channels; i++) {
        streams[i].channel = ssh_channel_new(session);
        if (ssh_channel_open_session(streams[i].channel) != SSH_OK) fail("open");
        if (ssh_channel_request_exec(streams[i].channel, options.command) != SSH_OK) fail("exec");
        if (options.channels > 1 && ssh_channel_send_eof(streams[i].channel) != SSH_OK) fail("eof");
    }
    run(streams, options.channels);
    for (unsigned i = 0; i < options.channels; i++) {
        write_fully(STDOUT_FILENO, streams[i].output.data, streams[i].output.len);
        write_fully(STDERR_FILENO, streams[i].errors.data, streams[i].errors.len);
        int code = ssh_channel_get_exit_status(streams[i].channel);
        if (code != 0) status = code < 0 ? 255 : code;
        ssh_channel_close(streams[i].channel);
        ssh_channel_free(streams[i].channel);
    }
    ssh_disconnect(session);
    ssh_free(session);
    return status;
}
