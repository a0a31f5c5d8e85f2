//! A Graphile Worker RS pool that a test watches and steers, and a producer of jobs. The database is DATABASE_URL's.
//!
//! `gw-sqla-interop call` reads `[[method, ...arguments], ...]` from standard input, prints the array of their results:
//!   ["migrate"], ["add_job", task, payload, spec], ["add_jobs", [[task, payload, spec], ...]], ["remove_job", key]
//!
//! `gw-sqla-interop work OPTIONS` runs a pool, or once what is ready; OPTIONS is `Options` as JSON.
//! A task's name says what it does, see `behave`. Prints one JSON object a line, {"event": name, ...}:
//!   started  a handler was called; the job, as it sees it
//!   entered  a job of a task "rust's" or "either's" is on record
//! Reads one word a line:
//!   go       lets the longest waiting job end (also one that is still to come)
//!   stop     stops the pool; the end of standard input does so too

use std::{env, error::Error, io, sync::Arc, time::Duration};

use graphile_worker::{
    DbExecutor, DbParams, DbValue, IntoTaskHandlerResult, JobDefinition, JobKeyMode, JobSpec, RawJobSpec, TaskHandler,
    Worker, WorkerContext, WorkerOptions, WorkerRecoveryConfig,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use tokio::sync::Semaphore;

type Failure = Box<dyn Error + Send + Sync>;

static PERMITS: Semaphore = Semaphore::const_new(0);

/// Times are in milliseconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    tasks: Vec<String>,
    once: bool,
    concurrency: usize,
    poll: u64,
    crontab: Option<String>,
    recovery: Option<Recovery>,
    #[serde(default)]
    forbidden_flags: Vec<String>,
    #[serde(default)]
    accepted_flags: Vec<String>,
    flag_allowlist: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recovery {
    heartbeat: u64,
    sweep: u64,
    threshold: u64,
    delay: u64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Spec {
    queue_name: Option<String>,
    max_attempts: Option<i16>,
    job_key: Option<String>,
    job_key_mode: Option<String>,
    priority: Option<i16>,
    flags: Option<Vec<String>>,
}

impl From<Spec> for JobSpec {
    fn from(spec: Spec) -> Self {
        JobSpec {
            queue_name: spec.queue_name,
            run_at: None,
            max_attempts: spec.max_attempts,
            job_key: spec.job_key,
            job_key_mode: spec.job_key_mode.map(|mode| match mode.as_str() {
                "replace" => JobKeyMode::Replace,
                "preserve_run_at" => JobKeyMode::PreserveRunAt,
                "unsafe_dedupe" => JobKeyMode::UnsafeDedupe,
                other => panic!("no job key mode: {other}"),
            }),
            priority: spec.priority,
            flags: spec.flags,
        }
    }
}

macro_rules! tasks {
    ($($name:ident: $identifier:literal),*) => {
        $(
            #[derive(Serialize, Deserialize)]
            #[serde(transparent)]
            struct $name(Value);

            impl TaskHandler for $name {
                const IDENTIFIER: &'static str = $identifier;

                async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
                    behave($identifier, &context).await.map_err(|failure| failure.to_string())
                }
            }
        )*

        fn definitions() -> Vec<JobDefinition> {
            vec![$($name::definition()),*]
        }
    };
}

tasks!(Pass: "pass", Fail: "fail", Wait: "wait", WaitAndFail: "wait_and_fail", Rusts: "rust's", Eithers: "either's");

async fn behave(task: &str, context: &WorkerContext) -> Result<(), Failure> {
    let job = context.job();
    print("started", json!({
        "id": job.id(), "task_identifier": task, "payload": context.payload(), "attempts": job.attempts(),
        "max_attempts": job.max_attempts(), "key": job.key(), "priority": job.priority(), "flags": job.flags(),
        "last_error": job.last_error(), "locked_by": context.worker_id(),
    }));
    match task {
        "fail" => return Err("rust failed it".into()),
        "wait" => permission().await,
        "wait_and_fail" => {
            permission().await;
            return Err("rust failed it".into());
        }
        "rust's" | "either's" => {
            // A turn in a serial queue, on record in the database with the database's clock.
            record(context, "insert into interop_lane (worker, job_id) values ('rust', $1)").await?;
            print("entered", json!({"id": job.id()}));
            permission().await;
            record(context, "update interop_lane set left_at = clock_timestamp() where job_id = $1").await?;
        }
        _ => (),
    }
    Ok(())
}

async fn permission() {
    PERMITS.acquire().await.expect("it is never closed").forget();
}

async fn record(context: &WorkerContext, sql: &str) -> Result<(), Failure> {
    let id = DbParams::from(vec![DbValue::I64(*context.job().id())]);
    DbExecutor::execute(context.database(), sql, id).await?;
    Ok(())
}

fn print(event: &str, mut fields: Value) {
    fields["event"] = event.into();
    println!("{fields}");
}

async fn call(worker: &Worker, method: &str, mut arguments: Vec<Value>) -> Result<Value, Failure> {
    let utils = worker.create_utils();
    Ok(match method {
        "migrate" => Value::Null, // every start does it
        "add_job" => {
            let job = raw(arguments)?;
            let job = utils.add_raw_job(&job.identifier, job.payload, job.spec).await?;
            json!({"id": job.id(), "revision": job.revision()})
        }
        "add_jobs" => {
            let jobs: Vec<Vec<Value>> = serde_json::from_value(arguments.remove(0))?;
            let jobs = jobs.into_iter().map(raw).collect::<Result<Vec<_>, _>>()?;
            let jobs = utils.add_raw_jobs(&jobs).await?;
            jobs.iter().map(|job| json!({"id": job.id()})).collect()
        }
        "remove_job" => {
            utils.remove_job(arguments[0].as_str().ok_or("a key is a string")?).await?;
            Value::Null
        }
        other => return Err(format!("no method {other}").into()),
    })
}

fn raw(arguments: Vec<Value>) -> Result<RawJobSpec, serde_json::Error> {
    let (identifier, payload, spec): (String, Value, Spec) = serde_json::from_value(arguments.into())?;
    Ok(RawJobSpec { identifier, payload, spec: spec.into() })
}

fn options_of(options: Options) -> Result<WorkerOptions, Failure> {
    let mut worker = WorkerOptions::default()
        .concurrency(options.concurrency)
        .poll_interval(Duration::from_millis(options.poll))
        .shutdown_grace_period(Duration::from_secs(60))
        .define_jobs(definitions().into_iter().filter(|job| options.tasks.iter().any(|task| task == job.identifier())));
    for flag in &options.forbidden_flags {
        worker = worker.add_forbidden_flag(flag);
    }
    for flag in &options.accepted_flags {
        worker = worker.add_accepted_flag(flag);
    }
    if let Some(flags) = options.flag_allowlist {
        worker = worker.job_flag_allowlist(flags);
    }
    if let Some(crontab) = options.crontab {
        worker = worker.with_cron(crontab)?;
    }
    if let Some(recovery) = options.recovery {
        worker = worker.worker_recovery(
            WorkerRecoveryConfig::default()
                .heartbeat_interval(Duration::from_millis(recovery.heartbeat))
                .sweep_interval(Duration::from_millis(recovery.sweep))
                .sweep_threshold(Duration::from_millis(recovery.threshold))
                .recovery_delay(Duration::from_millis(recovery.delay)),
        );
    }
    Ok(worker)
}

async fn init(options: WorkerOptions) -> Result<Worker, Failure> {
    let schema = env::var("GRAPHILE_WORKER_SCHEMA")?;
    Ok(options.database_url(&env::var("DATABASE_URL")?).schema(schema).init().await?)
}

fn steer(worker: &Arc<Worker>) {
    let worker = worker.clone();
    std::thread::spawn(move || {
        for word in io::stdin().lines().map_while(Result::ok) {
            match word.as_str() {
                "go" => PERMITS.add_permits(1),
                _ => break,
            }
        }
        worker.request_shutdown();
    });
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments[0] == "call" {
        let worker = init(WorkerOptions::default()).await?;
        let mut results = Vec::new();
        for mut call_of in serde_json::from_reader::<_, Vec<Vec<Value>>>(io::stdin())? {
            let method = call_of.remove(0);
            results.push(call(&worker, method.as_str().unwrap_or_default(), call_of).await?);
        }
        println!("{}", Value::from(results));
        return Ok(());
    }
    let options: Options = serde_json::from_str(&arguments[1])?;
    let once = options.once;
    let worker = Arc::new(init(options_of(options)?).await?);
    if once {
        worker.run_once().await?;
        return Ok(());
    }
    steer(&worker);
    worker.run().await?;
    Ok(())
}
