use std::time::Duration;

use super::exec::command;
use super::*;

fn timed_out(side: &Side) -> bool {
    matches!(side.ended(), Some(Error::Timeout(_)))
        && matches!(side.events.last(), Some(SessionEvent::Ended(Error::Timeout(_))))
}

/// Time passes for this side only, and nothing comes from the other one.
fn alone(pair: &mut Pair, role: Role, length: Duration) {
    let other = if role == Role::Client { Role::Server } else { Role::Client };
    pair.side(role).reads = false;
    pair.side(other).reads = false;
    pair.advance(length);
}

#[test]
fn a_silent_peer_does_not_hold_the_handshake() {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::new(Options::default());
        alone(&mut pair, role, Duration::from_millis(29_999));
        assert!(pair.side(role).ended().is_none());
        alone(&mut pair, role, Duration::from_millis(1));
        assert!(timed_out(pair.side(role)));
        // It says why it leaves.
        assert!(!pair.side(role).session.output().is_empty());
    }
}

#[test]
fn a_server_gives_two_minutes_to_log_in() {
    let mut pair = Pair::new(Options::default());
    pair.advance(Duration::from_millis(119_999));
    assert!(pair.server.ended().is_none());
    pair.advance(seconds(1));
    assert!(timed_out(&pair.server));
    assert!(matches!(pair.client.ended(), Some(Error::Disconnected(told)) if told.by_peer));
}

#[test]
fn unanswered_questions_do_not_stop_the_login_deadline_of_a_server() {
    let mut pair = Pair::new(Options::default());
    pair.settle();
    let now = pair.now;
    let password = ClientMethod::Password { password: b"x".to_vec().into(), fallback_to_interactive: false };
    pair.client.session.authenticate(b"alice", password, now).unwrap();
    pair.advance(seconds(100));
    assert_eq!(pair.server.open.len(), 1);
    pair.advance(seconds(21));
    assert!(timed_out(&pair.server));
    assert_eq!(pair.server.withdrawn.len(), 1);
    assert!(pair.server.open.is_empty());
}

#[test]
fn a_server_that_never_answers_a_login_is_left() {
    let mut options = Options::default();
    options.server.limits.login_ms = 0;
    options.client.limits.login_ms = 7_000;
    let mut pair = Pair::new(options);
    pair.settle();
    pair.advance(seconds(1000));
    assert!(pair.client.ended().is_none(), "before it begins there is no deadline");
    let now = pair.now;
    let password = ClientMethod::Password { password: b"x".to_vec().into(), fallback_to_interactive: false };
    pair.client.session.authenticate(b"alice", password, now).unwrap();
    pair.advance(Duration::from_millis(6_900));
    assert!(pair.client.ended().is_none());
    pair.advance(seconds(1));
    assert!(timed_out(&pair.client));
}

#[test]
fn after_the_login_no_deadline_is_left() {
    let mut pair = Pair::connected(Options::default());
    let idle = RekeyLimits { interval: Duration::ZERO, ..RekeyLimits::default() };
    pair.client.session.set_rekey_limits(idle);
    pair.server.session.set_rekey_limits(idle);
    assert_eq!(pair.client.session.next_timeout(), None);
    assert_eq!(pair.server.session.next_timeout(), None);
    let sent = pair.client.sent;
    pair.advance(seconds(100 * 3600));
    assert_eq!(pair.client.sent, sent);
    assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
}

#[test]
fn a_server_decides_in_a_minute_or_refuses() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    let exec = pair.client.session.channel_request(ours, "exec", &command("a"), true, now).unwrap();
    let global = pair.client.session.global_request("x@example.org", b"", true, now).unwrap();
    let channel = pair.client.session.open_channel("session", b"", None, None, now).unwrap();
    pair.advance(Duration::from_millis(59_999));
    assert_eq!(pair.server.open.len(), 3);
    let (late, _) = pair.server.open[0];
    pair.advance(Duration::from_millis(1));
    assert!(pair.server.open.is_empty());
    assert_eq!(pair.server.withdrawn.len(), 3);
    let denied = |wanted: RequestId| {
        pair.client.has(|event| {
            matches!(event, SessionEvent::RequestDone { id, reply: Err(Error::RequestDenied(_)), .. } if *id == wanted)
        })
    };
    assert!(denied(exec) && denied(global));
    assert!(
        pair.client
            .has(|event| matches!(event, SessionEvent::OpenFailed { channel: failed, .. } if *failed == channel))
    );
    let now = pair.now;
    assert!(matches!(pair.server.session.answer(late, Answer::Accept, now), Err(Error::State(_))));
    assert!(pair.server.ended().is_none());
}

#[test]
fn a_client_decides_in_its_own_time() {
    let mut options = Options::default();
    options.server.limits.open_ms = 0;
    let mut pair = Pair::connected(options);
    let now = pair.now;
    pair.server.session.open_channel("tun@openssh.com", b"", None, None, now).unwrap();
    pair.advance(seconds(3 * 3600));
    assert_eq!(pair.client.open.len(), 1);
    let (id, _) = pair.client.take_question();
    let now = pair.now;
    pair.client.session.answer(id, Answer::Accept, now).unwrap();
    pair.settle();
    assert!(pair.server.has(|event| matches!(event, SessionEvent::Opened { .. })));
}

