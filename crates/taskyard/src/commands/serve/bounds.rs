//! The policy and the limits that the settings ask for, as far as they fit together; whether each makes sense alone is
//! for its flag to say ([`crate::settings::units`]).

use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_server::settings::Limits;
use taskyard_store::{postgres, sqlite};

use crate::cli::{ConnectionArgs, LimitArgs, TimeArgs};
use crate::database::Address;
use crate::failure::Failure;
use crate::settings::units::duration_text;

const ATTEMPT_DETAIL_MOST: usize = 1 << 20;

/// The longest that the details in the list of one task's attempts may be together.
const ATTEMPTS_BYTES_MOST: usize = 200 << 20;

/// Whoever follows a log reads no longer record than a line of that length, all of it escapes.
const LOG_LINE_MOST: usize = 1 << 20;

/// A key that is forgotten sooner is not known when a request is sent again.
const KEY_LIFE_LEAST: Duration = Duration::from_mins(1);

/// An operation that is forgotten sooner may be gone before whoever follows it has seen its end.
const OPERATION_LIFE_LEAST: Duration = Duration::from_mins(1);

/// Less does not hold one run's news and what is around it, and workers run tasks whose ends they cannot tell.
const BODY_LEAST: usize = 8 << 10;

pub(super) fn limits(args: &LimitArgs, connections: &ConnectionArgs) -> Result<Limits, Failure> {
    let details = 2 * usize::try_from(args.history_max).unwrap_or(1);
    let most = ATTEMPT_DETAIL_MOST.min(ATTEMPTS_BYTES_MOST / details);
    if args.attempt_detail_max > most {
        return Err(Failure::usage(format!(
            "--attempt-detail-max is {} bytes; it must be at most {most}, since with this --history-max one answer may \
             hold {details} of them",
            args.attempt_detail_max
        )));
    }
    for (name, bytes, least) in [
        ("--head-max", connections.head_max, Limits::HEAD_BYTES_LEAST),
        ("--body-max", args.body_max, BODY_LEAST),
    ] {
        if bytes < least {
            return Err(Failure::usage(format!(
                "{name} is {bytes} bytes; it must be at least {least}"
            )));
        }
    }
    let limits = Limits {
        input_max: args.input_max,
        output_max: args.output_max,
        list_look_at_max: args.list_look_at_max as usize,
        offset_max: args.offset_max as usize,
        matching_max: args.matching_max as usize,
        attempt_detail_max: args.attempt_detail_max,
        depth_max: usize::from(args.depth_max),
        bulk_max: args.body_max,
        bodies_max: args.bodies_max,
        answers_max: args.answers_max,
        tasks_max: args.batch_max as usize,
        claim_max: args.claim_max as usize,
        follows_max: args.follows_max as usize,
        stream_tasks_max: args.stream_max as usize,
        checkpoint_max: args.checkpoint_max,
        connections_max: connections.connections_max as usize,
        connections_spare: connections.connections_spare as usize,
        place_within: connections.place_within,
        head_bytes_max: connections.head_max,
        head_within: connections.head_within,
        idle_within: connections.idle_within,
        body_pause_max: connections.body_pause,
        body_within: connections.body_within,
        write_pause_max: connections.write_pause,
        answer_within: connections.answer_within,
        wrong_tokens_max: args.wrong_tokens_max,
        metrics_values_max: args.metrics_values_max as usize,
        metrics_within: args.metrics_within,
        ..Limits::default()
    };
    let least = limits.body_max().saturating_mul(2);
    for (name, bytes) in [
        ("--bodies-max", limits.bodies_max),
        ("--queue-bytes-max", args.queue_bytes_max),
    ] {
        if bytes < least {
            return Err(Failure::usage(format!(
                "{name} is {bytes} bytes; it must be at least twice the longest body that --body-max, --output-max, \
                 --input-max and --checkpoint-max let in, {least}"
            )));
        }
    }
    Ok(limits)
}

