//! The parts of a run that outlive a producer: brokers, network, disk and clock.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use replayq::vfs::sim::{Fate, PendingWrite, SimVfs};
use replayq::{Depth, Inspector};
use wolff::{Client, Producer, ProducerBuilder};
use wolff_backoff::Random;
use wolff_testbroker::{Cluster, MemoryNetwork};

use crate::knobs::Knobs;
use crate::lanes::TaskLanes;
use crate::network::MemoryDialer;
use crate::trace::Trace;

/// The topic of all records.
pub(crate) const TOPIC: &str = "t";

/// Default of `producer.id.expiration.ms`.
const A_DAY: Duration = Duration::from_secs(24 * 3_600);

/// The time of day at the start, in milliseconds since the Unix epoch.
const START_MS: i64 = 1_700_000_000_000;

/// Brokers, disk and clock of one run.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) disk: SimVfs,
    pub(crate) trace: Trace,
    pub(crate) random: Random,
    pub(crate) brokers: i32,
    /// Partitions that the topic has now.
    pub(crate) partitions: i32,
    /// Partitions that it had from the beginning.
    pub(crate) first_partitions: i32,
    pub(crate) knobs: Knobs,
    network: MemoryNetwork,
}

impl World {
    /// Starts brokers; how many, and how many partitions they lead, is drawn from the seed.
    pub(crate) async fn new(seed: u64) -> Result<Self, String> {
        let mut random = Random::from_seed(seed);
        let knobs = Knobs::draw(&mut random);
        let mut up_to = |most: u64| i32::try_from(random.below(most)).unwrap_or(0) + 1;
        let (brokers, partitions) = (up_to(2) + 1, up_to(3));
        // Small pipes cut requests anywhere.
        let pipe_bytes = match random.below(3) {
            0 => 64 * 1024,
            _ => 50 + usize::try_from(random.below(1_000)).unwrap_or(0),
        };
        let network = MemoryNetwork::new().pipe_bytes(pipe_bytes);
        let cluster = Cluster::builder()
            .network(&network)
            .brokers(brokers)
            .topic(TOPIC, partitions)
            .cluster_id("simulated")
            .unknown_producers(knobs.unknown)
            .producer_expiration(A_DAY)
            .start_time_ms(START_MS);
        let cluster = cluster.start().await.map_err(|error| error.to_string())?;
        let trace = Trace::new();
        trace.note(format_args!(
            "seed {seed}: {brokers} brokers, {partitions} partitions, pipes of {pipe_bytes} bytes, {knobs:?}"
        ));
        Ok(Self {
            cluster,
            disk: SimVfs::new(),
            trace,
            random,
            brokers,
            partitions,
            first_partitions: partitions,
            knobs,
            network,
        })
    }

    /// A new client, as of a new process.
    pub(crate) fn client(&mut self) -> Result<Client, String> {
        let dialer = MemoryDialer::new(&self.network, self.random.fork(), &self.trace);
        let environment = wolff_client::Environment::default()
            .dialer(dialer)
            .seed(self.random.next_u64());
        let client = Client::builder([self.cluster.bootstrap()])
            .client_id("sim")
            .environment(environment)
            // Faults hold answers for seconds; nothing is to wait half a minute for them.
            .request_timeout(Duration::from_secs(5));
        client.build().map_err(|error| error.to_string())
    }

    /// A producer on the simulated disk that is still to be configured.
    pub(crate) fn producer(&mut self, client: &Client) -> ProducerBuilder {
        let trace = self.trace.clone();
        let environment = wolff::Environment::default()
            .vfs(Arc::new(self.disk.clone()))
            .executor(Arc::new(TaskLanes::new(self.random.fork())))
            .seed(self.random.next_u64())
            .wall_clock(move || {
                let since = i64::try_from(trace.elapsed().as_millis()).unwrap_or(0);
                START_MS.saturating_add(since)
            });
        let disk = self.disk.clone();
        let environment = environment.directories(move |path| Ok(queues_in(&disk, path)));
        let builder = Producer::builder(client, TOPIC)
            .environment(environment)
            .replayq_dir("/queues");
        self.knobs.apply(builder)
    }

    /// The process is gone. Of the disk there is what was written, or after a power loss what was
    /// synced and anything of the rest.
    pub(crate) fn lose_process(&mut self) {
        if !self.knobs.loses_power {
            self.disk = self.disk.after_kill();
            self.trace.note(format_args!("the process was killed"));
            return;
        }
        let names = self.random.below(self.disk.pending_names() as u64 + 1);
        let random = &mut self.random;
        let fate = |_: usize, write: &PendingWrite| match random.below(3) {
            0 => Fate::Lost,
            1 => Fate::Kept,
            _ => {
                let bytes = write.bytes.unwrap_or(0) as u64;
                Fate::Part(0, usize::try_from(random.below(bytes + 1)).unwrap_or(0))
            }
        };
        let names = usize::try_from(names).unwrap_or(0);
        self.disk = self.disk.after_power_loss(names, fate);
        self.trace.note(format_args!("the power was lost"));
    }
}

impl World {
    /// A bit of a queue's segment flips, if there is one. The last write that a segment has stays
    /// as it is: damaged, it is taken for one that a crash has cut short. So do tags of leases:
    /// what has lost its own is sent behind what still has one.
    pub(crate) fn flip_bit(&mut self) {
        let is_segment = |file: &PathBuf| file.extension().is_some_and(|end| end == "segment");
        let segments: Vec<PathBuf> = self.disk.files().into_iter().filter(is_segment).collect();
        let mut below = |bound: usize| {
            let drawn = self.random.below(u64::try_from(bound).unwrap_or(1).max(1));
            usize::try_from(drawn).unwrap_or(0)
        };
        let Some(file) = segments.get(below(segments.len())) else {
            return;
        };
        let before = self.disk.read_file(file).unwrap_or_default();
        // Behind the last entry there are zeros, which nobody reads.
        let used = before.iter().rposition(|byte| *byte != 0);
        let (at, bit) = (below(used.map_or(0, |last| last + 1)), below(8));
        let mut after = before.clone();
        let Some(byte) = after.get_mut(at) else {
            return;
        };
        *byte ^= 1 << bit;
        let spared = self.spared(file);
        self.disk.write_file(file, after);
        if self.spared(file) != spared {
            return self.disk.write_file(file, before);
        }
        let name = file.display();
        self.trace
            .note(format_args!("bit {bit} of byte {at} of {name} flips"));
    }

    /// In the queue that a file is of: bytes that look like a write that was cut short, where the
    /// writes before that end, and the number of leases.
    fn spared(&self, file: &Path) -> Option<(u64, u64, usize)> {
        let inspector = Inspector::with_vfs(Arc::new(self.disk.clone()));
        let directory = file.parent().unwrap_or(file);
        let found = inspector.inspect(directory, Depth::EveryByte).ok()?;
        let torn = found.segments.iter().map(|segment| segment.torn_bytes);
        let ends = found.segments.iter().map(|segment| segment.end);
        Some((torn.sum(), ends.sum(), found.leases.len()))
    }
}

/// The names of the subdirectories with files.
fn queues_in(disk: &SimVfs, directory: &Path) -> Vec<String> {
    let names: BTreeSet<String> = (disk.files().iter())
        .filter_map(|file| {
            let inside = file.strip_prefix(directory).ok()?;
            let mut components = inside.components();
            let name = components.next()?.as_os_str().to_str()?.to_owned();
            // A file of the directory itself is no subdirectory.
            components.next().map(|_| name)
        })
        .collect();
    names.into_iter().collect()
}
