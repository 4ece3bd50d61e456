update worker
set number = ?2, epoch = ?3, server = ?4, kinds = ?5, queues = ?6, labels = ?7, capacity = ?8, registered_at = ?9,
  expires_at = ?10, kept_task = ?11, kept_slot = ?12,
  forgotten = ?13, draining = ?14, killed = ?15, completed = ?16, failed = ?17,
  killed_before = ?18
where name = ?1
