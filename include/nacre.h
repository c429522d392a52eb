/*
 * nacre: an SSH-2 library, client and server.
 *
 * This header is the manual: the rules that hold everywhere are here, the rest is at each function.
 *
 * STATUS. A function that can fail returns a nacre_status: NACRE_OK is 0 and the only success, every other status is
 * negative. Results go out through the last parameters. There is no errno and nothing is kept by thread. Any function may
 * return NACRE_ERR_ARGUMENT (NULL for a handle, an unknown value), NACRE_ERR_FORKED, NACRE_ERR_CLOSED, NACRE_ERR_INTERNAL
 * and NACRE_ERR_NO_MEMORY; its comment names what else it may say. What failed in full: nacre_<noun>_take_error, and the
 * `err` of functions that make a handle (NULL: not wanted).
 *
 * STRUCTS begin with `size`: write `nacre_event event = NACRE_INIT(nacre_event);`, or set it by hand and zero the rest.
 * Zero is the default of every member.
 *
 * STRINGS that go in end with NUL and may hold any other byte; nacre keeps no pointer to an argument. Strings that come out
 * are copied to (buf, cap, needed): `needed` (may be NULL) says how many bytes it takes, the NUL included, so that
 * `needed - 1` is the length of a string that holds NULs itself. Too small a buffer gives NACRE_ERR_BUFFER and is left as
 * it was; buf may be NULL when cap is 0. Bytes come out the same way, without a NUL.
 *
 * HANDLES. Whoever gets a handle through an out-parameter frees it (nacre_<noun>_free), in any order; _ref adds an owner.
 * Handles in events and callbacks are borrowed. Any thread may use any handle, also several at once; only _free has to be
 * the last use of its owner. No free waits or joins a thread.
 *
 * WAITING is an argument. timeout_ms: -1 waits for ever, 0 not at all, else at most so many milliseconds. When the time
 * runs out the status is NACRE_ERR_AGAIN. NACRE_ERR_TIMEOUT is final: a deadline of the connection passed. Every wait may
 * end with NACRE_ERR_INTERRUPTED (nacre_engine_wake).
 *
 * OPERATIONS end with (timeout_ms, uint64_t *op). On NACRE_ERR_AGAIN the operation goes on, and *op names it (op may be
 * NULL: then nothing more is heard of it). It ends once: by the return value of the call, or by one event with that
 * number. nacre_transport_wait waits again, nacre_transport_cancel gives up. No other out-parameter is touched later.
 *
 * EVENTS. nacre_transport_next_event and nacre_engine_next_event give what happened, as do descriptors that can be polled
 * (nacre_transport_event_fd, nacre_engine_event_fd, nacre_channel_event_fd).
 *
 * THREADS. An engine with `threads` >= 1 does its I/O on threads of its own; callbacks run on other threads of it, in
 * order for each transport. With `threads` 0 nothing happens but inside nacre_engine_dispatch and inside calls that wait,
 * and callbacks run there. No lock is held while a callback runs: it may call anything, free of its own handle included,
 * but every timeout counts as 0 inside.
 *
 * FORK. In a child every function but _atfork and _free gives NACRE_ERR_FORKED.
 *
 * SIGNALS. nacre raises none and handles none. Every descriptor of it is close-on-exec.
 */


#ifndef NACRE_H
#define NACRE_H

#include <stddef.h>
#include <stdint.h>

/* Begins a public struct: `nacre_event event = NACRE_INIT(nacre_event);`. The only macro with a parameter. */
#ifdef __cplusplus
template <typename Struct> inline Struct nacre_initial()
{
    Struct initial = Struct();
    initial.size = sizeof(Struct);
    return initial;
}
#define NACRE_INIT(type) nacre_initial<type>()
#else
#define NACRE_INIT(type) { .size = sizeof(type) }
#endif

/**
 * nacre_host_key_check: every key is taken, so anyone on the way can read and change everything.
 */
#define NACRE_HOST_KEY_ANY 1

/**
 * nacre_host_key_check: asks about other keys also without `ask`, through a QUESTION event (NACRE_AS_EVENTS).
 */
#define NACRE_HOST_KEY_ASK 2

/**
 * nacre_host_key_check: host key algorithms are offered in the order of their list, whatever `keys` are given. Else those
 * that fit a given key come first, unless the first one fits anyway or the application gave the list itself; whoever
 * listens may then learn that a key is known (CVE-2020-14145).
 */
#define NACRE_HOST_KEY_FIXED_ORDER 4

/**
 * nacre_host_key_check: a key that is accepted when asked about is added to `known_hosts`, and to the end of the file that
 * this was read from, unless another key of its type is known there. nacre_known_hosts_take_error says whether that failed;
 * the connection goes on all the same.
 */
#define NACRE_HOST_KEY_ADD 8

/**
 * nacre_host_key_check: as NACRE_HOST_KEY_ADD, with the host's name hashed.
 */
#define NACRE_HOST_KEY_ADD_HASHED 16

/**
 * nacre_known_hosts_load_file: without a file the list is empty, and the file is made when something is written.
 */
#define NACRE_KNOWN_HOSTS_MAY_BE_MISSING 1

/**
 * nacre_known_hosts_add: the name is hashed, so that whoever reads the file does not learn it.
 */
#define NACRE_KNOWN_HOSTS_HASHED 1

/**
 * The security key was touched for this signature: a bit of nacre_ticket_security_key.
 */
#define NACRE_SECURITY_KEY_PRESENT 1

/**
 * The security key made sure who its user is: a bit of nacre_ticket_security_key.
 */
#define NACRE_SECURITY_KEY_VERIFIED 4

/**
 * nacre_transport_auth_password: no keyboard-interactive instead where the server does not offer passwords.
 */
#define NACRE_AUTH_NO_FALLBACK 1

/**
 * nacre_transport_auth_publickey_with: asks whether the key would do before anything is signed.
 */
#define NACRE_AUTH_PROBE 1

/**
 * The version of this header: (major << 16) | (minor << 8) | patch.
 */
#define NACRE_VERSION_NUMBER 256

/**
 * One channel of a transport. Any thread may use it at any time.
 */
typedef struct nacre_channel nacre_channel;

/**
 * What drives connections: with I/O threads of its own, or with none, inside your calls. NULL, where a function takes an
 * engine, is the default engine of the process: one I/O thread, made at first use.
 */
typedef struct nacre_engine nacre_engine;

/**
 * One failure, with everything that is known of it: a copy that depends on no other handle. It does not change, so any
 * number of threads may read it. A getter whose field this failure does not have gives NACRE_ERR_NOT_FOUND.
 */
typedef struct nacre_error nacre_error;

/**
 * A public key, or a private key with its public half. It does not change, so any number of threads and transports may
 * use it at once; private parts are wiped when the last owner goes.
 */
typedef struct nacre_key nacre_key;

/**
 * Which hosts have which keys: the lines of a known_hosts file (sshd(8)), those that say nothing to nacre included.
 * Several threads and transports may use it at once; what one adds, the others know.
 *
 * A host is looked for as ssh does: its name in small letters, and `[name]:port` where the port is not 22; if nothing is
 * known of that, the key that the name has without a port is right as well. Names may be hashed, and be patterns with `*`,
 * `?` and, for exceptions, `!`.
 */
typedef struct nacre_known_hosts nacre_known_hosts;

/**
 * Bytes that are built and read as the data types of the protocol: what goes into a request, what comes with a reply.
 * `add` functions append; `get` functions read on from where the one before stopped, and stay there when they fail:
 * NACRE_ERR_PROTOCOL says that this is not what comes next. The bytes are wiped when the message is freed.
 */
typedef struct nacre_message nacre_message;

/**
 * One question to the application, with everything that was asked.
 *
 * A callback gets it last; unless the callback returns NACRE_DEFER it is nacre's, and gone when the callback returns.
 * With NACRE_DEFER, and in QUESTION events, it is the application's until nacre_ticket_free, whatever happens to the
 * connection. It is answered once, from any thread, also before the callback returned; what such a callback then returns
 * does not count (but NACRE_DEFER keeps the ticket). Freed unanswered it rejects.
 */
typedef struct nacre_ticket nacre_ticket;

/**
 * One connection, client or server. Any thread may use it at any time.
 */
typedef struct nacre_transport nacre_transport;

/**
 * What a call says of its outcome: NACRE_OK (0) is the only success, every other status is negative. A number is never
 * given another meaning.
 */
typedef int32_t nacre_status;

/**
 * What is known of a channel.
 */
typedef struct nacre_channel_state {
    size_t size;
    /**
     * This side's number of it; while it lives no other channel of the transport has it.
     */
    uint32_t id;
    /**
     * 1 or 0, as the next ones.
     */
    int32_t opened_by_peer;
    /**
     * 1 once the other side has confirmed it.
     */
    int32_t open;
    /**
     * The peer has sent EOF or CLOSE.
     */
    int32_t peer_eof;
    /**
     * CLOSE went both ways, or the connection is gone.
     */
    int32_t closed;
    /**
     * Bytes that the peer may send before it needs more credit, and bytes that it may send at once.
     */
    uint32_t local_window;
    uint32_t local_max_packet;
    /**
     * The same for this side.
     */
    uint32_t remote_window;
    uint32_t remote_max_packet;
    /**
     * 0.
     */
    uint32_t reserved;
} nacre_channel_state;

/**
 * What the descriptor of nacre_channel_event_fd tells.
 */
typedef int32_t nacre_channel_what;

/**
 * Which of its members counts.
 */
typedef int32_t nacre_exit_kind;

/**
 * How a command ended.
 */
typedef struct nacre_exit {
    size_t size;
    /**
     * NACRE_EXIT_STATUS or NACRE_EXIT_SIGNAL.
     */
    nacre_exit_kind kind;
    /**
     * The exit status.
     */
    uint32_t status;
    /**
     * 1 when a core was dumped.
     */
    int32_t core_dumped;
    /**
     * The signal's name without SIG, with a NUL.
     */
    char signal[84];
} nacre_exit;

/**
 * Where the peer's error output goes.
 */
typedef int32_t nacre_stderr_mode;

/**
 * How an engine is made. Zero is the default of every member.
 */
typedef struct nacre_engine_options {
    size_t size;
    /**
     * I/O threads. 0: none; everything happens inside nacre_engine_dispatch and inside calls that wait.
     */
    uint32_t threads;
    /**
     * With I/O threads: how many callbacks may run at once at most; 0: 8.
     */
    uint32_t callback_threads;
    /**
     * What threads are named after; NULL: "nacre".
     */
    const char *thread_name;
    /**
     * Bytes of stack of each thread; 0: the system's default.
     */
    size_t stack_size;
} nacre_engine_options;

/**
 * What an event tells of.
 */
typedef int32_t nacre_event_kind;

/**
 * What happened. `message` and `ticket` belong to whoever takes the event and have to be freed; `transport` and
 * `channel` are borrowed from the handles that the application has.
 */
typedef struct nacre_event {
    size_t size;
    /**
     * A NACRE_EVENT_* value.
     */
    nacre_event_kind kind;
    /**
     * How it came out.
     */
    nacre_status status;
    /**
     * The operation that ended; 0 when it is of none.
     */
    uint64_t op;
    struct nacre_transport *transport;
    /**
     * NULL when it is of no channel.
     */
    struct nacre_channel *channel;
    /**
     * What nacre_transport_set_userdata and nacre_channel_set_userdata keep.
     */
    void *transport_userdata;
    void *channel_userdata;
    /**
     * Bound port or exit status.
     */
    uint64_t value;
    /**
     * The data of a reply, or a banner; else NULL.
     */
    struct nacre_message *message;
    /**
     * The question; else NULL.
     */
    struct nacre_ticket *ticket;
} nacre_event;

/**
 * Names a limit of a connection. Times are in milliseconds, and 0 is no limit.
 */
typedef int32_t nacre_limit;

/**
 * What is known of a server's host key.
 */
typedef int32_t nacre_verdict;

/**
 * What kind of key to make.
 */
typedef int32_t nacre_key_kind;

/**
 * How a fingerprint is made.
 */
typedef int32_t nacre_fingerprint_kind;

/**
 * How a private key is written to a file.
 */
typedef int32_t nacre_key_format;

/**
 * How the key that a host shows stands to what is known of the host.
 */
typedef int32_t nacre_known_host;

/**
 * What a line says of its key.
 */
typedef int32_t nacre_known_hosts_marker;

/**
 * One thing that nacre_poll waits for: an event of an engine, an event of a transport, or something on a channel. Just one
 * of the three handles is given.
 */
typedef struct nacre_poll_item {
    size_t size;
    struct nacre_engine *engine;
    struct nacre_transport *transport;
    struct nacre_channel *channel;
    /**
     * With a channel: a NACRE_CHANNEL_* value.
     */
    nacre_channel_what what;
    /**
     * 0.
     */
    uint32_t reserved;
} nacre_poll_item;

/**
 * What the application decides. Any other value rejects.
 */
typedef int32_t nacre_decision;

/**
 * Signs for a key whose private half only the application can reach: a token, a security module, another process.
 */
typedef struct nacre_signer {
    size_t size;
    void *userdata;
    /**
     * Runs exactly once, when no call can follow, also when nacre_key_from_signer fails.
     */
    void (*destroy)(void *userdata);
    /**
     * Signs `data`, which is not hashed, as `algorithm` says ("ssh-ed25519", "rsa-sha2-256", ...), and gives the bare
     * signature to nacre_ticket_answer_bytes: of Ed25519 64 bytes; of RSA as many as the modulus has; of ECDSA both numbers
     * side by side, each as long as the curve's field (PKCS #11), or in DER, or as SSH has them. A whole signature blob, as
     * nacre_key_sign gives it, is taken too. It is verified before it is sent.
     *
     * With NACRE_DEFER the answer may come later, from any thread; every other value without an answer refuses. NULL:
     * refuses, but with NACRE_AS_EVENTS a QUESTION event comes (NACRE_QUESTION_SIGN), then also when it is not NULL.
     */
    nacre_decision (*sign)(void *userdata,
                           const struct nacre_key *key,
                           const char *algorithm,
                           const void *data,
                           size_t len,
                           struct nacre_ticket *ticket);
} nacre_signer;

/**
 * What is asked. The comment of each says what nacre_ticket_text, _name and _data give, and which answers there are
 * beside nacre_ticket_answer.
 */
