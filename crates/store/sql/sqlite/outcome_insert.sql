insert into outcome (task, lane, status, claimed_at, started_at, ended_at, worker, attempts, failures, losses, lost_in_a_row, fence,
  reported_fence, reported_digest, error_code, error_message, error_detail, output)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