#[test]
fn an_open_that_nobody_confirms_fails_and_is_undone_when_it_comes_late() {
    let mut options = Options::default();
    options.server.limits.decision_ms = 0;
    let mut pair = Pair::connected(options);
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    let channel = pair.client.session.open_channel("session", b"", None, None, now).unwrap();
    pair.advance(Duration::from_millis(59_999));
    let failed = |pair: &Pair| {
        pair.client.count(|event| {
            matches!(event, SessionEvent::OpenFailed { channel: failed, error: Error::Timeout(_) } if *failed == channel)
        })
    };
    assert_eq!(failed(&pair), 0);
    pair.advance(Duration::from_millis(1));
    assert_eq!(failed(&pair), 1);
    let (id, _) = pair.server.take_question();
    let now = pair.now;
    pair.server.session.answer(id, Answer::Accept, now).unwrap();
    pair.settle();
    assert!(!pair.client.has(|event| matches!(event, SessionEvent::Opened { .. })));
    assert!(
        pair.server.has(|event| matches!(event, SessionEvent::PeerClosed { .. } | SessionEvent::ChannelClosed { .. }))
    );
    assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
}

fn keepalive(interval: u64, max_unanswered: u32) -> Keepalive {
    Keepalive { interval: Some(seconds(interval)), max_unanswered }
}

#[test]
fn keepalives_go_on_for_hours() {
    for role in [Role::Client, Role::Server] {
        let mut options = Options { latency: Duration::from_millis(80), ..Options::default() };
        options.client.rekey.interval = Duration::ZERO;
        options.server.rekey.interval = Duration::ZERO;
        let config = if role == Role::Client { &mut options.client } else { &mut options.server };
        config.keepalive = keepalive(30, 3);
        let mut pair = Pair::connected(options);
        pair.client.decide = Box::new(|_| Some(Answer::Reject));
        pair.server.decide = Box::new(|_| Some(Answer::Reject));
        let before = pair.side(role).session.counters();
        pair.advance(seconds(8 * 3600));
        let after = pair.side(role).session.counters();
        let asked = after.packets_out - before.packets_out;
        assert!((900..=960).contains(&asked), "{role:?} asked {asked} times");
        assert_eq!(after.packets_in - before.packets_in, asked);
        assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
        assert!(!pair.side(role).has(|event| matches!(event, SessionEvent::RequestDone { .. })));
    }
}

#[test]
fn a_peer_that_shows_no_life_is_left() {
    let mut pair = Pair::connected(Options::default());
    let now = pair.now;
    pair.client.session.set_keepalive(keepalive(10, 3), now);
    assert_eq!(pair.client.session.keepalive(), keepalive(10, 3));
    pair.server.reads = false;
    pair.advance(Duration::from_millis(39_999));
    assert!(pair.client.ended().is_none());
    pair.advance(Duration::from_millis(1));
    assert!(timed_out(&pair.client));
}

#[test]
fn without_a_number_of_misses_nobody_gives_up() {
    let mut options = Options::default();
    options.client.rekey.interval = Duration::ZERO;
    let mut pair = Pair::connected(options);
    let now = pair.now;
    pair.client.session.set_keepalive(keepalive(10, 0), now);
    // It takes what comes, and says nothing.
    pair.server.decide = Box::new(|_| None);
    pair.server.session.limits_mut().decision_ms = 0;
    pair.server.session.limits_mut().requests = 100_000;
    pair.client.session.limits_mut().requests = 100;
    let sent = pair.client.sent;
    pair.advance(seconds(5 * 3600));
    assert!(pair.client.ended().is_none());
    assert_eq!(pair.server.open.len(), 100);
    assert!(pair.client.sent - sent > 1_700 * 32, "it goes on with IGNORE");
}

#[test]
fn whatever_is_received_is_a_sign_of_life() {
    let mut pair = Pair::connected(Options::default());
    let (_, theirs) = pair.open_session();
    let now = pair.now;
    pair.client.session.set_keepalive(keepalive(10, 1), now);
    let before = pair.client.session.counters().packets_out;
    for _ in 0..50 {
        pair.advance(seconds(9));
        let now = pair.now;
        pair.server.session.write(theirs, Stream::Data, b"x", now).unwrap();
        pair.settle();
    }
    assert_eq!(pair.client.session.counters().packets_out, before);
    pair.client.session.set_keepalive(Keepalive::default(), now);
    pair.advance(seconds(1000));
    assert_eq!(pair.client.session.counters().packets_out, before);
}

#[test]
fn a_peer_that_nobody_listens_to_is_not_called_silent() {
    let mut options = Options::default();
    options.server.limits.open_ms = 0;
    options.client.limits.requests = 1;
    let mut pair = Pair::connected(options);
    let now = pair.now;
    pair.client.session.set_keepalive(keepalive(10, 3), now);
    pair.server.session.open_channel("tun@openssh.com", b"", None, None, now).unwrap();
    pair.advance(seconds(1000));
    assert!(!pair.client.session.wants_input());
    assert!(pair.client.ended().is_none());
    let (id, _) = pair.client.take_question();
    let now = pair.now;
    pair.client.session.answer(id, Answer::Accept, now).unwrap();
    pair.server.reads = false;
    pair.advance(seconds(50));
    assert!(timed_out(&pair.client));
}

#[test]
fn only_a_question_that_was_asked_can_stay_without_an_answer() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    let now = pair.now;
    pair.client.session.set_keepalive(keepalive(10, 3), now);
    pair.server.reads = false;
    assert_eq!(pair.client.session.write(ours, Stream::Data, &[0; 200_000], now).unwrap(), 200_000);
    // The line is slow: all of it is taken just before the client gives up.
    pair.advance(seconds(35));
    pair.server.reads = true;
    pair.advance(seconds(30));
    assert!(pair.client.ended().is_none(), "{:?}", pair.client.ended());
}