typedef int32_t nacre_question;

/**
 * What a channel request asks for.
 */
typedef int32_t nacre_request_kind;

/**
 * What was negotiated. Names end with NUL; directions are seen from this side.
 */
typedef struct nacre_negotiated {
    size_t size;
    char kex[80];
    char host_key[80];
    char cipher_in[80];
    char cipher_out[80];
    /**
     * Empty where the cipher authenticates by itself.
     */
    char mac_in[80];
    char mac_out[80];
    char compression_in[80];
    char compression_out[80];
    /**
     * 1 when both sides do strict key exchange.
     */
    int32_t strict_kex;
    /**
     * How many bytes of session_id there are.
     */
    uint32_t session_id_len;
    uint8_t session_id[64];
    /**
     * Key exchanges after the first.
     */
    uint64_t rekeys;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t packets_in;
    uint64_t packets_out;
} nacre_negotiated;

/**
 * A channel to open. Zero is the default of every member.
 */
typedef struct nacre_channel_options {
    size_t size;
    /**
     * The channel's type; NULL: "session". It says which of the next members count: "direct-tcpip" and "forwarded-tcpip"
     * take both hosts and ports, "x11" the originator, "direct-streamlocal@openssh.com" and
     * "forwarded-streamlocal@openssh.com" the path. One that the type does not take is NACRE_ERR_ARGUMENT.
     */
    const char *kind;
    /**
     * Where the connection is to go, or (forwarded) where it came to; a name or an address.
     */
    const char *destination_host;
    /**
     * Where it comes from. NULL: "127.0.0.1".
     */
    const char *originator_host;
    /**
     * The Unix socket.
     */
    const char *path;
    /**
     * The bytes that follow the type's name and the window in CHANNEL_OPEN, for a type that is not named above.
     */
    const void *data;
    size_t data_len;
    uint32_t destination_port;
    uint32_t originator_port;
    /**
     * Bytes that the peer may send before it needs more credit, and at once; 0: the transport's default. A window that is
     * given does not grow by itself.
     */
    uint32_t window_bytes;
    uint32_t max_packet_bytes;
} nacre_channel_options;

/**
 * How a server's host key is checked. Any of the given keys and fingerprints is right, and so is a key that `known_hosts`
 * has for the host, unless it is revoked there; another one is asked about when `ask` is there, else refused. A revoked one
 * is refused without a question.
 */
typedef struct nacre_host_key_check {
    size_t size;
    void *userdata;
    /**
     * Runs exactly once, when no call can follow, also when the call that was given this struct fails.
     */
    void (*destroy)(void *userdata);
    /**
     * Any of NACRE_HOST_KEY_*, or 0.
     */
    uint32_t flags;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The keys that are right.
     */
    const struct nacre_key *const *keys;
    size_t key_count;
    /**
     * The fingerprints that are right, as nacre_key_fingerprint gives them ("SHA256:...").
     */
    const char *const *fingerprints;
    size_t fingerprint_count;
    /**
     * Is this key right? `verdict` is NACRE_VERDICT_UNKNOWN, or NACRE_VERDICT_CHANGED where other keys are given or known,
     * of other types too. Time that passes here counts against no deadline.
     */
    nacre_decision (*ask)(void *userdata,
                          struct nacre_transport *transport,
                          const struct nacre_key *key,
                          nacre_verdict verdict,
                          struct nacre_ticket *ticket);
    /**
     * May be NULL. What it says of `host` and `port` when this struct is given is what counts; kinds of keys that are known
     * are asked for first. It is kept only for NACRE_HOST_KEY_ADD.
     */
    struct nacre_known_hosts *known_hosts;
    /**
     * With `known_hosts`: the name or address by which the host is known, as the user gave it.
     */
    const char *host;
    /**
     * With `known_hosts`: the port; 0 is 22.
     */
    uint32_t port;
    /**
     * 0.
     */
    uint32_t reserved2;
} nacre_host_key_check;

/**
 * A channel request as a callback gets it. Its pointers are good until the callback returns; the ticket has copies.
 */
typedef struct nacre_request {
    size_t size;
    /**
     * A NACRE_REQUEST_* value.
     */
    nacre_request_kind kind;
    /**
     * 1 when the peer wants a reply; what is written to the channel inside the callback goes out after it.
     */
    int32_t want_reply;
    /**
     * The request's name on the wire.
     */
    const char *name;
    /**
     * Exec: the command. Subsystem, signal: the name. Env: the variable. Pty: TERM. Ends with NUL, and may hold others.
     */
    const char *text;
    size_t text_len;
    /**
     * Env: the value. Ends with NUL, and may hold others.
     */
    const char *value;
    size_t value_len;
    /**
     * Pty: the encoded modes. Other requests: their data.
     */
    const void *data;
    size_t data_len;
    /**
     * Pty, window change: the size of the terminal.
     */
    uint32_t columns;
    uint32_t rows;
    uint32_t width_pixels;
    uint32_t height_pixels;
    /**
     * Break: its length in milliseconds. 64 bits, so that the struct has no padding at its end.
     */
    uint64_t break_ms;
} nacre_request;

/**
 * What a client is asked and told. Rules as for nacre_server_callbacks; NULL refuses.
 */
typedef struct nacre_client_callbacks {
    size_t size;
    void *userdata;
    /**
     * Runs exactly once, when no call can follow, also when the call that was given this struct fails.
     */
    void (*destroy)(void *userdata);
    /**
     * Keyboard-interactive: the prompts are the ticket's texts; nacre_ticket_answer_texts answers them.
     */
    nacre_decision (*interactive)(void *userdata, struct nacre_transport *transport, struct nacre_ticket *ticket);
    /**
     * The server wants the password changed: nacre_ticket_answer_texts gives the new one.
     */
    nacre_decision (*new_password)(void *userdata,
                                   struct nacre_transport *transport,
                                   const char *prompt,
                                   struct nacre_ticket *ticket);
    /**
     * May the server open this channel? As in nacre_server_callbacks.
     */
    nacre_decision (*channel_open)(void *userdata,
                                   struct nacre_transport *transport,
                                   struct nacre_channel *channel,
                                   const char *kind,
                                   const void *data,
                                   size_t len,
                                   struct nacre_ticket *ticket);
    /**
     * A request on a channel. As in nacre_server_callbacks.
     */
    nacre_decision (*channel_request)(void *userdata,
                                      struct nacre_transport *transport,
                                      struct nacre_channel *channel,
                                      const struct nacre_request *request,
                                      struct nacre_ticket *ticket);
    /**
     * A request on the connection.
     */
    nacre_decision (*global_request)(void *userdata,
                                     struct nacre_transport *transport,
                                     const char *name,
                                     const void *data,
                                     size_t len,
                                     struct nacre_ticket *ticket);
    /**
     * The connection is over. `error` is borrowed and says why.
     */
    void (*disconnected)(void *userdata,
                         struct nacre_transport *transport,
                         nacre_status status,
                         const struct nacre_error *error);
} nacre_client_callbacks;

/**
 * What nacre_transport_connect does: negotiates, checks the host key, authenticates.
 */
typedef struct nacre_connect_options {
    size_t size;
    /**
     * Has to be given; NACRE_ERR_ARGUMENT otherwise, before a byte is sent.
     */
    const struct nacre_host_key_check *host_key_check;
    /**
     * NULL: no authentication.
     */
    const char *user;
    /**
     * A private key, tried first. May be NULL.
     */
    const struct nacre_key *key;
    /**
     * Tried when there is no key or the key was not enough; falls back to keyboard-interactive. May be NULL.
     */
    const char *password;
    /**
     * As nacre_transport_set_client_callbacks. NULL: those that were set before.
     */
    const struct nacre_client_callbacks *callbacks;
} nacre_connect_options;

/**
 * How the application is asked.
 */
typedef int32_t nacre_question_mode;

/**
 * What a server is asked and told. Each function gets `userdata` first and the transport second, and runs where the
 * threads section at the top says; those that decide return a NACRE_ACCEPT-like value. NULL refuses, where nothing else is
 * said. Pointers are good until the callback returns.
 *
 * A user name or password with a NUL byte in it is refused without a call, so that no string can end early.
 */
typedef struct nacre_server_callbacks {
    size_t size;
    void *userdata;
    /**
     * Runs exactly once, when no call can follow, also when the call that was given this struct fails.
     */
    void (*destroy)(void *userdata);
    /**
     * Keys are in use.
     */
    void (*connected)(void *userdata, struct nacre_transport *transport);
    /**
     * What to show before the login; it is copied as soon as the function returns. NULL: nothing.
     */
    const char *(*banner)(void *userdata, struct nacre_transport *transport);
    /**
     * Which methods may this user try? Answered by nacre_ticket_answer_texts. When the function is NULL, or accepts
     * without naming any: those that have a function here.
     */
    nacre_decision (*allowed_auths)(void *userdata,
                                    struct nacre_transport *transport,
                                    const char *user,
                                    struct nacre_ticket *ticket);
    /**
     * May this user in without anything?
     */
    nacre_decision (*auth_none)(void *userdata,
                                struct nacre_transport *transport,
                                const char *user,
                                struct nacre_ticket *ticket);
    /**
     * Is this the password? nacre_ticket_answer_password_change asks for another.
     */
    nacre_decision (*auth_password)(void *userdata,
                                    struct nacre_transport *transport,
                                    const char *user,
                                    const char *password,
                                    struct nacre_ticket *ticket);
    /**
     * Accepting changes the password and lets the user in.
     */
    nacre_decision (*auth_password_change)(void *userdata,
                                           struct nacre_transport *transport,
                                           const char *user,
                                           const char *old_password,
                                           const char *new_password,
                                           struct nacre_ticket *ticket);
    /**
     * Is this one of the user's keys? Called with `verified` 0 while the client only asks, and with 1 when it has signed
     * and the signature is right; only then accepting lets the user in.
     */
    nacre_decision (*auth_publickey)(void *userdata,
                                     struct nacre_transport *transport,
                                     const char *user,
                                     const struct nacre_key *key,
                                     int32_t verified,
                                     struct nacre_ticket *ticket);
    /**
     * Keyboard-interactive begins: nacre_ticket_answer_prompts sends the first prompts.
     */
    nacre_decision (*auth_interactive)(void *userdata,
                                       struct nacre_transport *transport,
                                       const char *user,
                                       const char *submethods,
                                       struct nacre_ticket *ticket);
    /**
     * Keyboard-interactive: the answers are the ticket's texts; nacre_ticket_answer_prompts begins another round.
     */
    nacre_decision (*auth_interactive_answers)(void *userdata,
                                               struct nacre_transport *transport,
                                               const char *user,
                                               struct nacre_ticket *ticket);
    /**
     * A user is authenticated.
     */
    void (*authenticated)(void *userdata, struct nacre_transport *transport, const char *user);
    /**
     * May the peer open this channel? NACRE_ACCEPT: it goes to the accept queue. NACRE_KEEP: `channel` is the
     * application's from now on. `kind` is the channel's type ("session"), `data` what the type brings.
     */
    nacre_decision (*channel_open)(void *userdata,
                                   struct nacre_transport *transport,
                                   struct nacre_channel *channel,
                                   const char *kind,
                                   const void *data,
                                   size_t len,
                                   struct nacre_ticket *ticket);
    /**
     * A request on a channel: pty, shell, exec, subsystem, env, window change, signal, break, or another.
     */
    nacre_decision (*channel_request)(void *userdata,
                                      struct nacre_transport *transport,
                                      struct nacre_channel *channel,
                                      const struct nacre_request *request,
                                      struct nacre_ticket *ticket);
    /**
     * A request on the connection.
     */
    nacre_decision (*global_request)(void *userdata,
                                     struct nacre_transport *transport,
                                     const char *name,
                                     const void *data,
                                     size_t len,
                                     struct nacre_ticket *ticket);
    /**
     * The connection is over. `error` is borrowed and says why.
     */
    void (*disconnected)(void *userdata,
                         struct nacre_transport *transport,
                         nacre_status status,
                         const struct nacre_error *error);
    /**
     * May the client have connections to this host (empty: all addresses) and port? Port 0: one is chosen here, and
     * accepting is nacre_ticket_answer_port. What comes is brought by nacre_transport_open_forwarded_tcpip. This and the
     * next three when NULL: global_request is asked.
     */
    nacre_decision (*port_forward)(void *userdata,
                                   struct nacre_transport *transport,
                                   const char *host,
                                   uint32_t port,
                                   struct nacre_ticket *ticket);
    /**
     * The client wants no more of them.
     */
    nacre_decision (*cancel_port_forward)(void *userdata,
                                          struct nacre_transport *transport,
                                          const char *host,
                                          uint32_t port,
                                          struct nacre_ticket *ticket);
    /**
     * The same for a Unix socket; what comes is brought by nacre_transport_open_forwarded_streamlocal.
     */
    nacre_decision (*streamlocal_forward)(void *userdata,
                                          struct nacre_transport *transport,
                                          const char *path,
                                          struct nacre_ticket *ticket);
    nacre_decision (*cancel_streamlocal_forward)(void *userdata,
                                                 struct nacre_transport *transport,
                                                 const char *path,
                                                 struct nacre_ticket *ticket);
} nacre_server_callbacks;

/**
 * A category of algorithms. The lists of ciphers, MACs and compression hold for both directions.
 */
typedef int32_t nacre_algorithm_kind;

/**
 * What an application wants in general: a set of lists.
 */
typedef int32_t nacre_policy;

/**
 * Data, or an end that no read has returned yet.
 */
#define NACRE_CHANNEL_READ 1

/**
 * The same of the error stream.
 */
#define NACRE_CHANNEL_READ_STDERR 2

/**
 * Room again after a write that took less than asked.
 */
#define NACRE_CHANNEL_WRITE 3

/**
 * The exit status, the close, or the failed opening has come.
 */
#define NACRE_CHANNEL_STATE 4

/**
 * It ended by itself: `status`.
 */
#define NACRE_EXIT_STATUS 0

/**
 * A signal ended it: `signal`.
 */
#define NACRE_EXIT_SIGNAL 1

/**
 * To nacre_channel_read_stderr; the default.
 */
#define NACRE_STDERR_SEPARATE 0

/**
 * Among the output, as it arrives.
 */
#define NACRE_STDERR_COMBINE 1

