/*
 * Every exported function, with calls that tests/tools/calls.py makes from the header: wrong arguments one at a time, too
 * early and too late, inside a callback, by several threads at once, and after fork. What a call may say is a known status;
 * what it may not do is hang, crash, or leave something behind.
 */
#include "ends.h"

typedef struct world {
    nacre_engine *engine;
    nacre_transport *transport;
    nacre_channel *channel;
    nacre_key *key;
    nacre_known_hosts *known_hosts;
    nacre_message *message;
    nacre_ticket *ticket;
    nacre_error *error;
    /* The calls that give a transport or engine up for another process are among them. */
    int may_end;
} world;

typedef struct call {
    const char *name;
    /* The noun of its first parameter. */
    const char *on;
    int is_getter;
    int returns_status;
    nacre_status (*usual)(world *world, int32_t timeout_ms);
    void (*wrong)(world *world);
} call;

static nacre_host_key_check any_key = NACRE_INIT(nacre_host_key_check);

static void check_status(const char *name, const char *what, nacre_status status)
{
    if (status > 0 || status < NACRE_ERR_INTERNAL || status == NACRE_ERR_INTERNAL)
        FAIL("%s, %s: %d %s", name, what, (int)status, nacre_status_name(status));
}

/* A buffer that is not there, where there may be nothing to put into it. */
#define NULL_OR_NOTHING 1
/* A result that is not wanted, where there may be none. */
#define ANY_REFUSAL 2
static void expect(const char *name, const char *what, nacre_status status, nacre_status wanted)
{
    check_status(name, what, status);
    if (wanted == ANY_REFUSAL && status != NACRE_OK) return;
    if (wanted != NULL_OR_NOTHING && status != wanted)
        FAIL("%s, %s: %s, not %s", name, what, nacre_status_name(status), nacre_status_name(wanted));
}

static void free_event(nacre_event *event)
{
    nacre_message_free(event->message);
    nacre_ticket_free(event->ticket);
}

#include "calls.h"

enum { CALLS = sizeof calls / sizeof calls[0] };

/* --- worlds ----------------------------------------------------------------------------------------------------------- */

static pair both;
static nacre_channel *near_end, *far_end;
static nacre_ticket *deferred;
/* What the server does inside its callback. */
static void (*inside)(nacre_transport *transport, nacre_channel *channel, nacre_ticket *ticket);

