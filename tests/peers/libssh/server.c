/* A server on libssh: one process a connection, one loop over its session and the pipes of its commands. */
#include "../peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MAX_JOBS = 256, CHUNK = 32768 };

/* A channel and its command. */
typedef struct {
    ssh_channel channel; /* NULL: the place is free */
    pid_t pid;
    int in, out, err; /* -1: closed */
    int started, exited, status;
    char data[CHUNK]; /* on the way to the command */
    int from, to;
} job;

static peer_options options;
static ssh_session session;
static ssh_key allowed;
static job jobs[MAX_JOBS];
static struct ssh_channel_callbacks_struct channel_callbacks;

static void on_child(int number) { (void)number; }

/* --- commands --- */

static void start(job *job, const char *command) {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) die("pipe");
    job->pid = fork();
    if (job->pid == 0) {
        dup2(in[0], 0), dup2(out[1], 1), dup2(err[1], 2);
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in[0]), close(out[1]), close(err[1]);
    job->in = in[1], job->out = out[0], job->err = err[0];
    fcntl(job->in, F_SETFL, O_NONBLOCK), fcntl(job->out, F_SETFL, O_NONBLOCK), fcntl(job->err, F_SETFL, O_NONBLOCK);
    job->started = 1;
}

static void shut(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void feed(job *job) {
    while (job->in >= 0) {
        if (job->from == job->to) {
            int got = ssh_channel_read_nonblocking(job->channel, job->data, sizeof job->data, 0);
            job->from = 0;
            job->to = got > 0 ? got : 0;
            if (got <= 0) {
                if (ssh_channel_is_eof(job->channel) || got == SSH_ERROR) shut(&job->in);
                return;
            }
        }
        ssize_t written = write(job->in, job->data + job->from, (size_t)(job->to - job->from));
        if (written < 0 && errno == EAGAIN) return;
        if (written < 0) shut(&job->in);
        else job->from += (int)written;
    }
}

static int may_write(ssh_channel channel) {
    return ssh_channel_window_size(channel) > 0 && !(ssh_get_poll_flags(session) & SSH_WRITE_PENDING);
}

static void drain(job *job, int *fd, int (*write_to)(ssh_channel, const void *, uint32_t)) {
    static char buf[CHUNK];
    while (*fd >= 0 && may_write(job->channel)) {
        size_t room = ssh_channel_window_size(job->channel);
        ssize_t got = read(*fd, buf, room < sizeof buf ? room : sizeof buf);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0 || write_to(job->channel, buf, (uint32_t)got) != got) shut(fd);
    }
}

static void finish(job *job) {
    if (!job->started || !job->exited || job->out >= 0 || job->err >= 0) return;
    shut(&job->in);
    if (WIFSIGNALED(job->status)) ssh_channel_request_send_exit_signal(job->channel, "TERM", 0, "", "");
    else ssh_channel_request_send_exit_status(job->channel, WEXITSTATUS(job->status));
    ssh_channel_send_eof(job->channel);
    ssh_channel_close(job->channel);
    ssh_channel_free(job->channel);
    memset(job, 0, sizeof *job);
}

static void move_all(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (job *job = jobs; job < jobs + MAX_JOBS; job++) {
            if (job->channel != NULL && job->pid == pid) job->exited = 1, job->status = status;
        }
    }
    for (job *job = jobs; job < jobs + MAX_JOBS; job++) {
        if (job->channel == NULL || !job->started) continue;
        feed(job);
        drain(job, &job->out, ssh_channel_write);
        drain(job, &job->err, ssh_channel_write_stderr);
        finish(job);
    }
}

/* --- what the client asks for --- */