/**
 * Nowhere.
 */
#define NACRE_STDERR_DISCARD 2

/**
 * Nothing was given to check it with, and nobody has said that it is trusted.
 */
#define NACRE_VERDICT_UNCHECKED 1

/**
 * No key of this host is known, and none was given.
 */
#define NACRE_VERDICT_UNKNOWN 2

/**
 * Another key is known for this host, perhaps of another type: it is neither among the keys and fingerprints that were given
 * nor in the known hosts.
 */
#define NACRE_VERDICT_CHANGED 3

/**
 * It is marked as revoked in the known hosts.
 */
#define NACRE_VERDICT_REVOKED 4

/**
 * The application refused it.
 */
#define NACRE_VERDICT_REFUSED 5

/**
 * Its signature is bad, or a later key exchange showed another key.
 */
#define NACRE_VERDICT_INVALID 6

/**
 * Keys are in use, or the handshake failed; ends nacre_transport_start_client and nacre_transport_start_server.
 */
#define NACRE_EVENT_NEGOTIATED 1

/**
 * Client: an authentication, or nacre_transport_connect, ended.
 */
#define NACRE_EVENT_AUTH_RESULT 2

/**
 * Server: a user is authenticated (nacre_transport_username).
 */
#define NACRE_EVENT_AUTHENTICATED 3

/**
 * Client: the server sent a banner; `message` holds it.
 */
#define NACRE_EVENT_BANNER 4

/**
 * Another operation ended: dial, open, request, global request (`message` holds the reply), rekey.
 */
#define NACRE_EVENT_OPERATION_DONE 5

/**
 * A channel waits for nacre_transport_accept.
 */
#define NACRE_EVENT_CHANNEL_INCOMING 6

/**
 * Data, EOF or CLOSE arrived: read until NACRE_ERR_AGAIN.
 */
#define NACRE_EVENT_CHANNEL_READABLE 7

/**
 * There is room again after a write that took less than asked: write until NACRE_ERR_AGAIN.
 */
#define NACRE_EVENT_CHANNEL_WRITABLE 8

/**
 * The peer said how the command ended; `value` is the exit status (nacre_channel_wait_exit tells of signals).
 */
#define NACRE_EVENT_CHANNEL_EXIT 9

/**
 * CLOSE went both ways, or the connection is gone.
 */
#define NACRE_EVENT_CHANNEL_CLOSED 10

/**
 * Something has to be decided (nacre_transport_set_questions): `ticket` is the caller's.
 */
#define NACRE_EVENT_QUESTION 11

/**
 * The server told of its host keys.
 */
#define NACRE_EVENT_HOST_KEYS 12

/**
 * The connection is over; the last event of its transport.
 */
#define NACRE_EVENT_DISCONNECTED 13

/**
 * "ssh-ed25519".
 */
#define NACRE_KEY_ED25519 1

/**
 * "ecdsa-sha2-nistp256", -384 or -521, by the number of bits.
 */
#define NACRE_KEY_ECDSA 2

/**
 * "ssh-rsa", which signs as rsa-sha2-512 and rsa-sha2-256.
 */
#define NACRE_KEY_RSA 3

/**
 * "SHA256:" and base64 without padding.
 */
#define NACRE_FINGERPRINT_SHA256 0

/**
 * "MD5:" and pairs of digits with colons; only for old lists.
 */
#define NACRE_FINGERPRINT_MD5 1

/**
 * OpenSSH's format.
 */
#define NACRE_KEY_OPENSSH 0

/**
 * It is the key of this host.
 */
#define NACRE_KNOWN_HOST_MATCH 1

/**
 * The host has another key of this type: somebody may be in between.
 */
#define NACRE_KNOWN_HOST_CHANGED 2

/**
 * The host has keys, but none of this type.
 */
#define NACRE_KNOWN_HOST_OTHER_TYPE 3

/**
 * Nothing is known of the host.
 */
#define NACRE_KNOWN_HOST_UNKNOWN 4

/**
 * The key is marked as revoked for this host, whatever else is known.
 */
#define NACRE_KNOWN_HOST_REVOKED 5

/**
 * It is the host's own.
 */
#define NACRE_KNOWN_HOSTS_KEY 0

/**
 * "@cert-authority": it signs the certificates of the hosts.
 */
#define NACRE_KNOWN_HOSTS_CERT_AUTHORITY 1

/**
 * "@revoked": neither it nor what it has signed is ever right.
 */
#define NACRE_KNOWN_HOSTS_REVOKED 2

/**
 * Time from the first byte until keys are in use (30,000).
 */
#define NACRE_LIMIT_HANDSHAKE 1

/**
 * Time until a user is authenticated; server: from the start, client: each method (120,000).
 */
#define NACRE_LIMIT_LOGIN 2

/**
 * Server, after login: time that a question waits for its answer; in both roles and at any time: that a signer or an agent
 * has for a signature (60,000).
 */
#define NACRE_LIMIT_DECISION 3

/**
 * Time that the peer may take to confirm a channel (60,000).
 */
#define NACRE_LIMIT_OPEN 4

/**
 * Time that an orderly end may take (10,000).
 */
#define NACRE_LIMIT_CLOSE 5

/**
 * Time that a later key exchange may take (60,000).
 */
#define NACRE_LIMIT_REKEY 6

/**
 * Bytes of the largest packet that is accepted (262,144).
 */
#define NACRE_LIMIT_MAX_PACKET 7

/**
 * Bytes that the window of a channel may grow to (8 MiB). More helps only where bandwidth times round trip is more.
 */
#define NACRE_LIMIT_MAX_WINDOW 8

/**
 * Channels open at once (1,024).
 */
#define NACRE_LIMIT_CHANNELS 9

/**
 * Channels opened by the peer that nobody has accepted yet (128).
 */
#define NACRE_LIMIT_ACCEPT_QUEUE 10

/**
 * Bytes of one stream of a channel that are kept unread while the other stream goes on (16 MiB), and, though never more
 * than 256 KiB, that a channel queues unsent.
 */
#define NACRE_LIMIT_CHANNEL_QUEUE 11

/**
 * Bytes that all channels of a connection may hold unread and be owed (64 MiB).
 */
#define NACRE_LIMIT_TRANSPORT_QUEUE 12

/**
 * Failed authentication attempts that end the connection (6).
 */
#define NACRE_LIMIT_AUTH_ATTEMPTS 13

/**
 * Authentication requests of any outcome that end the connection (1,024).
 */
#define NACRE_LIMIT_AUTH_REQUESTS 14

/**
 * Requests that wait for an answer (1,024).
 */
#define NACRE_LIMIT_REQUESTS 15

/**
 * Done.
 */
#define NACRE_OK 0

/**
 * Nothing is there yet, or the time ran out: an operation that was begun goes on.
 */
#define NACRE_ERR_AGAIN -1

/**
 * Final: a deadline of the connection passed (dial, handshake, login, open, keepalive, decision).
 */
#define NACRE_ERR_TIMEOUT -2

/**
 * The peer ended this stream with EOF or CLOSE, and everything before that was read.
 */
#define NACRE_ERR_EOF -3

/**
 * Closed on this side, or gone.
 */
#define NACRE_ERR_CLOSED -4

/**
 * The operation was cancelled.
 */
#define NACRE_ERR_CANCELLED -5

/**
 * The wait was interrupted by nacre_engine_wake or nacre_channel_wake.
 */
#define NACRE_ERR_INTERRUPTED -6

/**
 * The handle belongs to the process before fork().
 */
#define NACRE_ERR_FORKED -7

/**
 * NULL, an unknown value, or something else that no call of this kind takes.
 */
#define NACRE_ERR_ARGUMENT -8

/**
 * The buffer is too small: nothing was written to it, and `needed` says how large it has to be.
 */
#define NACRE_ERR_BUFFER -9

/**
 * Not now: too early, too late, or while another such operation is under way.
 */
#define NACRE_ERR_STATE -10

/**
 * The host's name could not be resolved.
 */
#define NACRE_ERR_RESOLVE -11

/**
 * No address of the host could be connected to.
 */
#define NACRE_ERR_CONNECT -12

/**
 * A system call failed on the connection or on a file: nacre_error_errno.
 */
#define NACRE_ERR_IO -13

/**
 * A callback of the application's said that it failed.
 */
#define NACRE_ERR_CALLBACK -14

/**
 * The peer broke the protocol, or what it sent was changed on its way.
 */
#define NACRE_ERR_PROTOCOL -15

/**
 * The two sides have no algorithm of some category in common: nacre_error_category and both lists.
 */
#define NACRE_ERR_NEGOTIATION -16

/**
 * The server's host key is not trusted: nacre_error_verdict.
 */
#define NACRE_ERR_HOST_KEY -17

/**
 * The server refused: nacre_error_auth_methods says what may continue.
 */
#define NACRE_ERR_AUTH_FAILED -18

/**
 * The server does not offer this method (now).
 */
#define NACRE_ERR_AUTH_METHOD -19

/**
 * This step was right; the server wants more steps.
 */
#define NACRE_ERR_AUTH_PARTIAL -20

/**
 * The peer refused to open the channel: nacre_error_open_code.
 */
#define NACRE_ERR_CHANNEL_REFUSED -21

/**
 * The peer refused the request.
 */
#define NACRE_ERR_REQUEST_DENIED -22

/**
 * No such algorithm, or not one that fits.
 */
#define NACRE_ERR_ALGORITHM -23

/**
 * The key is damaged or no key: nacre_error_line.
 */
#define NACRE_ERR_KEY_FORMAT -24

/**
 * The key file is encrypted and the passphrase is missing or wrong.
 */
#define NACRE_ERR_PASSPHRASE -25

/**
 * There is no such thing: a file, an operation, a value that is not known (yet).
 */
#define NACRE_ERR_NOT_FOUND -26

/**
 * The system refused access.
 */
#define NACRE_ERR_PERMISSION -27

/**
 * The SFTP server refused: nacre_error_sftp_code.
 */
#define NACRE_ERR_SFTP -28

/**
 * This version of nacre, or the peer, cannot do that.
 */
#define NACRE_ERR_UNSUPPORTED -29

/**
 * A DISCONNECT was sent or received: nacre_error_disconnect_code.
 */
#define NACRE_ERR_DISCONNECTED -30

/**
 * A limit was reached.
 */
#define NACRE_ERR_LIMIT -31

/**
 * GSSAPI failed.
 */
#define NACRE_ERR_GSSAPI -32

/**
 * Out of memory.
 */
#define NACRE_ERR_NO_MEMORY -33

/**
 * A fault of nacre's own.
 */
#define NACRE_ERR_INTERNAL -34

/**
 * No.
 */
#define NACRE_REJECT 0

/**
 * Yes. Of a channel: it goes to the accept queue.
 */
#define NACRE_ACCEPT 1

/**
 * Authentication: this step was right, and more are needed.
 */
#define NACRE_PARTIAL 2

/**
 * The answer comes later, through the ticket. Only callbacks return it.
 */
#define NACRE_DEFER 3

/**
 * Yes; of a channel: it is the application's from now on, past the accept queue, and has to be freed.
 */
#define NACRE_KEEP 4

/**
 * Client: is this host key right? nacre_ticket_key, nacre_ticket_verdict.
 */
#define NACRE_QUESTION_HOST_KEY 1

/**
 * Client, keyboard-interactive: texts are the prompts (nacre_ticket_echo), name and instruction (_data) what to show
 * above them. Answered by nacre_ticket_answer_texts with one text a prompt.
 */
#define NACRE_QUESTION_PROMPTS 2

/**
 * Client: the server wants a new password; text 0 is its prompt. Answered by nacre_ticket_answer_texts with one text.
 */
#define NACRE_QUESTION_NEW_PASSWORD 3

/**
 * Server: which methods may this user try? Answered by nacre_ticket_answer_texts with the names.
 */
#define NACRE_QUESTION_ALLOWED_AUTHS 4

/**
 * Server: may this user in without anything?
 */
#define NACRE_QUESTION_AUTH_NONE 5

/**
 * Server: text 0 is the password. Also answered by nacre_ticket_answer_password_change.
 */
#define NACRE_QUESTION_AUTH_PASSWORD 6

/**
 * Server: text 0 is the old password, text 1 the new one. Also answered by nacre_ticket_answer_password_change.
 */
#define NACRE_QUESTION_AUTH_PASSWORD_CHANGE 7

/**
 * Server: nacre_ticket_key, nacre_ticket_verified; name is the signature algorithm.
 */
#define NACRE_QUESTION_AUTH_PUBLICKEY 8

/**
 * Server: keyboard-interactive begins; text 0 is what submethods the client would like. Also answered by
 * nacre_ticket_answer_prompts.
 */
#define NACRE_QUESTION_AUTH_INTERACTIVE 9

/**
 * Server: texts are the answers to the prompts. Also answered by nacre_ticket_answer_prompts, for another round.
 */
#define NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS 10

/**
 * The peer opens a channel: name is its type, data what the type brings. Also answered by nacre_ticket_answer_refuse.
 */
#define NACRE_QUESTION_CHANNEL_OPEN 11

/**
 * A request on a channel: nacre_ticket_request, and its texts and data as nacre_request names them.
 */
#define NACRE_QUESTION_CHANNEL_REQUEST 12

/**
 * A global request: name and data; nacre_ticket_address of one to listen. Also answered by nacre_ticket_answer_bytes and
 * nacre_ticket_answer_port; a request to listen at port 0 is accepted only by the latter.
 */
#define NACRE_QUESTION_GLOBAL_REQUEST 13

/**
 * A signature by a key made with nacre_key_from_signer: nacre_ticket_key, name is the algorithm, data what is to be signed
 * (not hashed). Answered by nacre_ticket_answer_bytes with the signature; any nacre_ticket_answer refuses.
 */
#define NACRE_QUESTION_SIGN 14

/**
 * A terminal: text 0 is TERM, data the encoded modes (RFC 4254 section 8), and nacre_ticket_size.
 */
#define NACRE_REQUEST_PTY 1

/**
 * The user's shell.
 */
#define NACRE_REQUEST_SHELL 2

/**
 * Text 0 is the command.
 */
#define NACRE_REQUEST_EXEC 3

/**
 * Text 0 is the subsystem's name.
 */
#define NACRE_REQUEST_SUBSYSTEM 4