static nacre_decision defer_or_act(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                   const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata;
    nacre_ticket *none = NULL;
    /* The first one only. */
    if (request->kind == NACRE_REQUEST_ENV &&
        __atomic_compare_exchange_n(&deferred, &none, ticket, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return NACRE_DEFER;
    if (inside != NULL) inside(transport, channel, ticket);
    return NACRE_ACCEPT;
}

/* Things that belong to no connection. */
static void begin_world(world *world)
{
    nacre_transport *none = NULL;
    memset(world, 0, sizeof *world);
    world->key = host_key();
    OK(nacre_known_hosts_new(&world->known_hosts, NULL));
    OK(nacre_message_new(&world->message));
    OK(nacre_message_add_string(world->message, "usual", 5));
    EXPECT(nacre_transport_dial(NULL, "no such host, nor address", 0, &none, NULL, &world->error), NACRE_ERR_ARGUMENT);
    CHECK(world->error != NULL);
}
static void end_world(world *world)
{
    nacre_known_hosts_free(world->known_hosts);
    nacre_message_free(world->message);
    nacre_error_free(world->error);
}

/* Nothing has been sent yet. */
static world fresh_world(nacre_engine *engine)
{
    world made;
    begin_world(&made);
    both = new_pair(engine, engine);
    near_end = far_end = NULL, deferred = NULL;
    made.engine = engine;
    made.transport = both.client;
    return made;
}
/* A connection with a channel, and a question about it that waits. `server`: its end of it. */
static world connected_world(nacre_engine *engine, int server)
{
    nacre_server_callbacks callbacks = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    world made;
    begin_world(&made);
    callbacks.channel_request = defer_or_act;
    near_end = far_end = NULL, deferred = NULL;
    both = connected_pair_of(engine, engine, &callbacks);
    open_both(both, &near_end, &far_end);
    EXPECT(nacre_channel_env(near_end, "a", "b", 0, &op), NACRE_ERR_AGAIN);
    while (__atomic_load_n(&deferred, __ATOMIC_ACQUIRE) == NULL)
        EXPECT(nacre_transport_wait(both.client, op, 1, &event), NACRE_ERR_AGAIN);
    made.engine = engine;
    made.transport = server ? both.server : both.client;
    made.channel = server ? far_end : near_end;
    made.ticket = deferred;
    return made;
}
static void leave_world(world *world)
{
    nacre_ticket_free(deferred);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_world(world);
}

/* A wake that no wait has returned yet interrupts this one. */
static void end_woken_engine(nacre_engine *engine)
{
    nacre_status status;
    while ((status = nacre_engine_close(engine, SOON)) == NACRE_ERR_INTERRUPTED) {
    }
    OK(status);
    nacre_engine_free(engine);
}

/* --- the cases --------------------------------------------------------------------------------------------------------- */

static void run_usual(world *world, const call *one, const char *what, int32_t timeout_ms)
{
    static char step[128];
    int64_t begun = now_ms();
    snprintf(step, sizeof step, "%s: %s", what, one->name);
    test_step = step;
    check_status(one->name, what, one->usual(world, timeout_ms));
    if (now_ms() - begun > SOON / 2) FAIL("%s took %lld ms", one->name, (long long)(now_ms() - begun));
}

static void wrong_arguments(void)
{
    nacre_engine *engine = new_engine();
    for (int server = 0; server < 2; server++) {
        world world = connected_world(engine, server);
        for (int i = 0; i < CALLS; i++) {
            test_step = calls[i].name;
            calls[i].wrong(&world);
        }
        /* None of it has hurt anything. */
        OK(nacre_ticket_answer(deferred, NACRE_ACCEPT));
        talk(near_end, far_end);
        leave_world(&world);
    }
    end_woken_engine(engine);
}

/* Each in a world of its own, twice. */
static void at_any_time(void)
{
    for (int i = 0; i < CALLS; i++) {
        for (int when = 0; when < 3; when++) {
            nacre_engine *engine = new_engine();
            world world = when == 0 ? fresh_world(engine) : connected_world(engine, when - 1);
            /* A call on a channel needs one. */
            if (when > 0 || strcmp(calls[i].on, "channel") != 0) {
                run_usual(&world, &calls[i], "at any time", 0);
                run_usual(&world, &calls[i], "at any time, again", 0);
            }
            leave_world(&world);
            end_woken_engine(engine);
        }
    }
}

/* What cannot have anything to wait for does not. */
static void after_the_end(void)
{
    for (int how = 0; how < 3; how++) {
        nacre_engine *engine = new_engine();
        world world = connected_world(engine, how == 1);
        if (how == 0) OK(nacre_transport_close(both.client));
        if (how == 1) OK(nacre_transport_disconnect(both.client, 11, "the end"));
        if (how == 2) OK(nacre_channel_close(near_end));
        while (nacre_transport_flush(both.client, 20) == NACRE_ERR_AGAIN) {
        }
        for (int i = 0; i < CALLS; i++) {
            /* An engine lives on, and so does the transport of a channel that is closed. */
            int waits = strcmp(calls[i].on, "engine") == 0 || (how == 2 && strcmp(calls[i].on, "transport") == 0);
            if (strcmp(calls[i].name, "nacre_engine_close") == 0) continue;
            run_usual(&world, &calls[i], "after the end", waits ? 0 : -1);
        }
        leave_world(&world);
        end_woken_engine(engine);
    }
}

static nacre_engine *engine_inside;
static const call *call_inside;
static int was_inside;

static void act(nacre_transport *transport, nacre_channel *channel, nacre_ticket *ticket)
{
    world world;
    begin_world(&world);
    world.engine = engine_inside;
    world.transport = transport;
    world.channel = channel;
    world.ticket = ticket;
    run_usual(&world, call_inside, "in a callback", -1);
    end_world(&world);
    __atomic_add_fetch(&was_inside, 1, __ATOMIC_ACQ_REL);
}

static void in_a_callback(void)
{
    inside = act;
    for (int i = 0; i < CALLS; i++) {
        engine_inside = new_engine();
        world world = connected_world(engine_inside, 0);
        int before = __atomic_load_n(&was_inside, __ATOMIC_ACQUIRE);
        call_inside = &calls[i];
        (void)nacre_channel_exec(near_end, "usual", 0, NULL);
        for (int64_t until = now_ms() + SOON; __atomic_load_n(&was_inside, __ATOMIC_ACQUIRE) == before;) {
            if (now_ms() > until) FAIL("%s: the callback never ended", calls[i].name);
            if (with_threads) pause_ms(1);
            else (void)nacre_engine_dispatch(engine_inside, 10);
        }
        leave_world(&world);
        end_woken_engine(engine_inside);
    }
    inside = NULL;
}

/* --- several threads ------------------------------------------------------------------------------------------------- */

typedef struct mob {
    world *world;
    uint64_t random;
} mob;

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t mixed = (*state ^ (*state >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

static void *call_anything(void *argument)
{
    mob *one = argument;
    for (int i = 0; i < 80; i++) {
        uint64_t random = next_random(&one->random);
        const call *chosen = &calls[random % CALLS];
        /* What a message or an error says is read and written by one thread. */
        if (strcmp(chosen->on, "message") == 0) continue;
        /* What ends everything comes last or by chance. */
        if (i < 60 && (strstr(chosen->name, "_close") != NULL || strstr(chosen->name, "_disconnect") != NULL)) continue;
        check_status(chosen->name, "by several threads", chosen->usual(one->world, (int32_t)(random >> 32 & 1)));
    }
    return NULL;
}

static void by_several_threads(void)
{
    const char *given = getenv("NACRE_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)now_ms() * 1000003 + (uint64_t)getpid();
    int rounds = is_short_run() ? 2 : is_long_run() ? 400 : 25;
    fprintf(stderr, "NACRE_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < rounds; round++) {
        enum { MOB = 4 };
        pthread_t ids[MOB];
        mob mobs[MOB];
        nacre_engine *engine = new_engine();
        world world = connected_world(engine, round & 1);
        for (int i = 0; i < MOB; i++) {
            mobs[i].world = &world;
            mobs[i].random = seed + (uint64_t)round * 1000 + (uint64_t)i;
            CHECK(pthread_create(&ids[i], NULL, call_anything, &mobs[i]) == 0);
        }
        for (int i = 0; i < MOB; i++) pthread_join(ids[i], NULL);
        leave_world(&world);
        end_woken_engine(engine);
    }
}

/* --- after fork -------------------------------------------------------------------------------------------------------- */

static void after_fork(void)
{
    nacre_engine *engine = new_engine();
    for (int server = 0; server < 2; server++) {
        world world = connected_world(engine, server);
        int status = -1;
        fflush(stderr);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            watchdog(is_short_run() ? 120 : 20);
            world.may_end = 1;
            for (int i = 0; i < CALLS; i++) {
                const call *one = &calls[i];
                int forked = one->returns_status && strcmp(one->name, "nacre_engine_adopt") != 0 &&
                             (strcmp(one->on, "engine") == 0 || strcmp(one->on, "transport") == 0 ||
                              strcmp(one->on, "channel") == 0 || (strcmp(one->on, "ticket") == 0 && !one->is_getter));
                if (strcmp(one->name, "nacre_engine_adopt") == 0) continue;
                test_step = one->name;
                nacre_status got = one->usual(&world, -1);
                check_status(one->name, "after fork", got);
                if (forked && got != NACRE_ERR_FORKED) FAIL("%s: %s", one->name, nacre_status_name(got));
            }
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) FAIL("the child came to %x", status);
        OK(nacre_ticket_answer(deferred, NACRE_ACCEPT));
        talk(near_end, far_end);
        leave_world(&world);
    }
    end_woken_engine(engine);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    watchdog(is_short_run() ? 600 : is_long_run() ? 1200 : 110);
    any_key.flags = NACRE_HOST_KEY_ANY;
    host_key();
    int fds = descriptors(), tasks = threads();
    RUN(wrong_arguments);
    RUN(at_any_time);
    RUN(after_the_end);
    RUN(in_a_callback);
    RUN(by_several_threads);
    RUN(after_fork);
    OK(nacre_engine_close(NULL, SOON));
    EVENTUALLY(threads() <= tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
