//! Against a real server, where one is installed.

use super::*;
use crate::model::middleware::RateLimit;
use crate::proxy::gcra::tests::mk_limit;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU8;
use std::time::Instant;

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of its own address.
struct Server {
    program: PathBuf,
    address: SocketAddr,
    child: Child,
}

impl Server {
    fn start() -> Option<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<_> = std::env::split_paths(&path).collect();
        let named =
            |name: &str| places.iter().map(|place| place.join(name)).find(|file| file.is_file());
        let Some(program) = named("valkey-server").or_else(|| named("redis-server")) else {
            assert!(
                std::env::var_os("RAVELIN_TESTS_STRICT").is_none(),
                "no valkey-server or redis-server"
            );
            eprintln!("skipped: neither valkey-server nor redis-server is installed");
            return None;
        };
        let [high, low] = u16::try_from(std::process::id() % 0xffff).unwrap_or(1).to_be_bytes();
        let last = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from(([127, high, low, last], 6379));
        let child = run(&program, address);
        Some(Self { program, address, child })
    }

    fn restart(&mut self) {
        self.child = run(&self.program, self.address);
    }

    fn stop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    fn store(&self, cells: &Arc<StepCells>) -> Arc<Store> {
        // Far more than it takes: a busy machine is no fault of the store's.
        self.store_within(Duration::from_secs(5), cells)
    }

    fn store_within(&self, budget: Duration, cells: &Arc<StepCells>) -> Arc<Store> {
        let settings = SharedStore {
            endpoints: vec![self.address.to_string().into()],
            service: None,
            username: None,
            password: None,
            database: 0,
            tls: None,
            budget,
        };
        Store::open(settings, Arc::clone(cells))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &PathBuf, address: SocketAddr) -> Child {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut child = Command::new(program)
        .args(["--bind", &host, "--port", &port, "--save", "", "--appendonly", "no"])
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let is_ready = |line: &std::io::Result<String>| {
        line.as_ref().is_ok_and(|line| line.contains("Ready to accept connections"))
    };
    lines.find(is_ready).expect("it is ready").expect("text");
    // Whatever else it says is read, so that it never waits.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn run_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime").block_on(future)
}

fn mk_rate(limit: &RateLimit) -> Rate {
    Rate::of(limit)
}

/// Asks until the store answers.
async fn answered(store: &Store, rate: Rate) -> Result<(), Duration> {
    let end = Instant::now() + PATIENCE;
    loop {
        match store.take("default/limit", Key::All, rate).await {
            Ok(answer) => return answer,
            Err(_) => assert!(Instant::now() < end, "the store never answers"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks until the store does not answer.
async fn unanswered(store: &Store, rate: Rate) -> StoreFailure {
    let end = Instant::now() + PATIENCE;
    loop {
        match store.take("default/limit", Key::All, rate).await {
            Err(failure) => return failure,
            Ok(_) => assert!(Instant::now() < end, "the store still answers"),
        }
    }
}

#[test]
fn three_processes_share_one_rate_by_the_clock_of_the_store() {
    let Some(server) = Server::start() else { return };
    // A busy machine asks with pauses: the burst keeps what these leave.
    let rate = mk_rate(&mk_limit(100, Duration::from_secs(1), 100));
    let cells = Arc::<StepCells>::default();
    let stores = [(); 3].map(|()| server.store(&cells));
    run_on(async {
        for store in &stores {
            let _ = answered(store, rate).await;
        }
        let (begun, mut passed) = (Instant::now(), 0_u32);
        while begun.elapsed() < Duration::from_secs(2) {
            for store in &stores {
                passed += u32::from(matches!(
                    store.take("default/limit", Key::All, rate).await,
                    Ok(Ok(()))
                ));
            }
        }
        let most = begun.elapsed().as_secs_f64() * 100.0 + 100.0;
        assert!(f64::from(passed) <= most * 1.1, "{passed} of {most}");
        assert!(f64::from(passed) >= most * 0.9, "{passed} of {most}");
    });
    assert_eq!(cells.stores_connected.now(), 3);
}

#[test]
fn a_refusal_tells_how_long_and_takes_nothing() {
    let Some(server) = Server::start() else { return };
    let rate = mk_rate(&mk_limit(1, Duration::from_secs(3600), 2));
    let store = server.store(&Arc::default());
    run_on(async {
        assert_eq!(answered(&store, rate).await, Ok(()));
        assert_eq!(answered(&store, rate).await, Ok(()));
        let first = answered(&store, rate).await.expect_err("no token");
        let second = answered(&store, rate).await.expect_err("no token");
        assert!(second <= first && first <= Duration::from_secs(3600), "{first:?} {second:?}");
        assert!(second > Duration::from_secs(3500), "{second:?}");
    });
}

#[test]
fn a_store_that_forgets_its_scripts_or_is_started_anew_is_taught_again() {
    let Some(mut server) = Server::start() else { return };
    let rate = mk_rate(&mk_limit(1, Duration::from_secs(3600), 1));
    let cells = Arc::<StepCells>::default();
    let store = server.store(&cells);
    run_on(async {
        assert!(answered(&store, rate).await.is_ok());
        assert!(answered(&store, rate).await.is_err());
        server.stop();
        let failure = unanswered(&store, rate).await;
        assert!(failure != StoreFailure::Timeout, "{failure:?}");
        while store.link.load().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let failure = store.take("default/limit", Key::All, rate).await;
        assert_eq!(failure, Err(StoreFailure::Disconnected));
        server.restart();
        assert!(answered(&store, rate).await.is_ok(), "its buckets are full again");
        assert!(answered(&store, rate).await.is_err());
        let _: String = redis_call(&server, &["FLUSHALL"]);
        let _: String = redis_call(&server, &["SCRIPT", "FLUSH"]);
        assert!(answered(&store, rate).await.is_ok());
        assert!(answered(&store, rate).await.is_err());
    });
    let fallbacks: u64 =
        cells.store_fallbacks.iter().map(crate::telemetry::SharedCounter::total).sum();
    assert!(fallbacks >= 2);
}

#[test]
fn a_store_that_hangs_is_given_up_after_some_requests_until_it_answers_again() {
    let Some(server) = Server::start() else { return };
    let rate = mk_rate(&mk_limit(1000, Duration::from_secs(1), 1000));
    let cells = Arc::<StepCells>::default();
    let store = server.store_within(Duration::from_millis(500), &cells);
    run_on(async {
        assert!(answered(&store, rate).await.is_ok());
        server.signal(rustix::process::Signal::STOP);
        let mut timeouts = 0;
        while store.take("default/limit", Key::All, rate).await == Err(StoreFailure::Timeout) {
            timeouts += 1;
        }
        assert_eq!(timeouts, MOST_MISSED);
        let failure = store.take("default/limit", Key::All, rate).await;
        assert_eq!(failure, Err(StoreFailure::Disconnected), "nobody waits any more");
        server.signal(rustix::process::Signal::CONT);
        assert!(answered(&store, rate).await.is_ok());
    });
}

/// Sends one command by a connection of its own.
fn redis_call<T: redis::FromRedisValue>(server: &Server, words: &[&str]) -> T {
    let client = redis::Client::open(format!("redis://{}/", server.address)).expect("an address");
    let mut connection = client.get_connection().expect("a connection");
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(*word);
    });
    command.query(&mut connection).expect("an answer")
}
