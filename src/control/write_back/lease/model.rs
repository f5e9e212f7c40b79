//! Several instances against a model of the API server, with delays, losses, clocks of different
//! speed, deaths and releases, in model time: there are never two leaders, and always one again.

use super::*;
use proptest::prelude::*;

const INSTANCES: usize = 3;

/// The events of one request.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Milliseconds until the server acts.
    there: u64,
    /// Milliseconds until the answer is back.
    back: u64,
    /// The request never arrives.
    lost: bool,
    /// The answer never arrives.
    unheard: bool,
    random: f64,
}

/// One instance: its clock runs at `speed` of the model's time.
struct Instance {
    machine: Machine,
    speed: f64,
    alive: bool,
    flight: Option<Flight>,
}

struct Flight {
    request: Request,
    sent: Instant,
    /// When the server acts, in milliseconds of the model; `None` once it has, or never will.
    acts: Option<u64>,
    /// When the instance hears, and what.
    hears: u64,
    answer: Answer,
    fate: Fate,
}

#[derive(Default)]
struct Server {
    lease: Option<StoredLease>,
    writes: u64,
}

impl Server {
    fn act(&mut self, request: &Request, who: usize, duration: Duration) -> Answer {
        let record = |holder: Option<String>, writes: u64| Record {
            holder,
            duration,
            renewed: Some(writes.into()),
            transitions: 0,
        };
        let holder = match (request, &self.lease) {
            (Request::Read, None) => return Answer::Missing,
            (Request::Read, Some(found)) => return Answer::StoredLease(found.clone()),
            (Request::Create, Some(_)) => return Answer::Conflict,
            (Request::Hold { .. } | Request::Release { .. }, None) => return Answer::Missing,
            (Request::Hold { version } | Request::Release { version }, Some(found))
                if *version != found.version =>
            {
                return Answer::Conflict;
            }
            (Request::Create | Request::Hold { .. }, _) => Some(who.to_string()),
            (Request::Release { .. }, _) => None,
        };
        self.writes += 1;
        let found =
            StoredLease { version: self.writes.to_string(), record: record(holder, self.writes) };
        self.lease = Some(found.clone());
        Answer::StoredLease(found)
    }
}

struct World {
    start: Instant,
    now: u64,
    server: Server,
    instances: Vec<Instance>,
    fates: Vec<Fate>,
    next_fate: usize,
}

impl World {
    fn new(speeds: &[f64], fates: Vec<Fate>) -> Self {
        let start = Instant::now();
        let mk_instance = |(who, &speed): (usize, &f64)| Instance {
            machine: Machine::new(who.to_string(), Timing::default(), start),
            speed,
            alive: true,
            flight: None,
        };
        let instances = speeds.iter().enumerate().map(mk_instance).collect();
        Self { start, now: 0, server: Server::default(), instances, fates, next_fate: 0 }
    }

    fn local(&self, who: usize) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "some hundred thousand milliseconds")]
        let seconds = self.now as f64 / 1000.0 * self.instances[who].speed;
        self.start + Duration::from_secs_f64(seconds)
    }

    fn leaders(&self) -> Vec<usize> {
        let leads = |&who: &usize| {
            let until = self.instances[who].machine.leading_until();
            self.instances[who].alive && until.is_some_and(|until| self.local(who) < until)
        };
        (0..self.instances.len()).filter(leads).collect()
    }

    /// One step of 50 ms.
    fn step(&mut self) {
        self.now += 50;
        for who in 0..self.instances.len() {
            let local = self.local(who);
            let duration = Timing::default().duration;
            let instance = &mut self.instances[who];
            if let Some(flight) = &mut instance.flight {
                if flight.acts.is_some_and(|at| at <= self.now) {
                    flight.acts = None;
                    let answer = self.server.act(&flight.request, who, duration);
                    if !flight.fate.unheard {
                        flight.answer = answer;
                    }
                }
                if flight.hears <= self.now && instance.alive {
                    let Flight { answer, sent, fate, acts, request, .. } = flight;
                    let (answer, sent, random) = (answer.clone(), *sent, fate.random);
                    // A write that was given up may still arrive.
                    let late = acts.map(|_| request.clone());
                    instance.flight = None;
                    instance.machine.answer(answer, sent, local, random);
                    if let Some(late) = late {
                        self.server.act(&late, who, duration);
                    }
                }
            } else if instance.alive && instance.machine.next() <= local {
                let fate = self.fates[self.next_fate % self.fates.len()];
                self.next_fate += 1;
                let acts = (!fate.lost).then_some(self.now + fate.there);
                // The instance waits for 5 s and no longer.
                let answered = fate.there + fate.back;
                let hears = self.now + if fate.lost { 5000 } else { answered.min(5000) };
                let request = instance.machine.request();
                let (sent, answer) = (local, Answer::Failed);
                instance.flight = Some(Flight { request, sent, acts, hears, answer, fate });
            }
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    let delay = || prop_oneof![6 => 0u64..300, 2 => 300u64..3000, 1 => 3000u64..12_000];
    let (lost, unheard) = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (delay(), delay(), lost, unheard, 0.0..=1.0f64).prop_map(
        |(there, back, lost, unheard, random)| Fate { there, back, lost, unheard, random },
    )
}

const GOOD: Fate = Fate { there: 10, back: 10, lost: false, unheard: false, random: 0.5 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn there_are_never_two_leaders_and_after_all_trouble_there_is_one(
        speeds in prop::collection::vec(0.9..1.1f64, INSTANCES),
        fates in prop::collection::vec(fate(), 1..200),
        deaths in prop::collection::vec((0u64..300_000, 0..INSTANCES, any::<bool>()), 0..4),
    ) {
        let mut world = World::new(&speeds, fates);
        while world.now < 300_000 {
            world.step();
            for &(at, who, release) in &deaths {
                // The last one lives, or there would be nobody to look for.
                let living = world.instances.iter().filter(|one| one.alive).count();
                if at / 50 == world.now / 50 && living > 1 && world.instances[who].alive {
                    world.instances[who].alive = false;
                    let request = world.instances[who].machine.release();
                    if let (true, Some(request)) = (release, request) {
                        world.server.act(&request, who, Duration::from_secs(1));
                    }
                }
            }
            let leaders = world.leaders();
            prop_assert!(leaders.len() <= 1, "{leaders:?} at {} ms", world.now);
        }
        // The network is well again: within a Lease, a look and what was on its way there is one.
        world.fates = vec![GOOD];
        let calm = world.now;
        while world.leaders().is_empty() {
            world.step();
            prop_assert!(world.now < calm + 40_000, "nobody leads");
        }
    }
}

#[test]
fn a_dead_leader_is_succeeded_after_its_lease_and_a_released_one_within_a_look() {
    for (release, earliest, latest) in [(false, 15_000, 22_000), (true, 0, 6_000)] {
        let mut world = World::new(&[1.0; INSTANCES], vec![GOOD]);
        while world.now < 12_000 {
            world.step();
        }
        let [leader] = world.leaders()[..] else { panic!("{:?}", world.leaders()) };
        world.instances[leader].alive = false;
        if release {
            let request = world.instances[leader].machine.release().expect("it leads");
            world.server.act(&request, leader, Duration::from_secs(1));
        }
        let died = world.now;
        while world.leaders().is_empty() {
            world.step();
            assert!(world.now < died + latest, "nobody leads after {} ms", world.now - died);
        }
        // Counted from the last renewal, which was up to 5.5 s before.
        assert!(world.now + 5_500 >= died + earliest, "taken after {} ms", world.now - died);
    }
}