static int auth_password(ssh_session session, const char *user, const char *password, void *userdata) {
    (void)session, (void)userdata;
    int right = strcmp(user, options.user) == 0 && strcmp(password, options.password) == 0;
    return right ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static int auth_pubkey(ssh_session session, const char *user, struct ssh_key_struct *key, char state, void *userdata) {
    (void)session, (void)userdata;
    if (strcmp(user, options.user) != 0 || ssh_key_cmp(key, allowed, SSH_KEY_CMP_PUBLIC) != 0) return SSH_AUTH_DENIED;
    return state == SSH_PUBLICKEY_STATE_NONE || state == SSH_PUBLICKEY_STATE_VALID ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

/* What no callback answers: keyboard-interactive. 1: libssh refuses it. */
static int on_message(ssh_session session, ssh_message message, void *userdata) {
    const char *prompts[] = {"Password: "};
    char echo[] = {0};
    (void)userdata;
    if (ssh_message_type(message) != SSH_REQUEST_AUTH || ssh_message_subtype(message) != SSH_AUTH_METHOD_INTERACTIVE) return 1;
    if (!ssh_message_auth_kbdint_is_response(message)) {
        ssh_message_auth_interactive_request(message, "", "", 1, prompts, echo);
        return 0;
    }
    const char *answer = ssh_userauth_kbdint_getnanswers(session) == 1 ? ssh_userauth_kbdint_getanswer(session, 0) : NULL;
    if (answer == NULL || strcmp(answer, options.password) != 0) return 1;
    ssh_message_auth_reply_success(message, 0);
    return 0;
}

static job *job_of(ssh_channel channel) {
    for (job *job = jobs; job < jobs + MAX_JOBS; job++) {
        if (job->channel == channel) return job;
    }
    return NULL;
}

static ssh_channel on_open(ssh_session session, void *userdata) {
    (void)userdata;
    job *job = job_of(NULL);
    if (job == NULL) return NULL;
    memset(job, 0, sizeof *job);
    job->in = job->out = job->err = -1;
    job->channel = ssh_channel_new(session);
    ssh_set_channel_callbacks(job->channel, &channel_callbacks);
    return job->channel;
}

static int on_exec(ssh_session session, ssh_channel channel, const char *command, void *userdata) {
    (void)session, (void)userdata;
    job *job = job_of(channel);
    if (job == NULL || job->started) return SSH_ERROR;
    start(job, command);
    return SSH_OK;
}

/* --- connections --- */

static void wait_for_more(void) {
    static struct pollfd fds[3 * MAX_JOBS + 1];
    nfds_t count = 1;
    fds[0] = (struct pollfd){ssh_get_fd(session), POLLIN, 0};
    if (ssh_get_poll_flags(session) & SSH_WRITE_PENDING) fds[0].events |= POLLOUT;
    for (job *job = jobs; job < jobs + MAX_JOBS; job++) {
        if (job->channel == NULL || !job->started) continue;
        int room = may_write(job->channel);
        fds[count++] = (struct pollfd){job->from < job->to ? job->in : -1, POLLOUT, 0};
        fds[count++] = (struct pollfd){room ? job->out : -1, POLLIN, 0};
        fds[count++] = (struct pollfd){room ? job->err : -1, POLLIN, 0};
    }
    poll(fds, count, 100);
}

static void serve(ssh_bind binding, int fd) {
    struct ssh_server_callbacks_struct callbacks = {.auth_password_function = auth_password,
                                                    .auth_pubkey_function = auth_pubkey,
                                                    .channel_open_request_session_function = on_open};
    int yes = 1;
    session = ssh_new();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (ssh_bind_accept_fd(binding, session, fd) != SSH_OK) die("accept: %s", ssh_get_error(binding));
    if (options.compression != NULL) {
        ssh_options_set(session, SSH_OPTIONS_COMPRESSION_C_S, options.compression);
        ssh_options_set(session, SSH_OPTIONS_COMPRESSION_S_C, options.compression);
    }
    if (options.rekey_bytes != 0) ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &options.rekey_bytes);
    channel_callbacks.channel_exec_request_function = on_exec;
    ssh_callbacks_init(&channel_callbacks);
    ssh_callbacks_init(&callbacks);
    ssh_set_server_callbacks(session, &callbacks);
    ssh_set_message_callback(session, on_message, NULL);
    ssh_set_auth_methods(session, SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_INTERACTIVE);
    if (ssh_handle_key_exchange(session) != SSH_OK) die("key exchange: %s", ssh_get_error(session));
    ssh_event event = ssh_event_new();
    ssh_event_add_session(event, session);
    while (ssh_is_connected(session)) {
        if (ssh_event_dopoll(event, 0) == SSH_ERROR) break;
        move_all();
        wait_for_more();
    }
    fprintf(stderr, "over: %s\n", ssh_get_error(session));
    _exit(0);
}

static void set(ssh_bind binding, enum ssh_bind_options_e option, const void *value) {
    if (value != NULL && ssh_bind_options_set(binding, option, value) != 0) die("option: %s", ssh_get_error(binding));
}

static int listen_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 128) != 0) die("listen: %s", strerror(errno));
    getsockname(fd, (struct sockaddr *)&address, &len);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void end(int number) {
    (void)number;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    _exit(0);
}

int main(int argc, char **argv) {
    int no = 0;
    options = read_options(argc, argv);
    if (ssh_pki_import_pubkey_file(options.authorized_key, &allowed) != SSH_OK) die("no key in %s", options.authorized_key);
    ssh_bind binding = ssh_bind_new();
    set(binding, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    set(binding, SSH_BIND_OPTIONS_HOSTKEY, options.hostkey);
    set(binding, SSH_BIND_OPTIONS_KEY_EXCHANGE, options.kex);
    set(binding, SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, options.host_key_algorithms);
    set(binding, SSH_BIND_OPTIONS_CIPHERS_C_S, options.ciphers);
    set(binding, SSH_BIND_OPTIONS_CIPHERS_S_C, options.ciphers);
    set(binding, SSH_BIND_OPTIONS_HMAC_C_S, options.macs);
    set(binding, SSH_BIND_OPTIONS_HMAC_S_C, options.macs);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end);
    struct sigaction action = {.sa_handler = on_child};
    int listener = listen_on_loopback();
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        if (fork() == 0) {
            signal(SIGTERM, SIG_DFL);
            sigaction(SIGCHLD, &action, NULL);
            close(listener);
            serve(binding, fd);
        }
        close(fd);
    }
}