/**
 * Text 0 is the variable's name, text 1 its value.
 */
#define NACRE_REQUEST_ENV 5

/**
 * The terminal has another size: nacre_ticket_size.
 */
#define NACRE_REQUEST_WINDOW_CHANGE 6

/**
 * Text 0 is the signal's name without SIG.
 */
#define NACRE_REQUEST_SIGNAL 7

/**
 * A break of so many milliseconds (nacre_request).
 */
#define NACRE_REQUEST_BREAK 8

/**
 * Another request: name and data.
 */
#define NACRE_REQUEST_OTHER 9

/**
 * Through callbacks; the default.
 */
#define NACRE_AS_CALLBACKS 0

/**
 * Through QUESTION events: no callback runs.
 */
#define NACRE_AS_EVENTS 1

/**
 * Key exchange.
 */
#define NACRE_ALG_KEX 1

/**
 * Signatures of the server's host key.
 */
#define NACRE_ALG_HOST_KEY 2

/**
 * Ciphers.
 */
#define NACRE_ALG_CIPHER 3

/**
 * MACs; ciphers that authenticate by themselves use none.
 */
#define NACRE_ALG_MAC 4

/**
 * Compression.
 */
#define NACRE_ALG_COMPRESSION 5

/**
 * Signatures of users' keys.
 */
#define NACRE_ALG_PUBKEY_SIGNATURE 6

/**
 * Safe, and understood by what is in use today. docs/algorithms.md gives the lists and their reasons.
 */
#define NACRE_POLICY_DEFAULT 0

/**
 * Only exchanges that withstand a quantum computer (mlkem768x25519, sntrup761x25519), ed25519 and rsa-sha2 signatures, and
 * packets protected by an AEAD or by encrypt-then-MAC. The peer has to do strict key exchange.
 */
#define NACRE_POLICY_STRICT 1

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Begins the end of the channel: what is queued is still sent, then CLOSE. Waits in other threads end with
 * NACRE_ERR_CLOSED. Ends with NACRE_EVENT_CHANNEL_CLOSED.
 */
nacre_status nacre_channel_close(struct nacre_channel *channel);

/**
 * Adds an owner: one nacre_channel_free more is needed.
 */
nacre_status nacre_channel_ref(struct nacre_channel *channel);

/**
 * Gives the channel up; it has to be the owner's last use of the handle. The last owner's call closes it. Waits for
 * nothing, may be called from a callback, also after the transport was freed. NULL is nothing.
 */
void nacre_channel_free(struct nacre_channel *channel);

/**
 * This side's number of the channel.
 */
nacre_status nacre_channel_id(const struct nacre_channel *channel, uint32_t *id);

/**
 * What is known of the channel.
 */
nacre_status nacre_channel_info(const struct nacre_channel *channel, struct nacre_channel_state *info);

/**
 * The type of the channel, such as "session".
 */
nacre_status nacre_channel_kind(const struct nacre_channel *channel, char *buf, size_t cap, size_t *needed);

/**
 * Where the channel is to go, or (forwarded) came to: host and port (may be NULL). NACRE_ERR_NOT_FOUND: its type has no
 * such thing.
 */
nacre_status nacre_channel_destination(const struct nacre_channel *channel,
                                       char *buf,
                                       size_t cap,
                                       size_t *needed,
                                       uint32_t *port);

/**
 * Where the channel comes from, as whoever opened it says: host and port (may be NULL). NACRE_ERR_NOT_FOUND: its type has
 * no such thing.
 */
nacre_status nacre_channel_originator(const struct nacre_channel *channel,
                                      char *buf,
                                      size_t cap,
                                      size_t *needed,
                                      uint32_t *port);

/**
 * The Unix socket that the channel is to go, or came, to; any bytes. NACRE_ERR_NOT_FOUND: its type has no such thing.
 */
nacre_status nacre_channel_path(const struct nacre_channel *channel, char *buf, size_t cap, size_t *needed);

/**
 * The transport of the channel, with an owner more: the caller has to free it.
 */
nacre_status nacre_channel_transport(const struct nacre_channel *channel, struct nacre_transport **transport);

/**
 * A descriptor that is readable exactly while what NACRE_CHANNEL_* value `what` says is so. It belongs to the channel:
 * poll it only.
 */
nacre_status nacre_channel_event_fd(struct nacre_channel *channel,
                                    nacre_channel_what what,
                                    int32_t *fd);

/**
 * Interrupts: calls on this channel that wait return NACRE_ERR_INTERRUPTED, and when none waits the next one does.
 */
nacre_status nacre_channel_wake(struct nacre_channel *channel);

/**
 * Takes an error: with `op` 0 the last one of this channel, else that of this operation. `*err` is the caller's to free.
 * NACRE_ERR_NOT_FOUND: there is none.
 */
nacre_status nacre_channel_take_error(struct nacre_channel *channel,
                                      uint64_t op,
                                      struct nacre_error **err);

/**
 * Keeps a pointer of yours on the channel; events carry it. `destroy` (may be NULL) runs exactly once: when another takes
 * its place, when the channel is gone, or when this call fails.
 */
nacre_status nacre_channel_set_userdata(struct nacre_channel *channel,
                                        void *userdata,
                                        void (*destroy)(void *userdata));

/**
 * The pointer that nacre_channel_set_userdata keeps; NULL when there is none.
 */
void *nacre_channel_userdata(const struct nacre_channel *channel);

/**
 * One line for debugging: number, type, state, windows.
 */
nacre_status nacre_channel_describe(const struct nacre_channel *channel, char *buf, size_t cap, size_t *needed);

/**
 * Starts a command. Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_REQUEST_DENIED: the server refused.
 */
nacre_status nacre_channel_exec(struct nacre_channel *channel, const char *command, int32_t timeout_ms, uint64_t *op);

/**
 * Starts the user's shell. As nacre_channel_exec.
 */
nacre_status nacre_channel_shell(struct nacre_channel *channel, int32_t timeout_ms, uint64_t *op);

/**
 * Starts a subsystem, such as "sftp". As nacre_channel_exec.
 */
nacre_status nacre_channel_subsystem(struct nacre_channel *channel,
                                     const char *name,
                                     int32_t timeout_ms,
                                     uint64_t *op);

/**
 * Asks for a terminal, before the command or shell. `term` is the value of TERM; sizes in characters and in pixels (0:
 * not known); `modes` (may be NULL) encoded as RFC 4254 section 8 says.
 */
nacre_status nacre_channel_pty(struct nacre_channel *channel,
                               const char *term,
                               uint32_t columns,
                               uint32_t rows,
                               uint32_t width_pixels,
                               uint32_t height_pixels,
                               const void *modes,
                               size_t modes_len,
                               int32_t timeout_ms,
                               uint64_t *op);

/**
 * Tells of the new size of the terminal. There is no reply.
 */
nacre_status nacre_channel_resize(struct nacre_channel *channel,
                                  uint32_t columns,
                                  uint32_t rows,
                                  uint32_t width_pixels,
                                  uint32_t height_pixels);

/**
 * Sets a variable in the command's environment, before the command or shell. Servers allow few.
 */
nacre_status nacre_channel_env(struct nacre_channel *channel,
                               const char *name,
                               const char *value,
                               int32_t timeout_ms,
                               uint64_t *op);

/**
 * Sends the command a signal: its name without SIG, such as "TERM". There is no reply.
 */
nacre_status nacre_channel_send_signal(struct nacre_channel *channel, const char *signal);

/**
 * Sends a break of so many milliseconds (RFC 4335).
 */
nacre_status nacre_channel_send_break(struct nacre_channel *channel,
                                      uint32_t break_ms,
                                      int32_t timeout_ms,
                                      uint64_t *op);

/**
 * Server: says how the command ended. nacre_channel_finish does this and ends the channel.
 */
nacre_status nacre_channel_send_exit_status(struct nacre_channel *channel, uint32_t status);

/**
 * Server: says which signal (its name without SIG) ended the command. `message` may be NULL.
 */
nacre_status nacre_channel_send_exit_signal(struct nacre_channel *channel,
                                            const char *signal,
                                            int32_t core_dumped,
                                            const char *message);

/**
 * Server: after everything that is queued, sends EOF, the exit status and CLOSE, in this order. Does not wait.
 */
nacre_status nacre_channel_finish(struct nacre_channel *channel, uint32_t status);

/**
 * Sends any request with raw data. `want_reply` is 1 or 0; without a reply the call ends at once.
 */
nacre_status nacre_channel_request(struct nacre_channel *channel,
                                   const char *name,
                                   const void *data,
                                   size_t len,
                                   int32_t want_reply,
                                   int32_t timeout_ms,
                                   uint64_t *op);

/**
 * Waits until the peer has said how the command ended.
 *
 * `exit->size` has to be set (NACRE_INIT). NACRE_ERR_CLOSED: the channel ended without it.
 */
nacre_status nacre_channel_wait_exit(struct nacre_channel *channel, int32_t timeout_ms, struct nacre_exit *exit);

/**
 * The text that came with an exit signal; often empty. NACRE_ERR_NOT_FOUND: no signal was told of.
 */
nacre_status nacre_channel_exit_message(const struct nacre_channel *channel, char *buf, size_t cap, size_t *needed);

/**
 * Reads up to `cap` bytes of the output; waits until there is at least one. `*n` is set whatever the status.
 *
 * NACRE_ERR_EOF: everything was read, and the peer has sent EOF or CLOSE. A connection that was lost gives the status that
 * ended it instead, so that a cut never looks like the end. NACRE_ERR_LIMIT: this stream was not read while the other was,
 * and more came on it than NACRE_LIMIT_CHANNEL_QUEUE allows; what came after that is lost.
 */
nacre_status nacre_channel_read(struct nacre_channel *channel,
                                void *buf,
                                size_t cap,
                                int32_t timeout_ms,
                                size_t *n);

/**
 * Reads the error output. As nacre_channel_read.
 */
nacre_status nacre_channel_read_stderr(struct nacre_channel *channel,
                                       void *buf,
                                       size_t cap,
                                       int32_t timeout_ms,
                                       size_t *n);

/**
 * Copies what nacre_channel_read would give, and leaves it there.
 */
nacre_status nacre_channel_peek(struct nacre_channel *channel, void *buf, size_t cap, int32_t timeout_ms, size_t *n);

/**
 * Writes: waits until at least one byte was taken. `*n` says how many were, whatever the status.
 *
 * NACRE_ERR_STATE: after nacre_channel_send_eof. NACRE_ERR_CLOSED: the channel is closed.
 */
nacre_status nacre_channel_write(struct nacre_channel *channel,
                                 const void *data,
                                 size_t len,
                                 int32_t timeout_ms,
                                 size_t *n);

/**
 * Writes to the error stream, which servers have. As nacre_channel_write.
 */
nacre_status nacre_channel_write_stderr(struct nacre_channel *channel,
                                        const void *data,
                                        size_t len,
                                        int32_t timeout_ms,
                                        size_t *n);

/**
 * Writes all of it; two such calls are not mixed. `*n` says how many bytes were taken, whatever the status: on
 * NACRE_ERR_AGAIN go on behind them.
 */
nacre_status nacre_channel_write_all(struct nacre_channel *channel,
                                     const void *data,
                                     size_t len,
                                     int32_t timeout_ms,
                                     size_t *n);

/**
 * Writes all of it to the error stream. As nacre_channel_write_all.
 */
nacre_status nacre_channel_write_all_stderr(struct nacre_channel *channel,
                                            const void *data,
                                            size_t len,
                                            int32_t timeout_ms,
                                            size_t *n);

/**
 * Waits until everything that was written is with the kernel.
 */
nacre_status nacre_channel_flush(struct nacre_channel *channel, int32_t timeout_ms);

/**
 * How many bytes of output can be read at once.
 */
nacre_status nacre_channel_readable(const struct nacre_channel *channel, size_t *n);

/**
 * How many bytes of error output can be read at once.
 */
nacre_status nacre_channel_readable_stderr(const struct nacre_channel *channel, size_t *n);

/**
 * How many bytes a write takes at once.
 */
nacre_status nacre_channel_writable(const struct nacre_channel *channel, size_t *n);

/**
 * Says that nothing more will be written. What was written before is still sent.
 */
nacre_status nacre_channel_send_eof(struct nacre_channel *channel);

/**
 * Says where the peer's error output goes: a NACRE_STDERR_* value.
 */
nacre_status nacre_channel_set_stderr(struct nacre_channel *channel, nacre_stderr_mode mode);

/**
 * Where the peer's error output goes: a NACRE_STDERR_* value. NACRE_ERR_CLOSED: the channel is gone.
 */
nacre_status nacre_channel_stderr(const struct nacre_channel *channel, nacre_stderr_mode *mode);

/**
 * Makes an engine. `options` NULL: all defaults, so no threads.
 */
nacre_status nacre_engine_new(const struct nacre_engine_options *options, struct nacre_engine **engine);

/**
 * Adds an owner: one nacre_engine_free more is needed. Nothing for NULL.
 */
nacre_status nacre_engine_ref(struct nacre_engine *engine);

/**
 * Gives the engine up. It lives on until its last transport is gone too; then its threads end by themselves. Joins no
 * thread, waits for nothing, may be called from a callback. NULL is nothing.
 */
void nacre_engine_free(struct nacre_engine *engine);

/**
 * Closes what is open, orderly, and waits until the engine's threads are gone. The handle has to be freed all the same;
 * of the default engine (NULL) nothing is left, and its next use makes another.
 *
 * NACRE_ERR_AGAIN: the time ran out and the end goes on.
 */
nacre_status nacre_engine_close(struct nacre_engine *engine,
                                int32_t timeout_ms);

/**
 * Engines without threads: does one bounded round of what there is to do (sockets, timers, callbacks), after waiting
 * for it at most so long. Callbacks run on this thread.
 *
 * NACRE_OK: something was done, or an event waits for nacre_engine_next_event. NACRE_ERR_AGAIN: neither.
 * NACRE_ERR_INTERRUPTED: nacre_engine_wake. NACRE_ERR_STATE: the engine has threads.
 */
nacre_status nacre_engine_dispatch(struct nacre_engine *engine, int32_t timeout_ms);

/**
 * Engines without threads: a descriptor that is readable whenever nacre_engine_dispatch has something to do or
 * nacre_engine_next_event something to give. It belongs to the engine: poll it only.
 */
