//! When breakers open and close.

use tandem_chassis::clock;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;

struct World {
    clock: Arc<clock::Manual>,
    breakers: Arc<Breakers>,
    target: Target,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(clock::Manual::new(OffsetDateTime::UNIX_EPOCH));
        Self {
            breakers: Breakers::new(Config::default(), clock.clone(), |_, _| {}),
            clock,
            target: target("m"),
        }
    }

    fn fail(&self) {
        let permit = self.breakers.admit(&self.target).expect("not open");
        permit.record(Outcome::Unavailable, "503");
    }

    fn trip(&self) {
        (0..5).for_each(|_| self.fail());
    }

    fn admit(&self) -> Result<Permit, Open> {
        self.breakers.admit(&self.target)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn state(&self) -> State {
        self.breakers.state(&self.target)
    }
}

fn target(model: &str) -> Target {
    Target {
        provider: ProviderId::new(Uuid::nil()),
        provider_name: "p".to_owned(),
        model: model.to_owned(),
    }
}

#[test]
fn five_failures_in_a_row_open_it_and_say_when_to_come_back() {
    let world = World::new();
    world.trip();
    let open = world.admit().err().unwrap();
    assert_eq!(
        open,
        Open {
            retry_after: Duration::from_secs(30),
            failures: 5,
            last_failure: "503".to_owned()
        }
    );
    assert!(
        world.breakers.admit(&target("other")).is_ok(),
        "models do not share a breaker"
    );
}

#[test]
fn an_answer_in_between_starts_the_count_anew() {
    let world = World::new();
    (0..4).for_each(|_| world.fail());
    world.admit().ok().unwrap().record(Outcome::Answered, "");
    (0..4).for_each(|_| world.fail());
    assert_eq!(world.state(), State::Closed);
}

#[test]
fn failures_in_half_of_the_latest_requests_open_it() {
    let world = World::new();
    for _ in 0..9 {
        world.fail();
        world.admit().ok().unwrap().record(Outcome::Answered, "");
    }
    assert_eq!(world.state(), State::Closed);
    assert_eq!(
        world.breakers.list(world.target.provider),
        [],
        "the last one was answered"
    );
    world.fail();
    assert_eq!(world.admit().err().unwrap().failures, 10);
    world.pass(30);
    world.admit().ok().unwrap().record(Outcome::Answered, "");
    world.fail();
    assert_eq!(world.state(), State::Closed, "what was before it opened is forgotten");
}

#[test]
fn fewer_than_half_do_not_and_twenty_answers_leave_nothing() {
    let world = World::new();
    let answer = || world.admit().ok().unwrap().record(Outcome::Answered, "");
    for _ in 0..100 {
        world.fail();
        answer();
        answer();
    }
    assert_eq!(world.state(), State::Closed);
    (0..RECENT).for_each(|_| answer());
    assert!(world.breakers.lock().is_empty());
    for _ in 0..9 {
        world.fail();
        answer();
    }
    world.pass(61);
    world.fail();
    assert_eq!(
        world.state(),
        State::Closed,
        "requests before a long pause are forgotten"
    );
}

#[test]
fn failures_far_apart_do_not_add_up() {
    let world = World::new();
    for _ in 0..10 {
        world.fail();
        world.pass(61);
    }
    assert_eq!(world.state(), State::Closed);
}

#[test]
fn one_probe_decides() {
    let world = World::new();
    world.trip();
    world.pass(30);
    let probe = world.admit().ok().unwrap();
    assert_eq!(world.state(), State::HalfOpen);
    assert!(world.admit().is_err(), "a second request waits for the probe");
    probe.record(Outcome::Unavailable, "503");
    assert_eq!(world.state(), State::Open);

    world.pass(30);
    world.admit().ok().unwrap().record(Outcome::Answered, "");
    assert_eq!(world.state(), State::Closed);
}

#[test]
fn an_abandoned_probe_makes_place_for_another() {
    let world = World::new();
    world.trip();
    world.pass(30);
    drop(world.admit());
    assert!(world.admit().is_ok());
}

#[test]
fn results_of_an_earlier_time_are_ignored() {
    let world = World::new();
    let early: Vec<Permit> = (0..8).map(|_| world.admit().ok().unwrap()).collect();
    early
        .iter()
        .take(5)
        .for_each(|permit| permit.record(Outcome::Unavailable, "503"));
    early[5].record(Outcome::Answered, "");
    assert_eq!(world.state(), State::Open, "an old answer does not close it");
    world.pass(30);
    let _probe = world.admit().ok().unwrap();
    early[6].record(Outcome::Answered, "");
    assert_eq!(world.state(), State::HalfOpen);
}

#[test]
fn what_has_trouble_is_listed() {
    let world = World::new();
    assert_eq!(world.breakers.list(world.target.provider), []);
    world.trip();
    let other = target("a");
    let permit = world.breakers.admit(&other).ok().unwrap();
    permit.record(Outcome::Unavailable, "529");
    let report = |model: &str, state, failures, last_failure: &str, retry_after| Report {
        model: model.to_owned(),
        state,
        failures,
        last_failure: last_failure.to_owned(),
        retry_after,
    };
    let open = |seconds| report("m", State::Open, 5, "503", Some(Duration::from_secs(seconds)));
    let closed = report("a", State::Closed, 1, "529", None);
    assert_eq!(world.breakers.list(other.provider), [closed, open(30)]);
    assert_eq!(world.breakers.list(ProviderId::new(Uuid::from_u128(7))), []);
    world.pass(61);
    assert_eq!(
        world.breakers.list(other.provider),
        [open(0)],
        "a single failure is past"
    );
    let _probe = world.admit().ok().unwrap();
    assert_eq!(
        world.breakers.list(other.provider),
        [report("m", State::HalfOpen, 5, "503", None)]
    );
}

#[test]
fn memory_stays_bounded() {
    let world = World::new();
    for number in 0..MAX_TROUBLED + 10 {
        let permit = world.breakers.admit(&target(&number.to_string())).ok().unwrap();
        permit.record(Outcome::Unavailable, "503");
    }
    assert_eq!(world.breakers.lock().len(), MAX_TROUBLED);
}
