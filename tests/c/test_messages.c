/* Messages: the data types of the protocol, built and read. */
#include "ends.h"

static nacre_message *new_message(void)
{
    nacre_message *message = NULL;
    OK(nacre_message_new(&message));
    CHECK(message != NULL);
    return message;
}

static void expect_bytes(nacre_message *message, const void *expected, size_t len)
{
    unsigned char buf[1024];
    size_t needed = 0;
    if (len > 0) {
        memset(buf, 'x', sizeof buf);
        EXPECT(nacre_message_bytes(message, buf, len - 1, &needed), NACRE_ERR_BUFFER);
        EQUAL(needed, len);
        CHECK(buf[0] == 'x');
    }
    OK(nacre_message_bytes(message, buf, sizeof buf, &needed));
    EQUAL(needed, len);
    CHECK(memcmp(buf, expected, len) == 0);
}

/* The examples of RFC 4251 section 5. */
static void encodings(void)
{
    nacre_message *message = new_message();
    expect_bytes(message, "", 0);
    OK(nacre_message_add_byte(message, 0xfe));
    OK(nacre_message_add_boolean(message, 1));
    OK(nacre_message_add_boolean(message, 0));
    OK(nacre_message_add_uint32(message, 699921578));
    OK(nacre_message_add_uint64(message, 0x0102030405060708u));
    OK(nacre_message_add_string(message, "testing", 7));
    OK(nacre_message_add_string(message, NULL, 0));
    OK(nacre_message_add_mpint(message, NULL, 0));
    OK(nacre_message_add_mpint(message, "\0\0", 2));
    OK(nacre_message_add_mpint(message, "\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", 8));
    OK(nacre_message_add_mpint(message, "\0\0\x80", 3));
    OK(nacre_message_add_name_list(message, ""));
    OK(nacre_message_add_name_list(message, "zlib,none"));
    OK(nacre_message_add_bytes(message, "\x01\x02", 2));
    static const char expected[] = "\xfe\x01\x00\x29\xb7\xf4\xaa\x01\x02\x03\x04\x05\x06\x07\x08"
                                   "\0\0\0\x07testing\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0\0\0\0\x08\x09\xa3\x78\xf9\xb2\xe3\x32\xa7\0\0\0\x02\0\x80"
                                   "\0\0\0\0\0\0\0\x09zlib,none\x01\x02";
    expect_bytes(message, expected, sizeof expected - 1);
    nacre_message_free(message);
}

static void there_and_back(void)
{
    nacre_message *message = new_message();
    unsigned char byte = 0, buf[64];
    int32_t boolean = 7;
    uint32_t small = 0;
    uint64_t large = 0;
    size_t needed = 0;
    char names[32];
    OK(nacre_message_add_byte(message, 5));
    OK(nacre_message_add_boolean(message, 1));
    OK(nacre_message_add_uint32(message, 0xfffffffe));
    OK(nacre_message_add_uint64(message, UINT64_MAX - 1));
    OK(nacre_message_add_string(message, "a\0b", 3));
    OK(nacre_message_add_mpint(message, "\x80\x01", 2));
    OK(nacre_message_add_name_list(message, "one,two"));
    OK(nacre_message_add_bytes(message, "rest!", 5));
    for (int round = 0; round < 2; round++) {
        OK(nacre_message_get_byte(message, &byte));
        EQUAL(byte, 5);
        OK(nacre_message_get_boolean(message, &boolean));
        EQUAL(boolean, 1);
        OK(nacre_message_get_uint32(message, &small));
        CHECK(small == 0xfffffffe);
        OK(nacre_message_get_uint64(message, &large));
        CHECK(large == UINT64_MAX - 1);
        /* What fails stays where it is. */
        memset(buf, 'x', sizeof buf);
        EXPECT(nacre_message_get_string(message, buf, 2, &needed), NACRE_ERR_BUFFER);
        EQUAL(needed, 3);
        CHECK(buf[0] == 'x');
        OK(nacre_message_get_string(message, buf, 3, &needed));
        CHECK(memcmp(buf, "a\0bx", 4) == 0);
        EXPECT(nacre_message_get_mpint(message, buf, 1, &needed), NACRE_ERR_BUFFER);
        EQUAL(needed, 2);
        OK(nacre_message_get_mpint(message, buf, sizeof buf, &needed));
        EQUAL(needed, 2);
        CHECK(memcmp(buf, "\x80\x01", 2) == 0);
        EXPECT(nacre_message_get_name_list(message, names, 7, &needed), NACRE_ERR_BUFFER);
        EQUAL(needed, 8);
        OK(nacre_message_get_name_list(message, names, sizeof names, &needed));
        CHECK(strcmp(names, "one,two") == 0);
        OK(nacre_message_remainder(message, buf, sizeof buf, &needed));
        EQUAL(needed, 5);
        CHECK(memcmp(buf, "rest!", 5) == 0);
        EXPECT(nacre_message_get_bytes(message, buf, 6), NACRE_ERR_PROTOCOL);
        OK(nacre_message_get_bytes(message, buf, 4));
        CHECK(memcmp(buf, "rest", 4) == 0);
        EXPECT(nacre_message_get_uint32(message, &small), NACRE_ERR_PROTOCOL);
        OK(nacre_message_get_byte(message, &byte));
        EQUAL(byte, '!');
        EXPECT(nacre_message_get_byte(message, &byte), NACRE_ERR_PROTOCOL);
        OK(nacre_message_remainder(message, buf, sizeof buf, &needed));
        EQUAL(needed, 0);
        OK(nacre_message_rewind(message));
    }
    /* Appending while reading: the position stays. */
    OK(nacre_message_get_byte(message, &byte));
    OK(nacre_message_add_byte(message, 9));
    OK(nacre_message_get_boolean(message, &boolean));
    OK(nacre_message_bytes(message, NULL, 0, &needed) == NACRE_ERR_BUFFER ? NACRE_OK : NACRE_ERR_INTERNAL);
    EQUAL(needed, 1 + 1 + 4 + 8 + 7 + 7 + 11 + 5 + 1);
    nacre_message_free(message);
}