nacre_status nacre_engine_fd(struct nacre_engine *engine, int32_t *fd);

/**
 * A descriptor that is readable exactly while an event of any transport waits. It belongs to the engine: poll it only.
 */
nacre_status nacre_engine_event_fd(struct nacre_engine *engine,
                                   int32_t *fd);

/**
 * Takes the next event of any transport of the engine, transports in turn. NACRE_ERR_AGAIN: there is none.
 *
 * `event->size` has to be set (NACRE_INIT). `message` and `ticket` in it are the caller's to free; transport and channel
 * are borrowed.
 */
nacre_status nacre_engine_next_event(struct nacre_engine *engine,
                                     struct nacre_event *event);

/**
 * Interrupts: calls of this engine that wait return NACRE_ERR_INTERRUPTED, and when none waits the next one does.
 * Operations stay under way. The one function that a signal handler may call.
 */
nacre_status nacre_engine_wake(struct nacre_engine *engine);

/**
 * In a child after fork(): closes the engine's descriptors without sending anything, and leaves the parent's connections
 * alone. Takes no lock. NULL: the default engine, which is made anew at next use.
 */
void nacre_engine_atfork(struct nacre_engine *engine);

/**
 * In a child after fork(), engines without threads: goes on here with the engine's connections, which the parent must
 * not use any more.
 */
nacre_status nacre_engine_adopt(struct nacre_engine *engine);

/**
 * Sets a limit (NACRE_LIMIT_*) for transports that are made later.
 */
nacre_status nacre_engine_set_limit(struct nacre_engine *engine, nacre_limit which, uint64_t value);

/**
 * A limit that transports made later will have.
 */
nacre_status nacre_engine_limit(struct nacre_engine *engine, nacre_limit which, uint64_t *value);

/**
 * Keeps a pointer of yours on the engine. `destroy` (may be NULL) runs exactly once: when another takes its place, when
 * the engine is gone, or when this call fails.
 */
nacre_status nacre_engine_set_userdata(struct nacre_engine *engine,
                                       void *userdata,
                                       void (*destroy)(void *userdata));

/**
 * The pointer that nacre_engine_set_userdata keeps; NULL when there is none.
 */
void *nacre_engine_userdata(const struct nacre_engine *engine);

/**
 * The status that this failure has as the result of a call. NULL: NACRE_ERR_ARGUMENT.
 */
nacre_status nacre_error_status(const struct nacre_error *err);

/**
 * A full sentence in English, fit for a log: a peer's text in it is cleaned of control characters.
 */
