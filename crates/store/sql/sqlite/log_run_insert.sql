insert into log_run (task, slot, fence, claimed_at, attempt, next_seq, bytes, is_full)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
