//! Turns of the scenarios, and what each came to.

use std::time::Duration;

use tokio::time::Instant;

use super::{node::Server, scenarios::Scenario};
use crate::{
    cli::{
        CliError,
        bench::{
            cpu::Process,
            load::Load,
            resp::Client,
            rounds::{median, quantile},
        },
    },
    private_redis::PrivateRedis,
};

/// Round trips to Redis that are measured in a round.
const PINGS: usize = 500;

/// Figures of one scenario, one for each round.
#[derive(Default)]
pub struct Turns {
    /// CPU µs of the server for each admission.
    pub node: Vec<f64>,
    /// CPU µs of Redis for each admission.
    pub redis: Vec<f64>,
    /// Admissions a second.
    pub rate: Vec<f64>,
    /// Median time of a request, µs.
    pub p50: Vec<f64>,
    /// Time within which 99 of 100 requests were answered, µs.
    pub p99: Vec<f64>,
    /// Script calls for each admission.
    pub trips: Vec<f64>,
}

impl Turns {
    /// CPU µs of server and Redis.
    pub fn cpu(&self) -> Vec<f64> {
        self.node.iter().zip(&self.redis).map(|(node, redis)| node + redis).collect()
    }
}

struct Contender<'a> {
    server: &'a Server,
    scenario: Scenario,
    load: Load,
    turns: Turns,
}

/// Everything that is compared.
pub struct Runner<'a> {
    redis: Process,
    client: Client,
    contenders: Vec<Contender<'a>>,
    /// Median round trip to Redis of each round, µs.
    pub round_trips: Vec<f64>,
}

static NONE: Turns =
    Turns { node: Vec::new(), redis: Vec::new(), rate: Vec::new(), p50: Vec::new(), p99: Vec::new(), trips: Vec::new() };

impl<'a> Runner<'a> {
    /// Nothing to compare yet.
    pub async fn new(redis: &PrivateRedis) -> Result<Self, CliError> {
        let client = Client::connect(redis).await?;
        Ok(Self { redis: Process(redis.pid()), client, contenders: Vec::new(), round_trips: Vec::new() })
    }

    /// Adds a scenario.
    pub async fn add(&mut self, server: &'a Server, scenario: Scenario) -> Result<(), CliError> {
        let mut load = Load::connect(server.address, scenario.callers, &scenario.next).await?;
        // Once unmeasured: caches fill, counters exist.
        load.run(Instant::now() + Duration::from_millis(100)).await?;
        self.contenders.push(Contender { server, scenario, load, turns: Turns::default() });
        Ok(())
    }

    /// One turn of each scenario.
    pub async fn round(&mut self, slot: Duration) -> Result<(), CliError> {
        for contender in &mut self.contenders {
            contender.turn(self.redis, slot).await?;
        }
        let mut times = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let began = Instant::now();
            self.client.exchange(b"*1\r\n$4\r\nPING\r\n", 1).await?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        self.round_trips.push(median(&times));
        Ok(())
    }

    /// The figures of a scenario.
    pub fn turns(&self, name: &str) -> &Turns {
        self.contenders.iter().find(|contender| contender.scenario.name == name).map_or(&NONE, |contender| &contender.turns)
    }

    /// Every scenario by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Turns)> {
        self.contenders.iter().map(|contender| (contender.scenario.name, &contender.turns))
    }
}

impl Contender<'_> {
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    async fn turn(&mut self, redis: Process, slot: Duration) -> Result<(), CliError> {
        let (server, pool) = (self.server, self.scenario.pool);
        let calls = if pool.is_empty() { 0.0 } else { server.metric("quota_store_calls_total", pool).await? };
        let (node_before, redis_before, began) = (server.process.cpu_us()?, redis.cpu_us()?, Instant::now());
        let tally = self.load.run(began + slot).await?;
        let (elapsed, node_after, redis_after) = (began.elapsed(), server.process.cpu_us()?, redis.cpu_us()?);
        let calls = if pool.is_empty() { 0.0 } else { server.metric("quota_store_calls_total", pool).await? - calls };
        if tally.failed > 0 {
            return Err(CliError::Internal(format!("bench: {} requests of `{}` failed", tally.failed, self.scenario.name)));
        }
        let admissions = tally.requests as f64 * self.scenario.admissions;
        self.turns.node.push((node_after - node_before) / admissions);
        self.turns.redis.push((redis_after - redis_before) / admissions);
        self.turns.rate.push(admissions / elapsed.as_secs_f64());
        self.turns.p50.push(median(&tally.latencies));
        self.turns.p99.push(quantile(&tally.latencies, 0.99));
        self.turns.trips.push(calls / admissions);
        Ok(())
    }
}
