//! Each behaviour stated once, and tried on every store. A change of a verb begins here.

mod cancelling;
mod changing;
mod claiming;
mod discarding;
mod explaining;
mod failing;
mod giving_up;
mod holding_on;
mod keeping;
mod killing;
mod leaving;
mod listing;
mod logging;
mod losing;
mod naming;
pub(crate) mod operating;
mod paging;
mod presence;
mod queueing;
mod refusing;
mod reporting;
mod resetting;
mod spoiling;
mod submitting;
mod surveying;
mod tallying;
mod telling_again;
mod timing;
pub(crate) mod yard;

use std::sync::Arc;

use yard::Yard;

use crate::database::Database;
use crate::pooler::Pooler;

/// Makes a test of every case for one store.
macro_rules! conformance {
    ($store:ident, $open:expr) => {
        mod $store {
            use super::*;

            conformance!(@cases $open;
                submitting::a_new_task_is_pending,
                submitting::a_batch_is_stored_whole_and_in_order,
                submitting::what_one_task_of_a_batch_has_is_not_its_neighbours,
                submitting::a_task_for_later_is_scheduled_and_promoted_at_its_time,
                submitting::a_time_in_the_past_means_now,
                refusing::a_refused_command_ends_at_its_time_and_goes_to_nobody,
                refusing::only_commands_of_the_older_routes_are_refused,
                refusing::a_command_is_judged_when_its_time_comes,
                refusing::a_refused_command_called_now_is_judged_now,
                refusing::a_command_of_the_older_kind_is_refused_by_itself,
                refusing::a_command_that_is_ready_is_judged_again_only_for_another_time,
                refusing::why_a_command_will_fail_is_told_alone,
                submitting::the_same_id_with_the_same_body_is_the_same_task,
                submitting::a_submit_answers_where_its_new_tasks_stand,
                submitting::the_same_id_with_another_body_is_refused,
                submitting::an_id_of_yesterday_or_tomorrow_is_refused,
                submitting::an_id_of_any_age_is_taken_once_where_nobody_can_send_it_later,
                submitting::one_bad_task_refuses_its_whole_batch,
                submitting::the_same_idempotency_key_answers_the_same_ids,
                submitting::an_idempotency_key_with_another_body_is_refused,
                submitting::an_idempotency_key_is_forgotten_after_its_life,
                submitting::the_oldest_keys_are_forgotten_first,
                submitting::a_key_that_is_forgotten_and_taken_in_one_batch_stands_for_what_took_it,
                submitting::a_key_that_is_taken_anew_before_it_is_forgotten_stays,
                submitting::a_batch_takes_the_lanes_that_are_left_and_no_more,
                submitting::too_many_lanes_are_refused,
                submitting::a_refused_submit_uses_up_no_lane,
                submitting::lanes_whose_tasks_have_ended_make_room,
                submitting::whatever_is_open_keeps_its_lane,
                holding_on::an_exclusive_task_is_given_away_only_when_its_own_lease_has_ended,
                holding_on::the_lease_of_an_exclusive_task_is_renewed_as_any,
                holding_on::an_exclusive_task_is_renewed_no_longer_once_its_time_is_up,
                holding_on::an_exclusive_task_that_has_expired_after_its_time_is_not_brought_back,
                holding_on::an_exclusive_task_that_fails_is_tried_again,
                holding_on::a_unique_key_stands_once_in_its_queue,
                holding_on::a_unique_key_is_free_once_its_task_has_ended,
                holding_on::the_same_submit_again_finds_the_task_that_has_its_key,
                holding_on::keys_of_tasks_that_have_ended_are_found_and_taken_away,
                queueing::nothing_of_a_paused_queue_is_given_out,
                queueing::a_pause_counts_for_the_claims_behind_it_in_its_batch,
                queueing::a_claim_beside_the_end_of_a_pause_looks_again,
                queueing::a_suspect_of_a_paused_queue_waits_too,
                queueing::what_a_worker_has_goes_on_when_its_queue_is_paused,
                queueing::a_task_takes_what_its_queue_says_unless_it_says_itself,
                queueing::queues_of_which_something_is_set_are_listed_by_name,
                queueing::too_many_queues_are_refused_and_known_ones_can_still_be_set,
                queueing::a_queue_that_is_set_back_makes_room_for_another,
                explaining::what_workers_lack_is_told_one_after_the_other,
                explaining::who_takes_what_it_names_is_not_waited_for,
                explaining::busy_workers_and_those_before_it_are_counted,
                explaining::a_paused_queue_and_a_time_to_come_are_told,
                explaining::what_became_of_a_run_is_told,
                explaining::a_silent_worker_and_what_it_has_are_told,
                explaining::a_suspect_waits_for_an_empty_hand,
                explaining::what_is_not_there_is_not_explained,
                changing::a_raised_priority_overtakes_and_a_lowered_one_falls_behind,
                changing::a_task_is_put_off_and_called_back,
                changing::what_is_put_off_beside_its_promotion_is_not_promoted,
                changing::a_task_called_now_does_not_overtake_those_that_wait,
                changing::what_was_changed_stays_so_over_a_retry,
                changing::what_was_raised_comes_first_again_when_it_is_handed_back,
                changing::a_change_says_what_a_task_waits_for,
                changing::what_a_worker_has_or_what_has_ended_is_not_changed,
                changing::a_suspect_that_is_put_off_comes_back_as_one,
                surveying::sums_are_of_all_and_name_the_queues_and_kinds_that_have_most,
                surveying::a_survey_tells_since_when_each_lane_waits,
                surveying::what_came_back_waits_since_it_was_due_again,
                surveying::a_survey_tells_workers_inside_from_those_outside,
                discarding::what_was_kept_long_enough_goes_with_all_its_rows,
                discarding::each_way_to_end_is_kept_as_long_as_is_said_of_it,
                discarding::what_may_be_asked_for_by_a_key_stays,
                discarding::a_queue_says_for_itself_how_long_its_tasks_are_kept,
                discarding::a_queue_keeps_what_is_said_of_each_way_to_end,
                discarding::what_a_clock_made_that_was_ahead_stays_as_long_as_its_id_may_be_sent,
                discarding::the_row_of_a_unique_key_goes_with_its_task,
                discarding::what_comes_behind_it_in_its_batch_finds_nothing,
                discarding::what_has_ended_is_found_page_by_page,
                tallying::what_happened_in_a_minute_adds_up,
                tallying::minutes_that_nobody_asks_for_go,
                tallying::what_came_of_a_workers_runs_is_added_to_its_row,
                tallying::what_came_of_its_runs_stays_when_a_worker_registers_again,
                claiming::tasks_go_out_by_priority_then_by_age,
                claiming::waiting_is_worth_priority,
                claiming::a_claim_gets_no_more_than_it_asks_for,
                claiming::a_worker_gets_only_kinds_queues_and_demands_it_can_serve,
                claiming::claims_of_one_batch_are_dealt_in_turn,
                claiming::lanes_are_merged_in_order,
                claiming::many_lanes_keep_one_order_however_they_are_filled,
                claiming::a_submit_that_meets_a_claim_goes_straight_to_a_lease,
                claiming::what_is_lost_and_given_out_in_one_batch_comes_with_its_input,
                claiming::a_slot_promoted_in_a_claims_own_batch_lets_it_look_again,
                claiming::an_empty_claim_is_dry_and_a_full_one_is_not,
                claiming::inputs_of_a_claim_stop_at_their_limit,
                claiming::a_claim_that_stands_twice_in_one_batch_is_dealt_to_once,
                claiming::a_claim_sent_twice_is_answered_with_the_same_leases,
                claiming::a_claim_sent_twice_is_answered_without_what_was_reported_beside_it,
                claiming::the_first_claim_of_a_new_process_is_not_answered_with_what_the_older_one_held,
                telling_again::what_nobody_heard_of_goes_back_at_no_cost,
                telling_again::what_the_claim_was_told_again_stays_with_its_worker,
                telling_again::of_what_a_claim_was_dealt_only_what_it_was_told_again_stays,
                telling_again::a_claim_is_told_of_the_same_however_often_it_was_dealt_to,
                telling_again::a_worker_hands_back_what_it_was_told_again,
                telling_again::what_was_told_again_and_begun_goes_on,
                telling_again::in_one_batch_what_goes_back_first_is_not_told_again,
                claiming::a_replaced_worker_claims_nothing,
                claiming::an_unknown_worker_claims_nothing,
                claiming::a_worker_that_was_kept_for_a_suspect_is_not_kept_whenever_that_waits,
                naming::who_names_a_free_task_gets_it_and_no_other,
                naming::a_task_that_is_not_free_is_refused_to_who_names_it,
                naming::of_two_who_name_one_task_the_first_gets_it,
                naming::a_named_task_goes_before_the_deal_of_its_batch,
                naming::who_could_not_be_dealt_a_task_cannot_name_it,
                naming::nothing_of_a_paused_queue_is_had_by_its_name,
                naming::a_suspect_is_had_by_its_name_with_an_empty_hand_only,
                naming::who_gets_a_suspect_by_its_name_gets_nothing_else_in_that_batch,
                naming::who_registers_if_new_stays_as_it_is,
                naming::it_is_told_what_a_worker_holds,
                reporting::a_completed_task_keeps_its_output,
                reporting::how_one_run_of_a_batch_ended_is_not_how_its_neighbours_did,
                reporting::a_failure_is_tried_again_after_its_wait_until_the_last,
                reporting::what_went_wrong_is_seen_until_something_else_does,
                reporting::a_failure_for_good_ends_the_task,
                reporting::a_timeout_ends_as_timeout,
                reporting::a_snooze_costs_nothing,
                reporting::a_release_gives_back_at_once_and_costs_nothing,
                reporting::the_same_report_again_gets_the_same_answer,
                reporting::twice_in_one_batch_gets_the_same_answer,
                reporting::another_report_of_the_same_run_is_refused_and_kept,
                reporting::a_late_result_is_refused_and_kept,
                reporting::a_guessed_token_is_refused_and_fills_nothing,
                reporting::a_report_on_an_unknown_task_is_refused,
                reporting::history_is_kept_to_its_limit,
                reporting::long_details_can_be_left_out_of_a_history,
                reporting::a_report_is_known_again_though_a_later_run_was_lost,
                reporting::refused_results_are_kept_to_the_limit_of_the_history,
                reporting::what_is_too_long_is_left_out_of_a_refused_result,
                losing::a_silent_workers_runs_go_out_again,
                losing::grace_loses_nobody_but_ends_the_overdue,
                losing::a_heartbeat_keeps_what_it_names,
                losing::a_heartbeat_promises_no_more_than_the_lease_that_ends_first,
                losing::a_lease_that_is_not_named_expires,
                losing::a_heartbeat_tells_what_was_lost_and_cancelled,
                losing::a_heartbeat_cannot_revive_a_lost_lease,
                losing::a_worker_registered_again_loses_what_the_older_process_held,
                losing::an_old_candidate_costs_a_later_run_nothing,
                losing::internal_workers_of_an_earlier_server_are_gone_even_in_grace,
                giving_up::a_run_inside_is_lost_with_its_server_though_its_heir_has_the_name,
                giving_up::a_sweep_tells_whom_it_gave_up_for_their_silence,
                timing::an_overdue_run_times_out,
                timing::a_lease_ends_at_its_time_and_not_before,
                timing::a_run_from_before_the_clock_was_set_forward_has_that_much_more_time,
                timing::a_lease_that_ends_later_than_any_server_gives_them_is_lost,
                timing::a_heartbeat_shortens_a_lease_that_is_longer_than_any_server_gives_them,
                timing::a_heartbeat_shortens_a_sign_of_life_that_a_clock_gave_which_was_far_ahead,
                timing::silence_counts_by_a_sight_that_is_fresh_and_of_the_clock_that_judges,
                timing::a_run_begins_between_its_claim_and_now_whatever_its_worker_says,
                losing::progress_and_checkpoint_travel_to_the_next_attempt,
                losing::nobody_outside_takes_the_name_of_an_internal_worker,
                losing::nobody_inside_takes_the_name_of_a_living_worker_outside,
                losing::a_suspect_is_given_alone,
                losing::runs_lost_twice_with_one_worker_go_out_alone,
                losing::what_a_worker_kept_for_a_suspect_leaves_is_news_to_nobody,
                losing::a_suspect_that_waited_has_a_worker_emptied_for_it,
                losing::a_suspect_made_in_a_claims_own_batch_waits_for_the_next,
                losing::a_task_that_kills_its_workers_ends,
                leaving::a_worker_that_leaves_is_offline_until_it_calls_again,
                leaving::a_draining_worker_finishes_what_it_holds_and_gets_nothing_more,
                leaving::a_new_process_of_a_draining_worker_works_again,
                killing::a_killed_worker_s_runs_go_elsewhere_at_no_cost,
                killing::nobody_is_a_killed_worker_until_one_registers,
                killing::what_is_exclusive_stays_with_a_killed_worker_until_its_lease_ends,
                killing::what_a_killed_worker_holds_goes_back_in_pieces,
                killing::the_second_half_of_a_kill_leaves_a_process_alone_that_took_the_name,
                killing::the_second_half_of_a_kill_goes_on_with_it,
                killing::what_nobody_takes_from_a_killed_worker_the_sweep_takes_in_the_same_way,
                killing::a_name_that_is_taken_before_all_went_back_costs_no_task_a_loss,
                killing::killing_what_is_offline_changes_nothing,
                leaving::only_an_offline_worker_is_deleted,
                leaving::a_drained_worker_is_deleted_once_it_holds_nothing,
                leaving::a_drained_worker_gets_no_task_by_its_name,
                leaving::who_registers_if_new_is_no_killed_worker,
                leaving::a_worker_is_shown_with_what_it_holds,
                cancelling::cancel_ends_a_task_wherever_it_stands,
                cancelling::a_finished_task_cannot_be_cancelled,
                cancelling::a_cancelled_runs_result_is_refused,
                operating::an_operation_cancels_what_its_filter_lets_through_in_pieces,
                operating::a_piece_is_done_once_however_often_it_is_sent,
                operating::what_has_gone_on_since_it_was_found_is_skipped,
                operating::a_workers_tasks_are_cancelled_while_it_holds_them,
                operating::an_operation_retries_what_has_ended_as_new_tasks_and_none_of_those,
                operating::a_retry_whose_unique_key_is_taken_is_skipped,
                operating::a_retry_that_there_is_no_lane_for_is_skipped,
                operating::what_cannot_be_read_is_named_by_lists_and_skipped_by_operations,
                operating::an_operation_that_is_cancelled_goes_no_further,
                operating::as_many_operations_are_under_way_as_may_be,
                operating::the_same_request_again_finds_its_operation,
                operating::operations_are_listed_and_cleared_long_after_their_end,
                keeping::time_does_not_go_back_with_the_clock,
                keeping::lists_filter_and_page,
                keeping::a_page_looks_at_no_more_tasks_than_it_may,
                paging::pages_lose_and_repeat_nothing_whatever_they_pass_over,
                paging::a_page_passes_over_a_bounded_number_of_tasks,
                listing::pages_of_queues_lose_and_repeat_none,
                listing::a_page_of_queues_looks_at_a_bounded_number_of_lanes,
                listing::a_queue_tells_of_all_that_it_had_and_since_when_it_waits,
                listing::queues_of_before_a_reset_are_gone_and_hide_none,
                keeping::counts_follow_every_step,
                keeping::it_is_told_which_of_many_tasks_have_ended,
                keeping::workers_gone_for_long_are_forgotten_and_their_names_stay,
                keeping::a_worker_that_came_back_is_not_forgotten,
                keeping::workers_are_listed_in_pages,
                keeping::a_worker_that_there_is_no_room_for_is_refused_until_one_is_forgotten,
                presence::servers_take_the_lowest_free_number,
                presence::a_server_that_must_be_alone_takes_the_first_number_at_once,
                presence::a_server_that_leaves_is_up_no_more_and_its_number_is_free,
                presence::a_server_learns_that_a_clock_was_ahead,
                presence::a_worker_that_was_heard_by_a_clock_ahead_counts_from_now,
                failing::a_command_that_the_database_refuses_fails_alone,
                failing::a_command_over_which_the_rules_break_down_fails_alone,
                failing::a_row_that_stands_where_none_should_fails_only_what_meets_it,
                failing::a_run_whose_task_is_lost_costs_no_command_beside_it_anything,
                failing::a_task_that_stands_nowhere_fails_only_what_asks_for_it,
                failing::refused_commands_cost_none_between_them_anything,
                failing::behind_sixteen_commands_refused_in_a_row_the_rest_is_taken,
                failing::runs_that_the_database_refuses_keep_a_sweep_from_no_others,
                failing::a_claim_that_the_database_refuses_fails_alone,
                failing::a_run_that_breaks_a_sweep_costs_the_others_nothing,
                failing::a_result_that_breaks_a_report_is_told_apart_from_the_others,
                failing::a_run_that_breaks_a_heartbeat_costs_the_others_nothing,
                failing::a_heartbeat_whose_every_run_breaks_promises_nothing,
                failing::a_bad_scheduled_row_is_passed_over,
                spoiling::a_row_that_cannot_be_shown_hinders_no_decision,
                spoiling::what_is_damaged_hinders_no_decision,
                spoiling::a_damaged_input_is_handed_out_beside_the_others_and_told_from_them,
                spoiling::what_is_damaged_keeps_no_row_from_being_read,
                resetting::nothing_is_left_of_what_there_was,
                resetting::an_empty_database_is_emptied_as_often_as_is_asked,
                resetting::who_worked_before_is_unknown_and_its_results_are_refused,
                resetting::no_number_and_no_epoch_of_a_worker_is_given_again,
                resetting::work_goes_on_in_the_lanes_that_there_were,
                resetting::ids_and_keys_of_before_stand_for_nothing,
                resetting::servers_stay_what_they_are,
                logging::lines_are_shown_as_they_were_in_the_order_of_the_runs,
                logging::lines_that_came_one_by_one_are_one_page,
                logging::a_task_without_a_log_has_an_empty_page,
                logging::lines_that_come_again_or_out_of_order_are_kept_once,
                logging::appends_that_come_at_once_are_each_kept_once,
                logging::a_log_ends_where_it_is_full_and_says_so,
                logging::a_page_shows_one_attempt_or_one_stream,
                logging::a_page_ends_by_what_it_looked_at_and_by_its_bytes,
                logging::many_runs_are_gone_through,
                logging::a_run_of_another_life_of_the_database_gives_way,
                logging::the_logs_of_a_task_are_forgotten_and_of_no_other,
                logging::it_is_told_who_runs_a_task_and_which_tasks_there_are,
            );
        }
    };
    (@cases $open:expr; $($file:ident::$case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(yard) = $open.await {
                    let left = yard.left();
                    $file::$case(yard).await;
                    nothing_is_kept(left).await;
                }
            }
        )*
    };
}

conformance!(model, Yard::on_model());
conformance!(sqlite, Yard::on_sqlite());
conformance!(postgres, Yard::on_postgres());
conformance!(pooled, Yard::on_pooled());

/// By connections that went from one to the next, of whatever was done over them.
async fn nothing_is_kept(left: Option<(Arc<Pooler>, Arc<Database>)>) {
    if let Some((pooler, database)) = left {
        assert_eq!(pooler.kept(database.name()).await, [""; 0]);
    }
}
