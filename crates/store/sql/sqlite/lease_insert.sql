insert into lease (task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at,
  deadline, progress, progress_message, checkpoint, exclusive)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