nacre_status nacre_error_text(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_NEGOTIATION: what the two sides have nothing in common of, such as "cipher client to server".
 */
nacre_status nacre_error_category(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_NEGOTIATION: what this side offered in that category, comma separated.
 */
nacre_status nacre_error_local_list(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_NEGOTIATION: what the peer offered in that category, comma separated.
 */
nacre_status nacre_error_remote_list(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_AUTH_*: the methods that may continue, comma separated, as the server sent them.
 */
nacre_status nacre_error_auth_methods(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_CHANNEL_REFUSED: the peer's reason code (RFC 4254 section 5.1).
 */
nacre_status nacre_error_open_code(const struct nacre_error *err, uint32_t *code);

/**
 * NACRE_ERR_CHANNEL_REFUSED: the peer's text, cleaned.
 */
nacre_status nacre_error_open_text(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_DISCONNECTED: the reason code (RFC 4253 section 11.1).
 */
nacre_status nacre_error_disconnect_code(const struct nacre_error *err, uint32_t *code);

/**
 * NACRE_ERR_DISCONNECTED: the text that came with it, cleaned.
 */
nacre_status nacre_error_disconnect_text(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_DISCONNECTED: 1 when the peer sent it, 0 when this side did.
 */
nacre_status nacre_error_disconnect_by_peer(const struct nacre_error *err, int32_t *by_peer);

/**
 * NACRE_ERR_HOST_KEY: a NACRE_VERDICT_* value.
 */
nacre_status nacre_error_verdict(const struct nacre_error *err, nacre_verdict *verdict);

/**
 * NACRE_ERR_CONNECT: the address tried last.
 */
nacre_status nacre_error_address(const struct nacre_error *err, char *buf, size_t cap, size_t *needed);

/**
 * NACRE_ERR_KEY_FORMAT: the line of the file, from 1.
 */
nacre_status nacre_error_line(const struct nacre_error *err, uint32_t *line);

/**
 * NACRE_ERR_SFTP: the status code of the server.
 */
nacre_status nacre_error_sftp_code(const struct nacre_error *err, uint32_t *code);

/**
 * NACRE_ERR_CONNECT and NACRE_ERR_IO: errno of the system call that failed.
 */
nacre_status nacre_error_errno(const struct nacre_error *err, int32_t *number);

/**
 * Frees it. NULL is nothing.
 */
void nacre_error_free(struct nacre_error *err);

/**
 * Reads a key from a file: a private key in OpenSSH's format, or the one line of a public key (NAME.pub).
 *
 * `passphrase` may be NULL; it is not looked at when the file is not encrypted.
 * Errors: NACRE_ERR_NOT_FOUND, _PERMISSION, _IO for the file; _PASSPHRASE missing or wrong; _KEY_FORMAT; _UNSUPPORTED.
 */
nacre_status nacre_key_load_file(const char *path,
                                 const char *passphrase,
                                 struct nacre_key **key,
                                 struct nacre_error **err);

/**
 * Reads a key from memory that holds what a file would hold. The rest is as for nacre_key_load_file.
 */
nacre_status nacre_key_load_memory(const void *data,
                                   size_t len,
                                   const char *passphrase,
                                   struct nacre_key **key,
                                   struct nacre_error **err);

/**
 * Makes a public key from its blob on the wire (RFC 4253 section 6.6).
 */
nacre_status nacre_key_from_blob(const void *blob, size_t len, struct nacre_key **key, struct nacre_error **err);

/**
 * Makes a new private key.
 *
 * `kind` is a NACRE_KEY_* value. `bits` 0: the usual number (ECDSA 256, RSA 3072). `comment` may be NULL.
 */
nacre_status nacre_key_generate(nacre_key_kind kind,
                                uint32_t bits,
                                const char *comment,
                                struct nacre_key **key,
                                struct nacre_error **err);

/**
 * The public half as it is on the wire.
 */
nacre_status nacre_key_public_blob(const struct nacre_key *key, void *buf, size_t cap, size_t *needed);

/**
 * The public half as the line of a .pub or authorized_keys file, without a line end.
 */
nacre_status nacre_key_public_line(const struct nacre_key *key, char *buf, size_t cap, size_t *needed);

/**
 * The type of the key, such as "ssh-ed25519".
 */
nacre_status nacre_key_algorithm(const struct nacre_key *key, char *buf, size_t cap, size_t *needed);

/**
 * The size of the key in bits.
 */
nacre_status nacre_key_bits(const struct nacre_key *key, uint32_t *bits);

/**
 * The comment, which may be empty.
 */
nacre_status nacre_key_comment(const struct nacre_key *key, char *buf, size_t cap, size_t *needed);

/**
 * 1 when it can sign: the private half is there, or somebody who has it signs; else 0 (also for NULL).
 */
int32_t nacre_key_is_private(const struct nacre_key *key);

/**
 * The fingerprint of the public half, as OpenSSH shows it; `kind` is a NACRE_FINGERPRINT_* value.
 */
nacre_status nacre_key_fingerprint(const struct nacre_key *key,
                                   nacre_fingerprint_kind kind,
                                   char *buf,
                                   size_t cap,
                                   size_t *needed);

/**
 * Whether two keys have the same public half: 1 or 0. Comments do not count.
 */
nacre_status nacre_key_equal(const struct nacre_key *key, const struct nacre_key *other, int32_t *equal);

/**
 * Signs data, which is hashed inside. The result is the signature blob of the protocol: the algorithm's name and the
 * signature.
 *
 * `algorithm` NULL: the preferred one of the key. 4,096 bytes are room enough for every key; each call signs anew, so
 * that `needed` may differ by a few bytes between calls.
 * Errors: NACRE_ERR_ARGUMENT for a public key, _ALGORITHM for one that does not fit; of a key of nacre_key_from_signer
 * _CALLBACK, _TIMEOUT, and _STATE inside a callback, where its signer is not asked.
 */
nacre_status nacre_key_sign(const struct nacre_key *key,
                            const char *algorithm,
                            const void *data,
                            size_t len,
                            void *buf,
                            size_t cap,
                            size_t *needed);

/**
 * Checks a signature blob. NACRE_OK: it is this key's signature of the data; every other status means that it is not.
 *
 * `algorithm` NULL: any that fits the key but "ssh-rsa"; else the signature has to be of that one. An RSA key of less than
 * 2,048 bits verifies nothing, and a security key has to have been touched for the signature.
 */
nacre_status nacre_key_verify(const struct nacre_key *key,
                              const char *algorithm,
                              const void *data,
                              size_t len,
                              const void *signature,
                              size_t signature_len);

/**
 * Writes the private key to a file that only its owner can read, in one step: either the whole file is there afterwards
 * or what was there before.
 *
 * `format` is a NACRE_KEY_* format; `passphrase` NULL: not encrypted.
 */
nacre_status nacre_key_save(const struct nacre_key *key,
                            const char *path,
                            nacre_key_format format,
                            const char *passphrase);

/**
 * Adds an owner: one nacre_key_free more is needed.
 */
nacre_status nacre_key_ref(struct nacre_key *key);

/**
 * Gives the key up; the last owner's call frees it. NULL is nothing.
 */
void nacre_key_free(struct nacre_key *key);

/**
 * Makes an empty list.
 */
nacre_status nacre_known_hosts_new(struct nacre_known_hosts **known_hosts, struct nacre_error **err);

/**
 * Reads a known_hosts file. Lines that cannot be read are kept and say nothing; nacre_known_hosts_problem tells of them.
 *
 * `flags`: NACRE_KNOWN_HOSTS_MAY_BE_MISSING or 0. Errors: NACRE_ERR_NOT_FOUND, _PERMISSION, _IO.
 */
nacre_status nacre_known_hosts_load_file(const char *path,
                                         uint32_t flags,
                                         struct nacre_known_hosts **known_hosts,
                                         struct nacre_error **err);

/**
 * Reads what a known_hosts file would hold from memory. Nothing is written unless nacre_known_hosts_save names a file.
 */
nacre_status nacre_known_hosts_load_memory(const void *data,
                                           size_t len,
                                           struct nacre_known_hosts **known_hosts,
                                           struct nacre_error **err);

/**
 * How a key stands that a host shows: a NACRE_KNOWN_HOST_* value.
 *
 * `port` 0 is 22. `line` (may be NULL) says which line decided, from 1; 0 when none did.
 */
nacre_status nacre_known_hosts_check(const struct nacre_known_hosts *known_hosts,
                                     const char *host,
                                     uint32_t port,
                                     const struct nacre_key *key,
                                     nacre_known_host *result,
                                     size_t *line);

/**
 * One of the keys that the list has for a host, by number from 0; NACRE_ERR_NOT_FOUND behind the last. It is the caller's
 * to free.
 *
 * `marker` says which: the host's own (only those for this very port), the authorities whose certificates are right for
 * it, or the revoked ones. Keys of types that nacre does not know are passed over. `line` (may be NULL): its line.
 */
nacre_status nacre_known_hosts_key(const struct nacre_known_hosts *known_hosts,
                                   const char *host,
                                   uint32_t port,
                                   nacre_known_hosts_marker marker,
                                   size_t index,
                                   struct nacre_key **key,
                                   size_t *line);

/**
 * Adds a line at the end, in memory: nacre_known_hosts_save writes it. A line that says so already stays alone.
 *
 * `host` has to be one name or address; with a marker it may be a list of patterns with commas. `port` 0 is 22. `flags`:
 * NACRE_KNOWN_HOSTS_HASHED or 0. `comment` may be NULL. NACRE_ERR_ARGUMENT: the host cannot be written into such a file.
 */
nacre_status nacre_known_hosts_add(struct nacre_known_hosts *known_hosts,
                                   const char *host,
                                   uint32_t port,
                                   const struct nacre_key *key,
                                   nacre_known_hosts_marker marker,
                                   uint32_t flags,
                                   const char *comment);

/**
 * Takes away the lines that say this key of this host and port; `key` NULL: every line that says a key of it. They go as
 * with ssh-keygen -R: whole, whatever other hosts they name, but those with a marker stay. In memory:
 * nacre_known_hosts_save writes it. `count` (may be NULL) says how many lines there were; none is no error.
 */
nacre_status nacre_known_hosts_remove(struct nacre_known_hosts *known_hosts,
                                      const char *host,
                                      uint32_t port,
                                      const struct nacre_key *key,
                                      size_t *count);

/**
 * Hashes all names, as ssh-keygen -H does: a line with several becomes several. Patterns, and lines with a marker, stay.
 * In memory: nacre_known_hosts_save writes it. `count` (may be NULL) says how many names were hashed.
 */
nacre_status nacre_known_hosts_hash(struct nacre_known_hosts *known_hosts,
                                    size_t *count);

/**
 * Writes the list to a file that only its owner can read, in one step: either all of it is there afterwards, or what was
 * there before. A symbolic link stays, and what it leads to is written.
 *
 * `path` NULL: the file that the list was read from. What others have added to the end of that since is kept and taken
 * over; NACRE_ERR_STATE: they have changed it in another way, so that it has to be read again first. Errors:
 * NACRE_ERR_ARGUMENT when there is no file, _PERMISSION, _IO.
 */
nacre_status nacre_known_hosts_save(struct nacre_known_hosts *known_hosts,
                                    const char *path);

/**
 * The lines as nacre_known_hosts_save would write them.
 */
nacre_status nacre_known_hosts_text(const struct nacre_known_hosts *known_hosts,
                                    void *buf,
                                    size_t cap,
                                    size_t *needed);

/**
 * The host key algorithms in the order in which a client asks for them: if the host has keys, those that fit them come
 * first, so that the server shows one that is known; unless the first of all fits anyway. A client does so by itself when
 * the list is in its nacre_host_key_check.
 *
 * `algorithms` is as for nacre_transport_set_algorithms; `algorithms` NULL: the default list.
 */
nacre_status nacre_known_hosts_algorithms(const struct nacre_known_hosts *known_hosts,
                                          const char *host,
                                          uint32_t port,
                                          const char *algorithms,
                                          char *buf,
                                          size_t cap,
                                          size_t *needed);

/**
 * Why a line says nothing, by number from 0 among those that are neither blank nor comments and cannot be read:
 * nacre_error_line tells which it is. The caller frees the error. NACRE_ERR_NOT_FOUND behind the last.
 */
nacre_status nacre_known_hosts_problem(const struct nacre_known_hosts *known_hosts,
                                       size_t index,
                                       struct nacre_error **err);

/**
 * Why a key that was accepted (NACRE_HOST_KEY_ADD) could not be added to the file: the last such error. Neither the
 * connection nor what is known in memory suffers from it. NACRE_ERR_NOT_FOUND: there is none.
 */
nacre_status nacre_known_hosts_take_error(struct nacre_known_hosts *known_hosts, struct nacre_error **err);

/**
 * Adds an owner: one nacre_known_hosts_free more is needed.
 */
nacre_status nacre_known_hosts_ref(struct nacre_known_hosts *known_hosts);

/**
 * Gives the list up; the last owner's call frees it. Nothing is written. NULL is nothing.
 */
void nacre_known_hosts_free(struct nacre_known_hosts *known_hosts);

/**
 * Makes an empty message.
 */
nacre_status nacre_message_new(struct nacre_message **message);

/**
 * Appends a byte.
 */
nacre_status nacre_message_add_byte(struct nacre_message *message, uint8_t value);

/**
 * Appends a boolean: 0 is FALSE, 1 is TRUE.
 */
nacre_status nacre_message_add_boolean(struct nacre_message *message, int32_t value);

/**
 * Appends a uint32.
 */
nacre_status nacre_message_add_uint32(struct nacre_message *message, uint32_t value);

/**
 * Appends a uint64.
 */
nacre_status nacre_message_add_uint64(struct nacre_message *message, uint64_t value);

/**
 * Appends a string: its length and its bytes.
 */
nacre_status nacre_message_add_string(struct nacre_message *message, const void *data, size_t len);

/**
 * Appends a non-negative mpint, given as its bytes, the highest first.
 */
nacre_status nacre_message_add_mpint(struct nacre_message *message, const void *magnitude, size_t len);

/**
 * Appends a name-list, given comma separated.
 */
nacre_status nacre_message_add_name_list(struct nacre_message *message, const char *names);

/**
 * Appends bytes as they are, without a length.
 */
nacre_status nacre_message_add_bytes(struct nacre_message *message, const void *data, size_t len);

/**
 * Reads a byte.
 */
nacre_status nacre_message_get_byte(struct nacre_message *message, uint8_t *value);

/**
 * Reads a boolean: 0 or 1.
 */
nacre_status nacre_message_get_boolean(struct nacre_message *message, int32_t *value);

/**
 * Reads a uint32.
 */
nacre_status nacre_message_get_uint32(struct nacre_message *message, uint32_t *value);

/**
 * Reads a uint64.
 */
nacre_status nacre_message_get_uint64(struct nacre_message *message, uint64_t *value);

/**
 * Reads a string: its bytes, without a NUL after them.
 */
nacre_status nacre_message_get_string(struct nacre_message *message, void *buf, size_t cap, size_t *needed);

/**
 * Reads a non-negative mpint: its bytes, the highest first, without leading zeros.
 */
nacre_status nacre_message_get_mpint(struct nacre_message *message, void *buf, size_t cap, size_t *needed);

/**
 * Reads a name-list as a comma separated string.
 */
nacre_status nacre_message_get_name_list(struct nacre_message *message, char *buf, size_t cap, size_t *needed);

/**
 * Reads just so many bytes.
 */
nacre_status nacre_message_get_bytes(struct nacre_message *message, void *buf, size_t len);

/**
 * Starts reading from the beginning again.
 */
nacre_status nacre_message_rewind(struct nacre_message *message);

/**
 * A copy of what has not been read yet; it stays unread.
 */
nacre_status nacre_message_remainder(const struct nacre_message *message, void *buf, size_t cap, size_t *needed);

/**
 * A copy of the whole message, read or not.
 */
nacre_status nacre_message_bytes(const struct nacre_message *message, void *buf, size_t cap, size_t *needed);

/**
 * Frees it. NULL is nothing.
 */
void nacre_message_free(struct nacre_message *message);

/**
 * Reads the primes that servers of this process give out in group exchanges (RFC 4419) from a file in the form of
 * OpenSSH's moduli(5), from now on and in place of those read before.
 *
 * `path` NULL: the first that there is of /etc/ssh/moduli, /usr/local/etc/moduli and /etc/moduli. `count` (may be NULL)
 * says how many primes are good: safe ones of 2,048 to 8,192 bits that were tested well. Lines that are not are passed
 * over. Without a file, and where no prime of the file fits a client's wish, servers give out the groups 14 to 18 of
 * RFC 3526. A server offers group exchanges only where they were named to `nacre_transport_set_algorithms`. Clients are
 * not concerned.
 *
 * NACRE_ERR_NOT_FOUND, NACRE_ERR_PERMISSION, NACRE_ERR_IO: the file cannot be read; NACRE_ERR_KEY_FORMAT: it has no
 * good prime. After an error nothing has changed. From any thread; the call waits for the disk.
 */
nacre_status nacre_load_moduli(const char *path,
                               size_t *count);

/**
 * Waits until at least one of `n` items is ready. `ready` is an array of `n` values, each set to 1 or 0; with one item it
 * is a pointer to one value. The engines of the items that have no threads are driven meanwhile.
 *
 * NACRE_ERR_AGAIN: none was ready in time. nacre_engine_wake interrupts the wait.
 */
nacre_status nacre_poll(const struct nacre_poll_item *const *items,
                        size_t n,
                        int32_t timeout_ms,
                        int32_t *ready);

/**
 * Makes a key that signs through the application: for users (nacre_transport_auth_publickey), as host key
 * (nacre_transport_add_host_key) and for nacre_key_sign.
 *
 * `public_blob` is the public half as it is on the wire (nacre_key_public_blob). `signer` is copied. While a connection
 * waits for a signature the decision limit applies (NACRE_LIMIT_DECISION), on the server also the limits of the
 * handshake and the login; without a connection 60 s do. A signature that does not verify, that is refused or that does
 * not come ends what it was for: NACRE_ERR_CALLBACK, and NACRE_ERR_TIMEOUT for the last.
 * Errors: NACRE_ERR_KEY_FORMAT and _UNSUPPORTED for the blob, _ARGUMENT.
 */
nacre_status nacre_key_from_signer(const void *public_blob,
                                   size_t len,
                                   const struct nacre_signer *signer,
                                   struct nacre_key **key,
                                   struct nacre_error **err);

/**
 * The name of a status, such as "ERR_AGAIN". Never NULL; the string lives as long as the process.
 */
const char *nacre_status_name(nacre_status status);

/**
 * What a status means, in a few words. Never NULL; the string lives as long as the process.
 */
const char *nacre_status_text(nacre_status status);

/**
 * What is asked: a NACRE_QUESTION_* value.
 */
nacre_status nacre_ticket_kind(const struct nacre_ticket *ticket, nacre_question *kind);

/**
 * The transport that asks, borrowed. NACRE_ERR_CLOSED: it is gone, or (NACRE_QUESTION_SIGN) there is none.
 */
nacre_status nacre_ticket_transport(const struct nacre_ticket *ticket, struct nacre_transport **transport);

/**
 * The channel in question, borrowed: it lives as long as the ticket. NACRE_ERR_NOT_FOUND: it is about none.
 */
nacre_status nacre_ticket_channel(const struct nacre_ticket *ticket, struct nacre_channel **channel);

/**
 * Server: the user that wants in. May hold any bytes: `needed` says how many.
 */
nacre_status nacre_ticket_user(const struct nacre_ticket *ticket, char *buf, size_t cap, size_t *needed);

/**
 * The key in question, the caller's to free.
 */
nacre_status nacre_ticket_key(const struct nacre_ticket *ticket, struct nacre_key **key);

/**
 * NACRE_QUESTION_HOST_KEY: NACRE_VERDICT_UNKNOWN or NACRE_VERDICT_CHANGED, as in nacre_host_key_check.
 */
nacre_status nacre_ticket_verdict(const struct nacre_ticket *ticket, nacre_verdict *verdict);

/**
 * NACRE_QUESTION_AUTH_PUBLICKEY: 0 when the client only asks whether this key would do, 1 when it has signed and the
 * signature is right. Accepting lets the user in only then.
 */
nacre_status nacre_ticket_verified(const struct nacre_ticket *ticket, int32_t *verified);

/**
 * NACRE_QUESTION_AUTH_PUBLICKEY, signed by a key in a security key: what that says of the signature. `flags`:
 * NACRE_SECURITY_KEY_* bits. `counter`: of its signatures; one that does not grow from login to login tells of a copy of
 * the key, but some always say 0. Either pointer may be NULL.
 *
 * NACRE_ERR_NOT_FOUND: another question, another kind of key, or nothing is signed yet.
 */
nacre_status nacre_ticket_security_key(const struct nacre_ticket *ticket,
                                       uint32_t *flags,
                                       uint32_t *counter);

/**
 * A name: of the channel's type, the request, the signature algorithm, or the heading of prompts.
 */
nacre_status nacre_ticket_name(const struct nacre_ticket *ticket, char *buf, size_t cap, size_t *needed);

/**
 * Bytes: what a channel type or a request brings, the modes of a terminal, the instruction of prompts, or what is to be
 * signed.
 */
nacre_status nacre_ticket_data(const struct nacre_ticket *ticket,
                               void *buf,
                               size_t cap,
                               size_t *needed);

/**
 * A request to listen, or to listen no more: the host (empty: all addresses) and the port (may be NULL), or the path of a
 * Unix socket and 0. Any bytes. NACRE_ERR_NOT_FOUND: it is another question.
 */
nacre_status nacre_ticket_address(const struct nacre_ticket *ticket,
                                  char *buf,
                                  size_t cap,
                                  size_t *needed,
                                  uint32_t *port);

/**
 * How many texts the question has.
 */
nacre_status nacre_ticket_text_count(const struct nacre_ticket *ticket, size_t *count);

/**
 * One of the texts, from 0: prompts, answers, passwords, the command; see NACRE_QUESTION_*. May hold any bytes.
 */
nacre_status nacre_ticket_text(const struct nacre_ticket *ticket,
                               size_t index,
                               char *buf,
                               size_t cap,
                               size_t *needed);

/**
 * NACRE_QUESTION_PROMPTS: 1 when the answer to this prompt may be shown while it is typed, else 0.
 */
nacre_status nacre_ticket_echo(const struct nacre_ticket *ticket, size_t index, int32_t *echo);

/**
 * NACRE_QUESTION_CHANNEL_REQUEST: a NACRE_REQUEST_* value; `want_reply` (may be NULL): 1 or 0.
 */
nacre_status nacre_ticket_request(const struct nacre_ticket *ticket, nacre_request_kind *kind, int32_t *want_reply);

/**
 * NACRE_REQUEST_PTY and NACRE_REQUEST_WINDOW_CHANGE: the size of the terminal. Any pointer may be NULL.
 */
nacre_status nacre_ticket_size(const struct nacre_ticket *ticket,
                               uint32_t *columns,
                               uint32_t *rows,
                               uint32_t *width_pixels,
                               uint32_t *height_pixels);

/**
 * Gives a ticket up that is the application's. Unanswered, the question is rejected. NULL is nothing.
 */
void nacre_ticket_free(struct nacre_ticket *ticket);

/**
 * Answers with a decision.
 *
 * Errors of this and all other answers: NACRE_ERR_STATE when it was answered before, NACRE_ERR_CLOSED when nothing waits
 * for the answer any more, NACRE_ERR_ARGUMENT when this question cannot be answered so.
 */
nacre_status nacre_ticket_answer(struct nacre_ticket *ticket,
                                 nacre_decision decision);

/**
 * Answers with texts: to prompts (one each), for a new password (one), or with the names of methods.
 */
nacre_status nacre_ticket_answer_texts(struct nacre_ticket *ticket, const char *const *texts, size_t count);

/**
 * Accepts a global request with data for the reply; gives the signature that was asked for.
 */
nacre_status nacre_ticket_answer_bytes(struct nacre_ticket *ticket, const void *data, size_t len);

/**
 * Accepts a request to listen with the port that was bound; where the client asked for a certain port, it has to be that
 * one.
 */
nacre_status nacre_ticket_answer_port(struct nacre_ticket *ticket,
                                      uint32_t port);

/**
 * Server, keyboard-interactive: sends prompts, `count` of them (may be 0); `echo[i]` is 1 when the answer may be shown.
 * The answers come as the next question. `name` and `instruction` may be NULL.
 */
nacre_status nacre_ticket_answer_prompts(struct nacre_ticket *ticket,
                                         const char *name,
                                         const char *instruction,
                                         const char *const *prompts,
                                         const int32_t *echo,
                                         size_t count);

/**
 * Server: the password has to be changed first; the client is shown `prompt`. The change comes as the next question.
 */
nacre_status nacre_ticket_answer_password_change(struct nacre_ticket *ticket, const char *prompt);

/**
 * Refuses a channel with a reason code (RFC 4254 section 5.1) and a text.
 */
nacre_status nacre_ticket_answer_refuse(struct nacre_ticket *ticket, uint32_t code, const char *text);

/**
 * Makes a transport over a connected stream socket, or another descriptor that is read and written. Nothing is sent yet.
 *
 * The descriptor is nacre's after success, else it is left as it was. It is made non-blocking and close-on-exec.
 */
nacre_status nacre_transport_from_fd(struct nacre_engine *engine,
                                     int32_t fd,
                                     struct nacre_transport **transport,
                                     struct nacre_error **err);

/**
 * Connects to "host", "host:port", "[v6]:port" or a bare IPv6 address; the port is 22 when none is given. Every address
 * of the host is tried. Nothing of SSH is sent yet.
 *
 * On NACRE_ERR_AGAIN `*transport` is set too: it is connecting, and what is called on it waits its turn. Ends as
 * NACRE_EVENT_OPERATION_DONE. Errors: NACRE_ERR_RESOLVE, _CONNECT, _TIMEOUT.
 */
nacre_status nacre_transport_dial(struct nacre_engine *engine,
                                  const char *address,
                                  int32_t timeout_ms,
                                  struct nacre_transport **transport,
                                  uint64_t *op,
                                  struct nacre_error **err);

/**
 * Adds an owner: one nacre_transport_free more is needed.
 */
nacre_status nacre_transport_ref(struct nacre_transport *transport);

/**
 * Gives the transport up; it has to be the owner's last use of the handle. The last owner's call closes what is open: what
 * the kernel takes at once is sent, an engine with threads sends the rest for at most 2 s. Waits for nothing, joins no
 * thread, may be called from a callback of this transport. Channels of it that are still held say NACRE_ERR_CLOSED.
 * In a child after fork() it only closes descriptors. NULL is nothing.
 */
void nacre_transport_free(struct nacre_transport *transport);

/**
 * Begins the orderly end: no more input, what is queued is still sent (for at most NACRE_LIMIT_CLOSE), then DISCONNECT.
 * Waits in other threads end with NACRE_ERR_CLOSED. NACRE_EVENT_DISCONNECTED is the last event.
 */
nacre_status nacre_transport_close(struct nacre_transport *transport);

/**
 * Ends the connection at once with a reason code (RFC 4253 section 11.1) and a text (may be NULL).
 */
nacre_status nacre_transport_disconnect(struct nacre_transport *transport, uint32_t code, const char *text);

/**
 * Waits until everything that was queued is with the kernel.
 */
nacre_status nacre_transport_flush(struct nacre_transport *transport, int32_t timeout_ms);

/**
 * In a child after fork(): closes the descriptors of the transport without sending anything; the parent's connection
 * lives on. Takes no lock. The handle has to be freed all the same.
 */
void nacre_transport_atfork(struct nacre_transport *transport);

/**
 * The descriptor of the connection; it stays nacre's.
 */
nacre_status nacre_transport_fd(const struct nacre_transport *transport, int32_t *fd);

/**
 * Takes an error: with `op` 0 the last one of this transport, else that of this operation. `*err` is the caller's to free.
 * NACRE_ERR_NOT_FOUND: there is none.
 */
nacre_status nacre_transport_take_error(struct nacre_transport *transport,
                                        uint64_t op,
                                        struct nacre_error **err);

/**
 * Keeps a pointer of yours on the transport; events carry it. `destroy` (may be NULL) runs exactly once: when another
 * takes its place, when the transport is gone, or when this call fails.
 */
nacre_status nacre_transport_set_userdata(struct nacre_transport *transport,
                                          void *userdata,
                                          void (*destroy)(void *userdata));

/**
 * The pointer that nacre_transport_set_userdata keeps; NULL when there is none.
 */
void *nacre_transport_userdata(const struct nacre_transport *transport);

/**
 * One line for debugging: state, peer, algorithms, channels.
 */
nacre_status nacre_transport_describe(const struct nacre_transport *transport, char *buf, size_t cap, size_t *needed);

/**
 * What was negotiated, and how much went each way. NACRE_ERR_STATE: not negotiated yet.
 */
nacre_status nacre_transport_negotiated(const struct nacre_transport *transport, struct nacre_negotiated *info);

/**
 * The server's host key, the caller's to free. NACRE_ERR_NOT_FOUND: not known yet, or there is none.
 */
nacre_status nacre_transport_remote_host_key(const struct nacre_transport *transport, struct nacre_key **key);

/**
 * 1 while the connection is negotiated and not over, else 0 (also for NULL and in a child after fork).
 */
int32_t nacre_transport_is_active(const struct nacre_transport *transport);

/**
 * 1 while the connection is authenticated and not over, else 0 (also for NULL and in a child after fork).
 */
int32_t nacre_transport_is_authenticated(const struct nacre_transport *transport);

/**
 * The user that is authenticated. May hold any bytes: `needed` says how many. NACRE_ERR_NOT_FOUND: not yet.
 */
nacre_status nacre_transport_username(const struct nacre_transport *transport, char *buf, size_t cap, size_t *needed);

/**
 * The method that authenticated the user, or the last of several: "password", "publickey", "keyboard-interactive" or
 * "none". NACRE_ERR_NOT_FOUND: not yet.
 */
nacre_status nacre_transport_auth_method(const struct nacre_transport *transport,
                                         char *buf,
                                         size_t cap,
                                         size_t *needed);

/**
 * Client: 1 when the server let the user in without having seen a password, a signature or an answer to a prompt, else 0
 * (also before, for NULL and in a child after fork). Such a server may be another one than it seems to be, which wants
 * what is typed next. See nacre_transport_set_refuse_trivial_auth.
 */
int32_t nacre_transport_auth_was_trivial(const struct nacre_transport *transport);

/**
 * The server's banner, as it was sent. NACRE_ERR_NOT_FOUND: there is none.
 */
nacre_status nacre_transport_banner(const struct nacre_transport *transport, char *buf, size_t cap, size_t *needed);

/**
 * The peer's identification string, such as "SSH-2.0-OpenSSH_10.0". NACRE_ERR_NOT_FOUND: not yet.
 */
nacre_status nacre_transport_remote_version(const struct nacre_transport *transport,
                                            char *buf,
                                            size_t cap,
                                            size_t *needed);

/**
 * Client: the authentication methods that may continue, comma separated, as the server last said. NACRE_ERR_NOT_FOUND:
 * it has said nothing yet.
 */
nacre_status nacre_transport_auth_methods(const struct nacre_transport *transport,
                                          char *buf,
                                          size_t cap,
                                          size_t *needed);

/**
 * Opens a channel of any type; `options` may be NULL: a session. The rest is as for nacre_transport_open_session.
 */
nacre_status nacre_transport_open_channel(struct nacre_transport *transport,
                                          const struct nacre_channel_options *options,
                                          int32_t timeout_ms,
                                          struct nacre_channel **channel,
                                          uint64_t *op);

/**
 * Asks the server to connect to a host and port (as `ssh -L` and `ssh -W`). `originator_host` (may be NULL: "127.0.0.1")
 * and `originator_port` say where the connection comes from. The rest is as for nacre_transport_open_session.
 */
nacre_status nacre_transport_open_direct_tcpip(struct nacre_transport *transport,
                                               const char *host,
                                               uint32_t port,
                                               const char *originator_host,
                                               uint32_t originator_port,
                                               int32_t timeout_ms,
                                               struct nacre_channel **channel,
                                               uint64_t *op);

/**
 * Asks the server to connect to a Unix socket (OpenSSH's extension).
 */
nacre_status nacre_transport_open_direct_streamlocal(struct nacre_transport *transport,
                                                     const char *path,
                                                     int32_t timeout_ms,
                                                     struct nacre_channel **channel,
                                                     uint64_t *op);

/**
 * Server: brings the client a connection that came to a port which it asked to be listened at. `host` and `port` are those
 * of its request; where it asked for port 0, the one that it was told. `originator_host` may be NULL: "127.0.0.1".
 */
nacre_status nacre_transport_open_forwarded_tcpip(struct nacre_transport *transport,
                                                  const char *host,
                                                  uint32_t port,
                                                  const char *originator_host,
                                                  uint32_t originator_port,
                                                  int32_t timeout_ms,
                                                  struct nacre_channel **channel,
                                                  uint64_t *op);

/**
 * Server: brings the client a connection that came to a Unix socket which it asked to be listened at.
 */
nacre_status nacre_transport_open_forwarded_streamlocal(struct nacre_transport *transport,
                                                        const char *path,
                                                        int32_t timeout_ms,
                                                        struct nacre_channel **channel,
                                                        uint64_t *op);

/**
 * Server: brings the client a connection of an X11 program. `originator_host` (may be NULL: "127.0.0.1") and the port say
 * where it comes from.
 */
nacre_status nacre_transport_open_x11(struct nacre_transport *transport,
                                      const char *originator_host,
                                      uint32_t originator_port,
                                      int32_t timeout_ms,
                                      struct nacre_channel **channel,
                                      uint64_t *op);

/**
 * Server: opens a connection to the client's agent (auth-agent@openssh.com), which the client has offered on a session.
 */
nacre_status nacre_transport_open_agent(struct nacre_transport *transport,
                                        int32_t timeout_ms,
                                        struct nacre_channel **channel,
                                        uint64_t *op);

/**
 * Sets how the server's host key is checked; before nacre_transport_start_client or while it waits to be trusted.
 *
 * Without it the negotiation succeeds, but nacre_transport_auth_* give NACRE_ERR_HOST_KEY until
 * nacre_transport_trust_host_key. NACRE_ERR_ARGUMENT: the check has nothing to check with.
 */
nacre_status nacre_transport_set_host_key_check(struct nacre_transport *transport,
                                                const struct nacre_host_key_check *check);

/**
 * Says that the host key which the server showed (nacre_transport_remote_host_key) is right.
 */
nacre_status nacre_transport_trust_host_key(struct nacre_transport *transport);

/**
 * Sets what a client is asked beside its host key. The callback of nacre_transport_auth_interactive comes before these.
 * NULL takes them away.
 */
nacre_status nacre_transport_set_client_callbacks(struct nacre_transport *transport,
                                                  const struct nacre_client_callbacks *callbacks);

/**
 * Client: with `on` 1, a server that lets the user in without having seen a password, a signature or an answer to a prompt
 * is left: the authentication ends with NACRE_ERR_AUTH_FAILED, and so does the connection. 0 is the default. At any time
 * before the authentication ends. NACRE_ERR_ARGUMENT: `on` is neither 0 nor 1.
 */
nacre_status nacre_transport_set_refuse_trivial_auth(struct nacre_transport *transport,
                                                     int32_t on);

/**
 * What nacre_transport_set_refuse_trivial_auth set.
 */
nacre_status nacre_transport_refuse_trivial_auth(const struct nacre_transport *transport, int32_t *on);

/**
 * Negotiates as client. A connection negotiates once; later exchanges come by themselves or by nacre_transport_rekey.
 *
 * Ends as NACRE_EVENT_NEGOTIATED. Errors: NACRE_ERR_NEGOTIATION, _HOST_KEY, _PROTOCOL, _TIMEOUT, _DISCONNECTED, _IO.
 */
nacre_status nacre_transport_start_client(struct nacre_transport *transport, int32_t timeout_ms, uint64_t *op);

/**
 * Negotiates as client, checks the host key and authenticates, in one operation. See nacre_connect_options.
 *
 * Ends as NACRE_EVENT_AUTH_RESULT. NACRE_ERR_ARGUMENT: no host key check is given. Other errors: those of
 * nacre_transport_start_client and nacre_transport_auth_password.
 */
nacre_status nacre_transport_connect(struct nacre_transport *transport,
                                     const struct nacre_connect_options *options,
                                     int32_t timeout_ms,
                                     uint64_t *op);

/**
 * Authenticates with nothing. It usually fails, but then nacre_transport_auth_methods says what may continue.
 *
 * Ends as NACRE_EVENT_AUTH_RESULT. Errors: those of nacre_transport_auth_password.
 */
nacre_status nacre_transport_auth_none(struct nacre_transport *transport,
                                       const char *user,
                                       int32_t timeout_ms,
                                       uint64_t *op);

/**
 * Authenticates with a password; by keyboard-interactive when the server does not offer passwords, unless `flags` has
 * NACRE_AUTH_NO_FALLBACK. When the server wants the password changed, the client callbacks are asked.
 *
 * Ends as NACRE_EVENT_AUTH_RESULT. Errors: NACRE_ERR_AUTH_FAILED, _AUTH_METHOD (not offered), _AUTH_PARTIAL (right, but
 * more steps are needed: nacre_transport_auth_methods), _HOST_KEY (nobody trusts it yet), _STATE (not negotiated, already
 * authenticated, or another authentication is under way), _TIMEOUT, _DISCONNECTED.
 */
nacre_status nacre_transport_auth_password(struct nacre_transport *transport,
                                           const char *user,
                                           const char *password,
                                           uint32_t flags,
                                           int32_t timeout_ms,
                                           uint64_t *op);

/**
 * Authenticates with a private key. The transport keeps the key as long as it needs it.
 *
 * Ends as NACRE_EVENT_AUTH_RESULT. Errors: NACRE_ERR_ARGUMENT for a public key, and those of
 * nacre_transport_auth_password.
 */
nacre_status nacre_transport_auth_publickey(struct nacre_transport *transport,
                                            const char *user,
                                            const struct nacre_key *key,
                                            int32_t timeout_ms,
                                            uint64_t *op);

/**
 * nacre_transport_auth_publickey with flags: 0 or NACRE_AUTH_PROBE. With it a key that the server does not want costs no
 * signature, and of an RSA key's algorithms the first one that the server takes is signed with.
 *
 * Ends as NACRE_EVENT_AUTH_RESULT. Errors: those of nacre_transport_auth_publickey; NACRE_ERR_ARGUMENT for unknown flags.
 */
nacre_status nacre_transport_auth_publickey_with(struct nacre_transport *transport,
                                                 const char *user,
                                                 const struct nacre_key *key,
                                                 uint32_t flags,
                                                 int32_t timeout_ms,
                                                 uint64_t *op);

/**
 * Authenticates by keyboard-interactive: `callback` is asked for each round of prompts, which the ticket holds
 * (NACRE_QUESTION_PROMPTS), and answers with nacre_ticket_answer_texts. Without a callback the client callbacks are asked,
 * or, with NACRE_AS_EVENTS, QUESTION events come.
 *
 * `submethods` (may be NULL) is a hint for the server. `destroy` (may be NULL) runs exactly once, when no call can follow,
 * also when this call fails. Ends as NACRE_EVENT_AUTH_RESULT. Errors: those of nacre_transport_auth_password.
 */
nacre_status nacre_transport_auth_interactive(struct nacre_transport *transport,
                                              const char *user,
                                              const char *submethods,
                                              nacre_decision (*callback)(void *userdata,
                                                                         struct nacre_transport *transport,
                                                                         struct nacre_ticket *ticket),
                                              void *userdata,
                                              void (*destroy)(void *userdata),
                                              int32_t timeout_ms,
                                              uint64_t *op);

/**
 * Takes the next event. NACRE_ERR_AGAIN: there is none.
 *
 * `event->size` has to be set (NACRE_INIT). `message` and `ticket` in it are the caller's to free; transport and channel
 * are borrowed.
 */
nacre_status nacre_transport_next_event(struct nacre_transport *transport,
                                        struct nacre_event *event);

/**
 * A descriptor that is readable exactly while an event of this transport waits. It belongs to the transport: poll it only.
 */
nacre_status nacre_transport_event_fd(struct nacre_transport *transport,
                                      int32_t *fd);

/**
 * Waits until an operation has ended, and takes its event; `event` as for nacre_transport_next_event.
 *
 * NACRE_OK: it has ended, and `event->status` says how; each thread that waits for it gets this. NACRE_ERR_AGAIN: the time
 * ran out. NACRE_ERR_NOT_FOUND: no such operation is under way, or its event was taken.
 */
nacre_status nacre_transport_wait(struct nacre_transport *transport,
                                  uint64_t op,
                                  int32_t timeout_ms,
                                  struct nacre_event *event);

/**
 * Cancels an operation: no event and no callback follows, and what the peer grants late is undone.
 *
 * NACRE_ERR_STATE: negotiation, authentication and rekey cannot be cancelled; close the transport instead.
 * NACRE_ERR_NOT_FOUND: no such operation is under way.
 */
nacre_status nacre_transport_cancel(struct nacre_transport *transport, uint64_t op);

/**
 * Chooses how the application is asked: NACRE_AS_CALLBACKS or NACRE_AS_EVENTS.
 */
nacre_status nacre_transport_set_questions(struct nacre_transport *transport, nacre_question_mode mode);

/**
 * What nacre_transport_set_questions chose.
 */
nacre_status nacre_transport_questions(const struct nacre_transport *transport, nacre_question_mode *mode);

/**
 * Asks the server to listen (tcpip-forward, RFC 4254 section 7.1: `ssh -R`) at `address` ("": all addresses; "localhost";
 * or one of its own) and `port`; 0: the server chooses, and `*bound_port` (may be NULL) says which, as does the value of
 * the event.
 *
 * Each connection that comes is given to `handler` as an open channel that is its own: it has to be freed;
 * nacre_channel_originator and nacre_channel_destination say where it comes from and came to. Without a handler it waits
 * in nacre_transport_accept. Channels are told apart by the port, then by the address. `destroy` (may be NULL) runs once,
 * when no call can follow, also when this call fails.
 *
 * Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_REQUEST_DENIED: the server does not; NACRE_ERR_PROTOCOL: it does not say
 * which port. Cancelled by nacre_transport_cancel, what the server grants late is undone.
 */
nacre_status nacre_transport_request_forward(struct nacre_transport *transport,
                                             const char *address,
                                             uint32_t port,
                                             void (*handler)(void *userdata,
                                                             struct nacre_transport *transport,
                                                             struct nacre_channel *channel),
                                             void *userdata,
                                             void (*destroy)(void *userdata),
                                             int32_t timeout_ms,
                                             uint32_t *bound_port,
                                             uint64_t *op);

/**
 * Asks the server to listen no more at what nacre_transport_request_forward was asked for (its port 0: the port that was
 * told). No handler is called any more; channels that are open stay open.
 *
 * Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_NOT_FOUND: the server was not asked to.
 */
nacre_status nacre_transport_cancel_forward(struct nacre_transport *transport,
                                            const char *address,
                                            uint32_t port,
                                            int32_t timeout_ms,
                                            uint64_t *op);

/**
 * Asks the server to listen at a Unix socket (OpenSSH's extension); nacre_channel_path says where a channel came to. The
 * rest is as for nacre_transport_request_forward.
 */
nacre_status nacre_transport_request_streamlocal_forward(struct nacre_transport *transport,
                                                         const char *path,
                                                         void (*handler)(void *userdata,
                                                                         struct nacre_transport *transport,
                                                                         struct nacre_channel *channel),
                                                         void *userdata,
                                                         void (*destroy)(void *userdata),
                                                         int32_t timeout_ms,
                                                         uint64_t *op);

/**
 * Asks the server to listen no more at a Unix socket. The rest is as for nacre_transport_cancel_forward.
 */
nacre_status nacre_transport_cancel_streamlocal_forward(struct nacre_transport *transport,
                                                        const char *path,
                                                        int32_t timeout_ms,
                                                        uint64_t *op);

/**
 * Opens a session channel.
 *
 * On NACRE_ERR_AGAIN `*channel` is set too: it is opening, and what is called on it waits its turn; freeing it cancels.
 * Ends as NACRE_EVENT_OPERATION_DONE. Errors: NACRE_ERR_CHANNEL_REFUSED, _STATE (not authenticated), _TIMEOUT,
 * _DISCONNECTED.
 */
nacre_status nacre_transport_open_session(struct nacre_transport *transport,
                                          int32_t timeout_ms,
                                          struct nacre_channel **channel,
                                          uint64_t *op);

/**
 * Opens a session channel with a window and a largest packet of so many bytes; 0: the transport's default. A window that
 * is given does not grow by itself. The rest is as for nacre_transport_open_session.
 */
nacre_status nacre_transport_open_session_with(struct nacre_transport *transport,
                                               uint32_t window_bytes,
                                               uint32_t max_packet_bytes,
                                               int32_t timeout_ms,
                                               struct nacre_channel **channel,
                                               uint64_t *op);

/**
 * Takes the next channel that the peer opened and a callback accepted; the caller has to free it. NACRE_ERR_AGAIN: there
 * is none, and `*channel` is NULL.
 */
nacre_status nacre_transport_accept(struct nacre_transport *transport,
                                    int32_t timeout_ms,
                                    struct nacre_channel **channel);

/**
 * Negotiates new keys. Data may be written meanwhile; it is held back.
 *
 * Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_STATE: not negotiated yet, or a key exchange is under way.
 */
nacre_status nacre_transport_rekey(struct nacre_transport *transport, int32_t timeout_ms, uint64_t *op);

/**
 * Sends a global request with raw data.
 *
 * `want_reply` is 1 or 0; without a reply the call ends at once. `*reply` (may be NULL) gets the data of the reply, the
 * caller's to free; on NACRE_ERR_AGAIN it is NULL, and the reply comes with NACRE_EVENT_OPERATION_DONE.
 * NACRE_ERR_REQUEST_DENIED: the peer refused.
 */
nacre_status nacre_transport_global_request(struct nacre_transport *transport,
                                            const char *name,
                                            const void *data,
                                            size_t len,
                                            int32_t want_reply,
                                            int32_t timeout_ms,
                                            struct nacre_message **reply,
                                            uint64_t *op);

/**
 * Adds a host key, before nacre_transport_start_server. One key of each type is kept. It has to have its private half.
 */
nacre_status nacre_transport_add_host_key(struct nacre_transport *transport,
                                          const struct nacre_key *key);

/**
 * The host key that was negotiated, the caller's to free. NACRE_ERR_NOT_FOUND: not yet.
 */
nacre_status nacre_transport_host_key(const struct nacre_transport *transport, struct nacre_key **key);

/**
 * Negotiates as server, and serves: from then on the callbacks are asked. They may be NULL: everything is refused, or,
 * with NACRE_AS_EVENTS, asked through events.
 *
 * Ends as NACRE_EVENT_NEGOTIATED; the login that follows as NACRE_EVENT_AUTHENTICATED. NACRE_ERR_STATE: there is no host
 * key, or negotiation has begun before. Other errors: NACRE_ERR_NEGOTIATION, _PROTOCOL, _TIMEOUT, _DISCONNECTED, _IO.
 */
nacre_status nacre_transport_start_server(struct nacre_transport *transport,
                                          const struct nacre_server_callbacks *callbacks,
                                          int32_t timeout_ms,
                                          uint64_t *op);

/**
 * Server, before the login: sends a text for the user to see.
 */
nacre_status nacre_transport_send_banner(struct nacre_transport *transport, const char *banner);

/**
 * Sets which algorithms of a category (NACRE_ALG_*) are offered, comma separated, preferred first; before the start. A
 * list that begins with `+` is appended to the present one, with `^` put before it, with `-` taken out of it.
 *
 * The order of a client decides; in that of a server only its first key exchange and host key algorithm count, for a
 * guess. A server offers the host key algorithms that it has keys for. Signatures of users' keys: what a client makes
 * and a server takes and announces (RFC 8308).
 *
 * NACRE_ERR_ALGORITHM: an unknown name, one from outside the policy, or nothing would be left; nothing was changed, and
 * the error's text has the name. NACRE_ERR_STATE: negotiation has begun.
 */
nacre_status nacre_transport_set_algorithms(struct nacre_transport *transport,
                                            nacre_algorithm_kind kind,
                                            const char *list);

/**
 * The algorithms of a category that are offered, comma separated, preferred first. The finite-field key exchanges that by
 * default only a client offers stand in the list until a server starts.
 */
nacre_status nacre_transport_get_algorithms(const struct nacre_transport *transport,
                                            nacre_algorithm_kind kind,
                                            char *buf,
                                            size_t cap,
                                            size_t *needed);

/**
 * 1: compression is wanted, where the peer has it ("zlib@openssh.com,none"). 0: none. Before the start. It begins with what
 * follows the login; nacre_transport_negotiated tells what came of it, and nacre_transport_get_algorithms what is set, by
 * default "none,zlib@openssh.com": a server compresses for clients that want it.
 *
 * What is compressed together can be guessed from its length: where an attacker chooses some of the data and sees the
 * packets, he learns about the rest. "zlib", which begins before the login, can be had by nacre_transport_set_algorithms.
 *
 * NACRE_ERR_STATE: negotiation has begun. NACRE_ERR_ALGORITHM: the policy has no compression.
 */
nacre_status nacre_transport_use_compression(struct nacre_transport *transport,
                                             int32_t on);

/**
 * Sets all lists to those of a policy (NACRE_POLICY_*); before the start. Under NACRE_POLICY_STRICT
 * nacre_transport_set_algorithms takes no name from outside it.
 *
 * NACRE_ERR_STATE: negotiation has begun.
 */
nacre_status nacre_transport_set_policy(struct nacre_transport *transport, nacre_policy policy);

/**
 * What nacre_transport_set_policy set.
 */
nacre_status nacre_transport_policy(const struct nacre_transport *transport, nacre_policy *policy);

/**
 * All algorithms of a category that this library has, comma separated, also those that are off by default.
 */
nacre_status nacre_algorithms_available(nacre_algorithm_kind kind, char *buf, size_t cap, size_t *needed);

/**
 * Sets the window and the largest packet, in bytes, of the transport's channels (2,097,152 and 32,768); before the start,
 * later NACRE_ERR_STATE. The receiver's window grows by itself only while the window has its default.
 */
nacre_status nacre_transport_set_default_window(struct nacre_transport *transport,
                                                uint32_t window_bytes,
                                                uint32_t max_packet_bytes);

/**
 * What nacre_transport_set_default_window set. Either pointer may be NULL.
 */
nacre_status nacre_transport_default_window(const struct nacre_transport *transport,
                                            uint32_t *window_bytes,
                                            uint32_t *max_packet_bytes);

/**
 * Sets a limit (NACRE_LIMIT_*).
 */
nacre_status nacre_transport_set_limit(struct nacre_transport *transport, nacre_limit which, uint64_t value);

/**
 * A limit (NACRE_LIMIT_*).
 */
nacre_status nacre_transport_limit(const struct nacre_transport *transport, nacre_limit which, uint64_t *value);

/**
 * New keys are negotiated after so many bytes or packets in either direction, or seconds, whichever comes first (1 GiB,
 * 2^31, 3,600). 0: the default of that one.
 */
nacre_status nacre_transport_set_rekey_limits(struct nacre_transport *transport,
                                              uint64_t bytes,
                                              uint64_t packets,
                                              uint32_t seconds);

/**
 * What nacre_transport_set_rekey_limits set. Any pointer may be NULL.
 */
nacre_status nacre_transport_rekey_limits(const struct nacre_transport *transport,
                                          uint64_t *bytes,
                                          uint64_t *packets,
                                          uint32_t *seconds);

/**
 * Which signatures are made and taken, of hosts and of users, from now on; at any time.
 *
 * `minimum_rsa_bits`: what the modulus of an RSA key has to have, from 1,024 to 16,384; 0: the default, 2,048. A server
 * does not offer a host key that is smaller. `presence` 1 (the default): a user's signature by a security key ("sk-")
 * counts only if somebody touched the key for it. `verification` 1 (0 by default): only if the key made sure who that was,
 * by a PIN or a finger. Both are a server's: keys of hosts are not touched for each connection. Where some users may do
 * without, set 0 and decide by nacre_ticket_security_key.
 *
 * NACRE_ERR_ARGUMENT: a value out of its range.
 */
nacre_status nacre_transport_set_signature_rules(struct nacre_transport *transport,
                                                 uint32_t minimum_rsa_bits,
                                                 int32_t presence,
                                                 int32_t verification);

/**
 * What nacre_transport_set_signature_rules set. Any pointer may be NULL.
 */
nacre_status nacre_transport_signature_rules(const struct nacre_transport *transport,
                                             uint32_t *minimum_rsa_bits,
                                             int32_t *presence,
                                             int32_t *verification);

/**
 * Asks the peer for a sign of life after so long without anything from it; 0: never (the default). After
 * `max_unanswered` questions without an answer the connection ends with NACRE_ERR_TIMEOUT; 0: never.
 */
nacre_status nacre_transport_set_keepalive(struct nacre_transport *transport,
                                           int32_t interval_ms,
                                           uint32_t max_unanswered);

/**
 * What nacre_transport_set_keepalive set. Either pointer may be NULL.
 */
nacre_status nacre_transport_keepalive(const struct nacre_transport *transport,
                                       int32_t *interval_ms,
                                       uint32_t *max_unanswered);

/**
 * The version of the library that runs, such as "0.1.0". The string lives as long as the process.
 */
const char *nacre_version(void);

/**
 * The version of the library that runs, made as NACRE_VERSION_NUMBER is.
 */
uint32_t nacre_version_number(void);

/**
 * The number of the binary interface: the N of libnacre.so.N.
 */
uint32_t nacre_abi(void);

/**
 * 1 when this library has that part ("client", "server") or algorithm ("aes256-gcm@openssh.com"), else 0.
 */
int32_t nacre_has(const char *feature);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NACRE_H */
