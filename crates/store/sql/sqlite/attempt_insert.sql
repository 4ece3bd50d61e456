insert into attempt (task, slot, fence, number, worker, claimed_at, started_at, ended_at, ended, error_code,
  error_message, error_detail)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