pub(super) fn lists_max(args: &LimitArgs, address: &Address) -> Result<usize, Failure> {
    let readers = match address {
        Address::Sqlite(_) => sqlite::READERS,
        Address::Postgres(_) => postgres::READERS,
    };
    let lists = args.lists_max.map_or(readers / 2, |lists| lists as usize);
    if lists >= readers {
        return Err(Failure::usage(format!(
            "--lists-max is {lists}; it must be less than this database's {readers} readers"
        )));
    }
    Ok(lists)
}

fn at_least(name: &str, value: Duration, what: &str, least: Duration) -> Result<(), Failure> {
    if value < least {
        let (value, least) = (duration_text(value), duration_text(least));
        return Err(Failure::usage(format!(
            "{name} is {value}; it must be at least {what}, {least}"
        )));
    }
    Ok(())
}

/// As it is set, if that fits; or else often enough for the times that are.
fn heartbeat(times: &TimeArgs) -> Result<Duration, Failure> {
    let (ttl, lease) = (times.heartbeat_ttl, times.lease);
    let Some(heartbeat) = times.heartbeat else {
        return Ok(Policy::default().heartbeat.min(ttl / 3).min(lease / 3));
    };
    for (name, value, times, what) in [
        ("--heartbeat-ttl", ttl, 2, "twice"),
        ("--lease", lease, 3, "three times"),
    ] {
        if value < heartbeat * times {
            return Err(Failure::usage(format!(
                "{name} is {}; with --heartbeat {} it must be at least {what} that, {}",
                duration_text(value),
                duration_text(heartbeat),
                duration_text(heartbeat * times)
            )));
        }
    }
    Ok(heartbeat)
}

pub(super) fn policy(times: &TimeArgs, limits: &LimitArgs) -> Result<Policy, Failure> {
    let heartbeat = heartbeat(times)?;
    let lease_max = Policy::default().lease_max;
    if times.lease > lease_max {
        return Err(Failure::usage(format!(
            "--lease is {}; it must be at most {}, for what ends much later was given by a clock that was ahead. A run may \
             take longer: its worker's heartbeats renew its lease",
            duration_text(times.lease),
            duration_text(lease_max)
        )));
    }
    at_least(
        "--worker-life",
        times.worker_life,
        "--heartbeat-ttl",
        times.heartbeat_ttl,
    )?;
    at_least("--key-life", times.key_life, "a minute", KEY_LIFE_LEAST)?;
    let (life, least) = (times.operation_life, OPERATION_LIFE_LEAST);
    at_least("--operation-life", life, "a minute", least)?;
    if limits.log_line_max > LOG_LINE_MOST {
        return Err(Failure::usage(format!(
            "--log-line-max is {} bytes; it must be at most {LOG_LINE_MOST}, which whoever follows a log can still read",
            limits.log_line_max
        )));
    }
    Ok(Policy {
        heartbeat,
        heartbeat_ttl: times.heartbeat_ttl,
        worker_life: times.worker_life,
        poll: times.poll,
        lease: times.lease,
        timeout: times.timeout,
        timeout_margin: times.timeout_margin,
        priority_level: times.priority_level,
        max_attempts: limits.max_attempts,
        max_losses: limits.max_losses,
        commands_max: limits.queue_max as usize,
        commands_bytes_max: limits.queue_bytes_max,
        lanes_max: limits.lanes_max as usize,
        queues_max: limits.queues_max as usize,
        operations_max: limits.operations_max as usize,
        workers_max: limits.workers_max as usize,
        stats_lanes_max: limits.stats_lanes_max as usize,
        claim_bytes_max: limits.claim_bytes_max,
        history_max: limits.history_max,
        log_bytes_max: limits.log_max,
        log_line_bytes_max: limits.log_line_max,
        key_life: times.key_life,
        operation_life: times.operation_life,
        clock_skew: times.clock_skew,
        retention: times.retain.unwrap_or_default(),
        ..Policy::default()
    })
}