static void expect_protocol(const char *data, size_t len, int what)
{
    nacre_message *message = new_message();
    unsigned char buf[64];
    size_t needed = 0;
    nacre_status status;
    OK(nacre_message_add_bytes(message, data, len));
    switch (what) {
    case 0: status = nacre_message_get_string(message, buf, sizeof buf, &needed); break;
    case 1: status = nacre_message_get_mpint(message, buf, sizeof buf, &needed); break;
    default: status = nacre_message_get_name_list(message, (char *)buf, sizeof buf, &needed); break;
    }
    EXPECT(status, NACRE_ERR_PROTOCOL);
    expect_bytes(message, data, len);
    /* It is all still there. */
    OK(nacre_message_remainder(message, buf, sizeof buf, &needed));
    EQUAL(needed, len);
    nacre_message_free(message);
}

static void what_is_wrong_is_refused(void)
{
    nacre_message *message = new_message();
    expect_protocol("", 0, 0);
    expect_protocol("\0\0\0", 3, 0);
    expect_protocol("\0\0\0\5abcd", 8, 0);
    expect_protocol("\xff\xff\xff\xff", 4, 0);
    expect_protocol("\xff\xff\xff\xff", 4, 1);
    expect_protocol("\0\0\0\1\x80", 5, 1);
    expect_protocol("\0\0\0\2ab", 5, 2);
    expect_protocol("\0\0\0\3a,\xff", 7, 2);
    EXPECT(nacre_message_add_boolean(message, 2), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_message_add_boolean(message, -1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_message_add_string(message, NULL, 1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_message_add_string(message, "x", SIZE_MAX), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_message_add_bytes(message, NULL, 1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_message_add_mpint(message, NULL, 1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_message_add_name_list(message, NULL), NACRE_ERR_ARGUMENT);
    expect_bytes(message, "", 0);
    nacre_message_free(message);
}

static void large_ones(void)
{
    enum { PIECES = 2000, PIECE = 500 };
    nacre_message *message = new_message();
    unsigned char piece[PIECE], got[PIECE];
    size_t needed = 0;
    for (uint32_t i = 0; i < PIECES; i++) {
        pattern(piece, sizeof piece, 0, i);
        OK(nacre_message_add_string(message, piece, sizeof piece));
    }
    EXPECT(nacre_message_bytes(message, NULL, 0, &needed), NACRE_ERR_BUFFER);
    EQUAL(needed, PIECES * (PIECE + 4));
    for (uint32_t i = 0; i < PIECES; i++) {
        pattern(piece, sizeof piece, 0, i);
        OK(nacre_message_get_string(message, got, sizeof got, &needed));
        EQUAL(needed, PIECE);
        CHECK(memcmp(piece, got, PIECE) == 0);
    }
    nacre_message_free(message);
}

/* What goes in as a message comes out at the other side of a connection, and so does the reply. */
static nacre_decision global(void *userdata, nacre_transport *transport, const char *name, const void *data, size_t len,
                             nacre_ticket *ticket)
{
    nacre_message *message = new_message(), *reply = new_message();
    unsigned char buf[64];
    size_t needed = 0;
    uint32_t number = 0;
    (void)userdata, (void)transport;
    CHECK(strcmp(name, "twice@nacre") == 0);
    OK(nacre_message_add_bytes(message, data, len));
    OK(nacre_message_get_uint32(message, &number));
    OK(nacre_message_add_uint32(reply, number * 2));
    OK(nacre_message_bytes(reply, buf, sizeof buf, &needed));
    OK(nacre_ticket_answer_bytes(ticket, buf, needed));
    nacre_message_free(message);
    nacre_message_free(reply);
    return NACRE_REJECT;
}

static void over_a_connection(void)
{
    nacre_engine *engine = new_engine();
    nacre_server_callbacks callbacks = plain_server();
    nacre_message *reply = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint32_t number = 0;
    uint64_t op = 0;
    callbacks.global_request = global;
    pair both = connected_pair_of(engine, engine, &callbacks);
    OK(nacre_transport_global_request(both.client, "twice@nacre", "\0\0\0\x15", 4, 1, SOON, &reply, NULL));
    CHECK(reply != NULL);
    OK(nacre_message_get_uint32(reply, &number));
    EQUAL(number, 42);
    nacre_message_free(reply);
    /* The same as an event: the message is the taker's. */
    EXPECT(nacre_transport_global_request(both.client, "twice@nacre", "\0\0\0\x16", 4, 1, 0, &reply, &op),
           NACRE_ERR_AGAIN);
    CHECK(reply == NULL && op != 0);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
    EQUAL(event.status, NACRE_OK);
    CHECK(event.op == op && event.message != NULL && event.ticket == NULL);
    OK(nacre_message_get_uint32(event.message, &number));
    EQUAL(number, 44);
    free_pair(both);
    end_engine(engine);
    /* It depends on nothing that is gone. */
    OK(nacre_message_rewind(event.message));
    OK(nacre_message_get_uint32(event.message, &number));
    EQUAL(number, 44);
    nacre_message_free(event.message);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(encodings);
    RUN(there_and_back);
    RUN(what_is_wrong_is_refused);
    RUN(large_ones);
    RUN(over_a_connection);
    return 0;
}
